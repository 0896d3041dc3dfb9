package configs

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// keyDoc is a key of gatehouse.yaml with the comment above or beside it.
type keyDoc struct{ name, pattern, comment string }

// documented walks gatehouse.yaml on its own, so that a fault of the loader cannot hide one of the file.
func documented(t *testing.T) []keyDoc {
	t.Helper()
	var doc yaml.Node
	require.NoError(t, yaml.Unmarshal(DefaultYAML, &doc))
	var out []keyDoc
	var walk func(n *yaml.Node, path []string)
	walk = func(n *yaml.Node, path []string) {
		for i := 0; i < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			at := append(path[:len(path):len(path)], k.Value)
			if v.Kind == yaml.MappingNode && len(v.Content) > 0 {
				walk(v, at)
				continue
			}
			l := leaf{path: at}
			out = append(out, keyDoc{l.name(), l.pattern(), k.HeadComment + k.LineComment + v.LineComment})
		}
	}
	walk(doc.Content[0], nil)
	return out
}

func TestStructAndYAMLAreInStep(t *testing.T) {
	c, err := Load(ForGateway, "", nil)
	require.NoError(t, err)
	inFile := map[string]bool{}
	for _, d := range documented(t) {
		inFile[d.name] = true
	}
	inStruct := map[string]bool{}
	for _, l := range leaves(c, false) {
		inStruct[l.name()] = true
		require.True(t, inFile[l.name()], "%s is in Config but not in gatehouse.yaml", l.name())
	}
	for name := range inFile {
		if strings.HasSuffix(name, ".max_bytes") && strings.HasPrefix(name, "plans.") {
			continue // an empty mapping has no leaves
		}
		require.True(t, inStruct[name], "%s is in gatehouse.yaml but not in Config", name)
	}
}

func TestEveryFieldHasAKey(t *testing.T) {
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		switch {
		case typ.Kind() == reflect.Map || typ.Kind() == reflect.Slice:
			walk(typ.Elem())
		case isBranch(typ):
			for i := range typ.NumField() {
				f := typ.Field(i)
				require.True(t, !f.IsExported() || f.Tag.Get("yaml") != "", "%s.%s has no key", typ, f.Name)
				if f.IsExported() {
					walk(f.Type)
				}
			}
		}
	}
	walk(reflect.TypeFor[Config]())
}

func TestEveryKeyIsDocumented(t *testing.T) {
	comments := map[string]string{}
	for _, d := range documented(t) {
		pattern := d.pattern
		if strings.HasPrefix(d.name, "categories.") {
			pattern = strings.Replace(pattern, "categories.*.extensions", "categories.*.max_bytes", 1)
		}
		comments[pattern] += d.comment
		comments[d.pattern] += d.comment
	}
	for pattern, comment := range comments {
		require.Regexp(t, `\[(gateway|worker|both)\]`, comment, "%s: what it is, and who reads it", pattern)
	}
}

func TestSecretsSaySo(t *testing.T) {
	c, err := Load(ForGateway, "", nil)
	require.NoError(t, err)
	secret := map[string]bool{}
	for _, l := range leaves(c, false) {
		secret[l.name()] = l.isSecret()
	}
	for _, d := range documented(t) {
		require.Equal(t, secret[d.name], strings.Contains(d.comment, "# Secret"), d.name)
	}
}

func TestEveryNumberHasASpan(t *testing.T) {
	c, err := Load(ForGateway, "", []string{"GATEHOUSE_PLANS_FREE_MAX_BYTES_VIDEO=1"})
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, l := range leaves(c, false) {
		if !l.value.CanInt() {
			continue
		}
		s, ok := spans[l.pattern()]
		require.True(t, ok, "%s has no row in spans", l.pattern())
		seen[l.pattern()] = true
		for _, n := range []int64{s.lo - 1, s.hi + 1} {
			v := reflect.New(l.value.Type()).Elem()
			v.SetInt(n)
			_, err := Load(ForWorker, "", []string{EnvName(l.name()) + "=" + text(v)})
			require.ErrorContains(t, err, l.name()+" = ", "%s = %d", l.name(), n)
		}
	}
	for pattern := range spans {
		require.True(t, seen[pattern], "spans has a row for %s, which is no number", pattern)
	}
}
