package compose_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"

	"gatehouse/configs"
)

const root = "../.."

// secrets is what the .env file must hold; the values are of the form the comment in the file tells to make.
var secrets = map[string]string{
	"POSTGRES_PASSWORD": strings.Repeat("a1", 32),
	"RABBITMQ_PASSWORD": strings.Repeat("b2", 32),
	"MINIO_PASSWORD":    strings.Repeat("c3", 32),
	"LINK_SECRET":       strings.Repeat("d4", 32),
	"OPERATOR_KEY":      strings.Repeat("e5", 32),
	"AUDIT_SIGNING_KEY": strings.Repeat("d4", 32),
	"PUBLIC_URL":        "http://localhost:8080",
}

func load(t *testing.T, env map[string]string) (*types.Project, error) {
	t.Helper()
	var environ []string
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")}, cli.WithEnv(environ))
	require.NoError(t, err)
	return options.LoadProject(t.Context())
}

func project(t *testing.T) *types.Project {
	t.Helper()
	p, err := load(t, secrets)
	require.NoError(t, err)
	return p
}

// gatehouse lists the GATEHOUSE_ variables of a service as os.Environ would.
func gatehouse(s types.ServiceConfig) []string {
	var environ []string
	for name, value := range s.Environment {
		if strings.HasPrefix(name, "GATEHOUSE_") && value != nil {
			environ = append(environ, name+"="+*value)
		}
	}
	return environ
}

// configuration loads what a service is given with the programs' own rules, which refuse unknown variables.
func configuration(t *testing.T, service string, program configs.Program) *configs.Config {
	t.Helper()
	environ := gatehouse(project(t).Services[service])
	require.NotEmpty(t, environ)
	cfg, err := configs.Load(program, "", environ)
	require.NoError(t, err, service)
	return cfg
}

func TestEverySecretMustBeGiven(t *testing.T) {
	for name := range secrets {
		absent, empty := maps.Clone(secrets), maps.Clone(secrets)
		delete(absent, name)
		empty[name] = ""
		for _, env := range []map[string]string{absent, empty} {
			_, err := load(t, env)
			require.ErrorContains(t, err, name)
			require.ErrorContains(t, err, "set it in .env")
		}
	}
}

func TestProgramsAcceptTheirConfiguration(t *testing.T) {
	gateway := configuration(t, "gateway", configs.ForGateway)
	worker := configuration(t, "worker", configs.ForWorker)
	migrate := configuration(t, "migrate", configs.ForGateway)

	require.False(t, gateway.Embedded())
	require.Equal(t, gateway.Database, worker.Database)
	require.Equal(t, gateway.Database, migrate.Database)
	require.Equal(t, gateway.Store, worker.Store)
	require.Equal(t, gateway.Broker, worker.Broker)
	require.Equal(t, configs.DriverS3, gateway.Store.Driver)
	require.NotEmpty(t, gateway.Broker.URL)
	require.NotEmpty(t, worker.Scanner.Address)
	require.NotEmpty(t, gateway.Metrics.Addr, "metrics must not lie on the port that nginx serves")
}

// Every GATEHOUSE_ variable in the file belongs to a service that one of the programs runs.
func TestNoVariableIsLostOnAnotherService(t *testing.T) {
	for name, service := range project(t).Services {
		if !slices.Contains([]string{"gateway", "worker", "migrate"}, name) {
			require.Empty(t, gatehouse(service), name)
		}
	}
}

// The addresses in the configuration name services of the file that share a network with the program.
func TestProgramsReachTheirServices(t *testing.T) {
	p := project(t)
	host := regexp.MustCompile(`(?:@|//|^)([a-z]+):\d+`)
	for _, program := range []string{"gateway", "worker"} {
		for _, variable := range gatehouse(p.Services[program]) {
			name, value, _ := strings.Cut(variable, "=")
			if name == "GATEHOUSE_HTTP_PUBLIC_URL" {
				continue // where clients are
			}
			for _, found := range host.FindAllStringSubmatch(value, -1) {
				target, ok := p.Services[found[1]]
				require.True(t, ok, "%s: %s", program, name)
				require.True(t, share(p.Services[program], target), "%s cannot reach %s", program, found[1])
			}
		}
	}
	require.True(t, share(p.Services["nginx"], p.Services["gateway"]))
	require.False(t, share(p.Services["nginx"], p.Services["postgres"]))
}

func share(a, b types.ServiceConfig) bool {
	for name := range a.Networks {
		if _, ok := b.Networks[name]; ok {
			return true
		}
	}
	return false
}

func TestTrustedProxiesAreNginxsNetwork(t *testing.T) {
	gateway := configuration(t, "gateway", configs.ForGateway)
	front := project(t).Networks["front"]
	require.Len(t, front.Ipam.Config, 1)
	require.Len(t, gateway.HTTP.TrustedProxies, 1)
	require.Equal(t, front.Ipam.Config[0].Subnet, gateway.HTTP.TrustedProxies[0].String())
}

// Nothing but nginx is reachable from outside, and nginx only from the machine itself unless told otherwise.
func TestOnlyNginxIsPublished(t *testing.T) {
	for name, service := range project(t).Services {
		if name == "nginx" {
			require.Len(t, service.Ports, 1)
			require.Equal(t, "127.0.0.1", service.Ports[0].HostIP)
			continue
		}
		require.Empty(t, service.Ports, name)
	}
}

