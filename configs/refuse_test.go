package configs

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every kind of bad input stops the start with the key's full name.
func TestRefusedFiles(t *testing.T) {
	for name, tt := range map[string]struct{ yaml, want string }{
		"unknown section":        {"htp: {}", "htp ("},
		"unknown key":            {"http:\n  adr: x", "line 2): unknown key; did you mean addr?"},
		"unknown key in a map":   {"plans: {free: {storage: 1}}", "plans.free.storage "},
		"unknown key in a list":  {"images: {presets: [{name: a, edge: 5}]}", "images.presets.0.edge "},
		"key twice":              {"http:\n  addr: ':1'\n  addr: ':2'", "http.addr ("},
		"nothing":                {"http: {addr: }", "http.addr ("},
		"null section":           {"http:", "http ("},
		"scalar for a section":   {"http: 5", "http ("},
		"mapping for a scalar":   {"http: {addr: {a: b}}", "http.addr ("},
		"scalar for a list":      {"http: {trusted_proxies: 10.0.0.0/8}", "http.trusted_proxies ("},
		"mapping in a list":      {"categories: {image: {extensions: [{a: b}]}}", "categories.image.extensions.0 "},
		"a list for the file":    {"- a", "the file ("},
		"number":                 {"http: {max_uploads: many}", `http.max_uploads = "many"`},
		"fraction":               {"http: {max_uploads: 1.5}", `http.max_uploads = "1.5"`},
		"huge number":            {"http: {max_uploads: 99999999999999999999}", `http.max_uploads = "9999`},
		"bool":                   {"metrics: {enabled: maybe}", `metrics.enabled = "maybe"`},
		"size":                   {"intake: {memory_bytes: 5 apples}", `intake.memory_bytes = "5 apples"`},
		"ambiguous size":         {"intake: {memory_bytes: 5M}", `intake.memory_bytes = "5M"`},
		"size overflow":          {"intake: {memory_bytes: 9999999 TiB}", `intake.memory_bytes = "9999999 TiB"`},
		"negative size":          {"categories: {video: {max_bytes: -1}}", `categories.video.max_bytes = "-1"`},
		"duration":               {"tasks: {lease: 60}", `tasks.lease = "60"`},
		"negative duration":      {"tasks: {lease: -60s}", `tasks.lease = "-1m"`},
		"CIDR":                   {"http: {trusted_proxies: [10.0.0.0/99]}", `http.trusted_proxies.0 = "10.0.0.0/99"`},
		"addr":                   {"http: {addr: localhost}", `http.addr = "localhost"`},
		"addr with a named port": {"http: {addr: ':http'}", `http.addr = ":http"`},
		"metrics addr":           {"metrics: {addr: '9100'}", `metrics.addr = "9100"`},
		"worker addr":            {"worker: {http_addr: '9100'}", `worker.http_addr = "9100"`},
		"admin host with a port": {"http: {admin_host: 'admin.example.com:443'}", `http.admin_host = "admin.example.com:443"`},
		"public URL":             {"http: {public_url: files.example.com}", `http.public_url = "files.example.com"`},
		"public URL with query":  {"http: {public_url: 'https://a/?b'}", `http.public_url = "https://a/?b"`},
		"channel kind":           {"alerts: {channels: {ops: {kind: mail}}}", `alerts.channels.ops.kind = "mail"`},
		"channel URL":            {"alerts: {channels: {wecom: {url: 'ftp://a/the-key'}}}", "alerts.channels.wecom.url = \"***\""},
		"unsigned webhook":       {"alerts: {channels: {webhook: {url: 'https://a/b', secret: short}}}", "alerts.channels.webhook.secret = \"***\""},
		"channel severity":       {"alerts: {channels: {log: {severities: [bad]}}}", `alerts.channels.log.severities = "bad"`},
		"disk percents":          {"alerts: {disk_warning_percent: 96}", `alerts.disk_warning_percent = "96"`},
		"alert pace":             {"alerts: {repeat: 2m, interval: 3m}", `alerts.repeat = "2m"`},
		"data dir":               {"data_dir: ''", "data_dir ("},
		"log level":              {"log: {level: loud}", `log.level = "loud"`},
		"log format":             {"log: {format: xml}", `log.format = "xml"`},
		"database scheme":        {"database: {url: 'oracle://h/n'}", `database.url = "***"`},
		"database without name":  {"database: {url: 'postgres://h'}", `database.url = "***"`},
		"relative sqlite":        {"database: {url: 'sqlite://gatehouse.db'}", `database.url = "***"`},
		"more idle than open":    {"database: {max_open_conns: 2}", `database.max_idle_conns = "10"`},
		"driver":                 {"store: {driver: ftp}", `store.driver = "ftp"`},
		"s3 without endpoint":    {"store: {driver: s3}", "store.s3.endpoint: "},
		"s3 without keys":        {"store: {driver: s3, s3: {endpoint: 'm:9000'}}", "store.s3.secret_key: "},
		"s3 with scheme":         {"store: {driver: s3, s3: {endpoint: 'http://m:9000'}}", `store.s3.endpoint = "http://m:9000"`},
		"s3 bucket":              {"store: {driver: s3, s3: {clean_bucket: Clean}}", `store.s3.clean_bucket = "Clean"`},
		"s3 one bucket":          {"store: {driver: s3, s3: {clean_bucket: gatehouse-quarantine}}", "store.s3.clean_bucket = "},
		"broker":                 {"broker: {url: 'http://mq'}", `broker.url = "***"`},
		"broker prefix":          {"broker: {prefix: 'a b'}", `broker.prefix = "a b"`},
		"scanner address":        {"scanner: {address: 'clamav:3310'}", `scanner.address = "clamav:3310"`},
		"scanner socket":         {"scanner: {address: 'unix://run/clamd.ctl'}", "scanner.address = "},
		"scanner port":           {"scanner: {address: 'tcp://clamav'}", "scanner.address = "},
		"scanner too small":      {"scanner: {max_file_bytes: 99 MiB}", `categories.video.max_bytes = "100 MiB"`},
		"plan raises a limit":    {"plans: {pro: {max_bytes: {video: 1 GiB}}}", `plans.pro.max_bytes.video = "1 GiB"`},
		"unknown category":       {"categories: {audio: {extensions: [mp3], max_bytes: 1}}", "categories.audio"},
		"extension with dot":     {"categories: {image: {extensions: [.jpg]}}", "categories.image.extensions"},
		"extension twice":        {"categories: {image: {extensions: [jpg, pdf]}}", "categories.image.extensions"},
		"no extensions":          {"categories: {image: {extensions: []}}", "categories.image.extensions"},
		"plan name":              {"plans: {Gold: {storage_bytes: 1}}", "plans.Gold ("},
		"plan without anything":  {"plans: {gold: {}}", "plans.gold.storage_bytes"},
		"plan of no category":    {"plans: {free: {categories: []}}", "plans.free.categories"},
		"sqlite with query":      {"database: {url: 'sqlite:///a.db?x=1'}", `database.url = "***"`},
		"plan category":          {"plans: {free: {categories: [audio]}}", "plans.free.categories"},
		"plan size category":     {"plans: {free: {max_bytes: {audio: 1}}}", "plans.free.max_bytes.audio"},
		"plan duplicates":        {"plans: {free: {duplicates: copy}}", `plans.free.duplicates = "copy"`},
		"plan negative files":    {"plans: {free: {max_files: -1}}", `plans.free.max_files = "-1"`},
		"plan kept for too long": {"plans: {free: {retention_days: 99999}}", `plans.free.retention_days = "99999"`},
		"plan height of a line":  {"plans: {free: {max_video_height: 9}}", `plans.free.max_video_height = "9"`},
		"plan upgrade URL":       {"plans: {free: {upgrade_url: 'javascript:x'}}", "plans.free.upgrade_url"},
		"no plans":               {"plans: {free: null, pro: null, enterprise: null, platform: null}", "plans: "},
		"night":                  {"alerts: {night_from: '24:30'}", `alerts.night_from = "24:30"`},
		"time zone":              {"alerts: {timezone: Mars/Olympus}", `alerts.timezone = "Mars/Olympus"`},
		"time of day":            {"reconcile: {at: '25:00'}", `reconcile.at = "25:00"`},
		"share without percent":  {"reconcile: {brake_share: 0.01}", "reconcile.brake_share"},
		"share above all":        {"reconcile: {brake_share: 101%}", `reconcile.brake_share = "101%"`},
		"share of a tenant":      {"reconcile: {brake_tenant_share: 0%}", `reconcile.brake_tenant_share = "0%"`},
		"brake of a tenant":      {"reconcile: {brake_tenant_min: 0}", `reconcile.brake_tenant_min = "0"`},
		"quality":                {"images: {quality: 101}", `images.quality = "101"`},
		"preset name":            {"images: {presets: [{name: W 1, long_edge: 100}]}", "images.presets = "},
		"preset twice":           {"images: {presets: [{name: a, long_edge: 100}, {name: a, long_edge: 200}]}", "images.presets = "},
		"preset size":            {"images: {presets: [{name: a}]}", "images.presets = "},
		"preset format":          {"images: {presets: [{name: a, long_edge: 100, format: gif}]}", "images.presets = "},
		"video preset poster":    {"videos: {presets: [{name: h264, long_edge: 1920}, {name: poster, long_edge: 640}]}", "videos.presets = "},
		"video codec":            {"videos: {presets: [{name: h264, long_edge: 1920, codec: vp9}]}", "videos.presets = "},
		"plan's image preset":    {"plans: {free: {image_presets: [w9]}}", "plans.free.image_presets = "},
		"plan's video preset":    {"plans: {free: {video_presets: [av1]}}", "plans.free.video_presets = "},
		"videos nobody can read": {"plans: {free: {serve: variants_only}}", "plans.free.serve = "},
		"plan serves":            {"plans: {free: {serve: originals}}", "plans.free.serve = "},
		"no presets":             {"images: {presets: []}", "images.presets ("},
		"lease and heartbeat":    {"tasks: {lease: 20s}", `tasks.lease = "20s"`},
		"backoff":                {"tasks: {backoff_min: 1h}", `tasks.backoff_min = "1h"`},
		"lane":                   {"tasks: {lanes: {scan: {concurrency: 0}}}", `tasks.lanes.scan.concurrency = "0"`},
		"short operator key":     {"auth: {operator_key: short}", `auth.operator_key = "***"`},
		"short link secret":      {"auth: {link_secret: short}", `auth.link_secret = "***"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(ForGateway, writeFile(t, tt.yaml), nil)
			require.ErrorContains(t, err, tt.want)
			_, ok := errors.AsType[Problems](err)
			require.True(t, ok)
			require.NotContains(t, err.Error(), "oracle://", "a secret is never shown")
			require.NotContains(t, err.Error(), `"short"`, "a secret is never shown")
		})
	}
}

func TestNotYAML(t *testing.T) {
	for _, content := range []string{"a: [", "a: 1\n---\nb: 2\n", "\x00"} {
		_, err := Load(ForGateway, writeFile(t, content), nil)
		require.ErrorContains(t, err, "gatehouse.yaml")
	}
	_, err := Load(ForGateway, "/no/such/file.yaml", nil)
	require.ErrorContains(t, err, "/no/such/file.yaml")
	_, err = Load(ForGateway, writeFile(t, "# nothing\n"), nil)
	require.NoError(t, err)
}

func TestAllProblemsAtOnce(t *testing.T) {
	file := writeFile(t, "http: {addr: nope, adr: x}\nimages: {quality: 0}\nstore: {driver: s3}\n")
	_, err := Load(ForGateway, file, []string{"GATEHOUSE_TASKS_LEASE=soon", "GATEHOUSE_NOPE=1", "DATABASE_URL=mysql://h/n"})
	for _, key := range []string{
		"http.addr", "http.adr", "images.quality", "store.s3.endpoint", "store.s3.access_key", "store.s3.secret_key",
		`tasks.lease = "soon" (GATEHOUSE_TASKS_LEASE)`, "GATEHOUSE_NOPE", "auth.link_secret: must be set",
	} {
		require.ErrorContains(t, err, key)
	}
	require.Equal(t, 1, strings.Count(err.Error(), "tasks.lease"), "a key is reported once")
}

func TestOnlyServingNeedsTheLinkSecret(t *testing.T) {
	env := []string{"GATEHOUSE_DATABASE_URL=postgres://h/n"}
	for _, program := range []Program{ForWorker, ForCommands} {
		_, err := Load(program, "", env)
		require.NoError(t, err, program)
	}
	_, err := Load(ForGateway, "", env)
	require.ErrorContains(t, err, "auth.link_secret")
	require.ErrorContains(t, err, "auth.operator_key")
}
