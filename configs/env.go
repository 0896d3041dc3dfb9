package configs

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

const envPrefix = "GATEHOUSE_"

// notKeys are the GATEHOUSE_ variables that are no keys: the path of the configuration file, the folder of the
// outside programs, and (as a prefix) what only tests read.
var notKeys = []string{"GATEHOUSE_CONFIG", "GATEHOUSE_TOOLS", "GATEHOUSE_TEST_"}

func isNotKey(name string) bool {
	return slices.ContainsFunc(notKeys, func(n string) bool {
		return name == n || strings.HasSuffix(n, "_") && strings.HasPrefix(name, n)
	})
}

// EnvName is the environment variable of a key: GATEHOUSE_HTTP_ADDR for http.addr.
func EnvName(key string) string {
	return envPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(key))
}

// environment keeps what may concern this program. The last of two equal names counts, as in os/exec.
func environment(environ []string) map[string]string {
	env := map[string]string{}
	for _, kv := range environ {
		name, value, ok := strings.Cut(kv, "=")
		if ok && (name == "DATABASE_URL" || strings.HasPrefix(name, envPrefix)) {
			env[name] = value
		}
	}
	return env
}

// environment applies the variables, in order of their names so that messages are the same at every start.
func (l *loader) environment(env map[string]string) {
	byName := l.byEnvName()
	if url := env["DATABASE_URL"]; url != "" {
		l.set(byName["GATEHOUSE_DATABASE_URL"], url, "DATABASE_URL")
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if name == "DATABASE_URL" || isNotKey(name) {
			continue
		}
		if at, ok := byName[name]; ok {
			l.set(at, env[name], name)
			continue
		}
		base, isFile := strings.CutSuffix(name, "_FILE")
		at, known := byName[base]
		switch {
		case isFile && known && at.isSecret():
			l.fromFile(at, name, env)
		case isFile && known:
			l.problem(Problem{Key: name, Value: env[name], Allowed: at.name() + " is no secret: only secrets are read from files; set " + base})
		default:
			l.problem(Problem{Key: name, Allowed: "no such key" + didYouMean(name, slices.Sorted(maps.Keys(byName)))})
		}
	}
}

// byEnvName maps variables to keys. Two keys never share a variable: names of plans have no underscore, and no key
// of a plan ends with another one.
func (l *loader) byEnvName() map[string]leaf {
	byName := map[string]leaf{}
	for _, at := range leaves(l.cfg, true) {
		byName[EnvName(at.name())] = at
	}
	return byName
}

func (l *loader) fromFile(at leaf, name string, env map[string]string) {
	base := strings.TrimSuffix(name, "_FILE")
	if _, both := env[base]; both {
		l.problem(Problem{Key: at.name(), Allowed: "both " + base + " and " + name + " are set; set one"})
		return
	}
	content, err := readFile(env[name])
	if err != nil {
		l.problem(Problem{Key: at.name(), Origin: name, Allowed: err.Error()})
		return
	}
	secret := strings.TrimRight(string(content), "\r\n")
	if secret == "" {
		// A secret that failed to mount must not look like one that was left out on purpose.
		l.problem(Problem{Key: at.name(), Origin: name, Allowed: env[name] + " is empty"})
		return
	}
	l.set(at, secret, name)
}

func (l *loader) set(at leaf, value, origin string) {
	if err := setPath(reflect.ValueOf(l.cfg).Elem(), at.path, value); err != nil {
		p := Problem{Key: at.name(), Value: value, Origin: origin, Allowed: err.Error()}
		if at.isSecret() {
			p.Value = mask
		}
		l.problem(p)
		return
	}
	l.cfg.origins[at.name()] = origin
}