func TestServicesAreBoundedAndWatched(t *testing.T) {
	for name, service := range project(t).Services {
		require.NotNil(t, service.Deploy, name)
		require.NotZero(t, service.Deploy.Resources.Limits.MemoryBytes, name)
		require.NotZero(t, service.Deploy.Resources.Limits.NanoCPUs, name)
		require.Contains(t, service.SecurityOpt, "no-new-privileges:true", name)
		switch name {
		case "migrate": // runs once
			require.Equal(t, types.RestartPolicyOnFailure, service.Restart)
		case "gateway": // its image has no shell to check with: nginx asks through to it
			require.Equal(t, types.RestartPolicyUnlessStopped, service.Restart)
		default:
			require.Equal(t, types.RestartPolicyUnlessStopped, service.Restart, name)
			require.NotNil(t, service.HealthCheck, name)
		}
		if slices.Contains([]string{"gateway", "migrate", "worker", "nginx", "minio"}, name) {
			require.True(t, service.ReadOnly, name)
			require.Equal(t, []string{"ALL"}, service.CapDrop, name)
		}
		if service.Build == nil {
			require.Regexp(t, `:[0-9]`, service.Image, "%s: an image without a version changes by itself", name)
		}
	}
}

// What the file mounts and builds from is there.
func TestFilesExist(t *testing.T) {
	for name, service := range project(t).Services {
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeBind {
				require.FileExists(t, volume.Source, name)
			}
		}
		if service.Build != nil {
			require.FileExists(t, filepath.Join(service.Build.Context, service.Build.Dockerfile), name)
		}
	}
}

func TestImagesRunAsNobody(t *testing.T) {
	for _, file := range []string{"gateway/Dockerfile", "worker/Dockerfile", "configs/minio/Dockerfile"} {
		require.Regexp(t, `(?m)^USER 65532:65532$`, read(t, file), file)
	}
	gateway := read(t, "gateway/Dockerfile")
	require.Contains(t, gateway, "CGO_ENABLED=0")
	require.Contains(t, gateway, "\nFROM gcr.io/distroless/static")
}

// nginx lets through what the largest rule lets through, the form around it included, and not much more.
func TestProxyLimitFitsTheConfiguration(t *testing.T) {
	const envelope = 1 << 20
	found := regexp.MustCompile(`(?m)^\s*client_max_body_size (\w+);`).FindStringSubmatch(read(t, "configs/nginx/gatehouse.conf"))
	require.NotNil(t, found)
	gateway := configuration(t, "gateway", configs.ForGateway)
	require.Equal(t, gateway.LargestUpload()+envelope, size(t, found[1]))
	require.Contains(t, read(t, "configs/nginx/gatehouse.conf"), "proxy_request_buffering off;")
}

// clamd looks at every byte that the rules let through, or says that it did not.
func TestScannerLimitsFitTheConfiguration(t *testing.T) {
	conf := map[string]string{}
	for line := range strings.Lines(read(t, "configs/clamd/clamd.conf")) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && key != "#" {
			conf[key] = value
		}
	}
	cfg := configuration(t, "worker", configs.ForWorker)
	most := int64(cfg.Scanner.MaxFileBytes)
	require.GreaterOrEqual(t, most, cfg.LargestUpload())
	require.GreaterOrEqual(t, size(t, conf["MaxFileSize"]), size(t, conf["StreamMaxLength"]))
	require.GreaterOrEqual(t, size(t, conf["StreamMaxLength"]), most)
	require.Greater(t, size(t, conf["MaxScanSize"]), most)
	require.Greater(t, size(t, conf["MaxScanSize"]), int64(cfg.Intake.MaxZipUnpackedBytes))
	require.Greater(t, size(t, conf["MaxScanSize"]), most+int64(cfg.Intake.MaxReleaseUnpackedBytes), "a release file and all in it")
	require.Greater(t, size(t, conf["MaxFiles"]), int64(cfg.Intake.MaxZipMembers))
	require.Less(t, size(t, conf["MaxScanTime"]), cfg.Scanner.Timeout.Milliseconds())
	require.Greater(t, size(t, conf["MaxThreads"]), int64(cfg.Tasks.Lanes.Scan.Concurrency))
	require.Equal(t, "yes", conf["AlertExceedsMax"])
	require.Equal(t, "yes", conf["AlertEncrypted"])
	require.Equal(t, "yes", conf["DisableCache"])

	address, ok := strings.CutPrefix(cfg.Scanner.Address, "tcp://clamav:")
	require.True(t, ok)
	require.Equal(t, conf["TCPSocket"], address)
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, file))
	require.NoError(t, err)
	return string(content)
}

// size reads a number with the unit that nginx and clamd share: k, m or g, each 1024 times the one before.
func size(t *testing.T, s string) int64 {
	t.Helper()
	require.NotEmpty(t, s)
	factor := int64(1)
	if i := strings.IndexByte("kmg", strings.ToLower(s)[len(s)-1]); i >= 0 {
		factor = 1 << (10 * (i + 1))
		s = s[:len(s)-1]
	}
	n, err := strconv.ParseInt(s, 10, 64)
	require.NoError(t, err)
	return n * factor
}
