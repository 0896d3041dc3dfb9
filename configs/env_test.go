package configs

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// otherValue has, for each key where no number or switch can be computed, a value that is allowed and not the default.
var otherValue = map[string]string{
	"data_dir":                     "/srv/gatehouse",
	"log.level":                    "debug",
	"log.format":                   "json",
	"http.addr":                    "127.0.0.1:9000",
	"http.public_url":              "https://files.example.com/up",
	"http.admin_host":              "admin.example.com",
	"http.trusted_proxies":         "10.0.0.0/8,192.0.2.7/32,fd00::/8",
	"database.url":                 "postgres://u:p@db:5432/gatehouse",
	"store.driver":                 "s3",
	"store.root":                   "/srv/store",
	"store.s3.endpoint":            "minio:9000",
	"store.s3.region":              "eu-central-1",
	"store.s3.access_key":          "id",
	"store.s3.secret_key":          "key",
	"store.s3.quarantine_bucket":   "q-bucket",
	"store.s3.snapshot_bucket":     "s-bucket",
	"store.s3.audit_bucket":        "a-bucket",
	"audit.signing_key":            strings.Repeat("5a", 32),
	"audit.public_key":             strings.Repeat("5b", 32),
	"store.s3.clean_bucket":        "c-bucket",
	"broker.url":                   "amqp://u:p@mq:5672/",
	"broker.prefix":                "other",
	"scanner.max_file_bytes":       "1 GiB", // less would be below the largest category
	"scanner.address":              "tcp://clamav:3310",
	"scanner.database_dir":         "/var/lib/clamav",
	"intake.spool_dir":             "/srv/spool",
	"categories.*.extensions":      "aaa,bbb",
	"plans.*.categories":           "image,release",
	"plans.*.duplicates":           "reject",
	"plans.*.upgrade_url":          "https://example.com/plans",
	"images.presets":               "big=1000,small=100/avif",
	"videos.presets":               "h264=1280,small=640,h265=1920/h265",
	"plans.*.serve":                "",
	"plans.*.image_presets":        "w640,w320",
	"plans.*.video_presets":        "h264,h265",
	"plans.*.max_video_height":     "480",
	"reconcile.at":                 "03:30",
	"alerts.night_from":            "21:30",
	"alerts.night_until":           "06:30",
	"alerts.timezone":              "Asia/Shanghai",
	"alerts.channels.*.kind":       "webhook",
	"alerts.channels.*.url":        "https://hooks.example.com/in?key=k",
	"alerts.channels.*.secret":     "shared-secret-of-16",
	"alerts.channels.*.severities": "critical,warning",
	"alerts.channels.*.rules":      "disk,infected",
	"auth.link_secret":             strings.Repeat("k", 32),
	"auth.operator_key":            strings.Repeat("0f", 32),
	"metrics.addr":                 "127.0.0.1:9100",
	"worker.http_addr":             ":8082",
}

// other returns an allowed value that differs from the one a key has.
func other(t *testing.T, l leaf) string {
	t.Helper()
	v := reflect.New(l.value.Type()).Elem()
	value, given := otherValue[l.pattern()]
	switch {
	case given:
		return value
	case l.value.Kind() == reflect.Bool:
		v.SetBool(!l.value.Bool())
	case l.value.CanInt() && l.value.Int() > spans[l.pattern()].lo:
		v.SetInt(l.value.Int() - 1)
	case l.value.CanInt():
		v.SetInt(l.value.Int() + 1)
	default:
		require.Fail(t, "a new key needs a value to test with", l.pattern())
	}
	return text(v)
}

func values(c *Config) map[string]string {
	m := map[string]string{}
	for _, l := range leaves(c, true) {
		m[l.name()] = text(l.value)
		if l.isSecret() {
			m[l.name()] = l.value.String()
		}
	}
	return m
}

func TestEveryKeyIsOverriddenByItsVariable(t *testing.T) {
	base := []string{"GATEHOUSE_ALERTS_CHANNELS_WEBHOOK_SECRET=some-16-byte-secret", "GATEHOUSE_STORE_S3_ENDPOINT=e:1", "GATEHOUSE_STORE_S3_ACCESS_KEY=a", "GATEHOUSE_STORE_S3_SECRET_KEY=s"}
	before, err := Load(ForWorker, "", base)
	require.NoError(t, err)
	for _, l := range leaves(before, true) {
		t.Run(l.name(), func(t *testing.T) {
			want := values(before)
			want[l.name()] = other(t, l)
			name := EnvName(l.name())
			after, err := Load(ForWorker, "", append(base[:len(base):len(base)], name+"="+want[l.name()]))
			require.NoError(t, err)
			require.Equal(t, want, values(after), "the key has the new value and no other key changed")
			require.Equal(t, name, after.origins[l.name()])
		})
	}
}

func TestNamesOfVariables(t *testing.T) {
	for key, want := range map[string]string{
		"data_dir":                   "GATEHOUSE_DATA_DIR",
		"http.addr":                  "GATEHOUSE_HTTP_ADDR",
		"categories.video.max_bytes": "GATEHOUSE_CATEGORIES_VIDEO_MAX_BYTES",
		"plans.free.storage_bytes":   "GATEHOUSE_PLANS_FREE_STORAGE_BYTES",
		"plans.big-one.duplicates":   "GATEHOUSE_PLANS_BIG_ONE_DUPLICATES",
	} {
		require.Equal(t, want, EnvName(key))
	}
}

func TestSecretsFromFiles(t *testing.T) {
	secret := strings.Repeat("s", 40)
	key := strings.Repeat("5a", 32)
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(secret+"\r\n"), 0o600))
	c, err := Load(ForWorker, "", nil)
	require.NoError(t, err)
	for _, l := range leaves(c, false) {
		if !l.isSecret() {
			_, err := Load(ForWorker, "", []string{EnvName(l.name()) + "_FILE=" + file})
			require.ErrorContains(t, err, EnvName(l.name())+"_FILE", "only secrets are read from files")
			continue
		}
		value := secret
		var base []string
		if l.name() == "audit.signing_key" {
			value = key
		}
		if strings.HasSuffix(l.name(), ".url") || l.name() == "auth.operator_key" {
			value = otherValue[l.pattern()]
		}
		if l.name() == "alerts.channels.webhook.url" {
			base = []string{"GATEHOUSE_ALERTS_CHANNELS_WEBHOOK_SECRET=" + secret}
		}
		require.NoError(t, os.WriteFile(file, []byte(value+"\n"), 0o600))
		got, err := Load(ForWorker, "", append(base, EnvName(l.name())+"_FILE="+file))
		require.NoError(t, err)
		require.Equal(t, value, values(got)[l.name()])

		_, err = Load(ForWorker, "", []string{EnvName(l.name()) + "_FILE=" + file, EnvName(l.name()) + "=" + value})
		require.ErrorContains(t, err, l.name()+": both ")
		_, err = Load(ForWorker, "", []string{EnvName(l.name()) + "_FILE=" + file + ".gone"})
		require.ErrorContains(t, err, l.name()+" ("+EnvName(l.name())+"_FILE)")
		require.NoError(t, os.WriteFile(file, []byte("\n"), 0o600))
		_, err = Load(ForWorker, "", []string{EnvName(l.name()) + "_FILE=" + file})
		require.ErrorContains(t, err, file+" is empty")
	}
}

func TestDatabaseURLVariable(t *testing.T) {
	const a, b = "DATABASE_URL=postgres://a/a", "GATEHOUSE_DATABASE_URL=mysql://b/b"
	for _, tt := range []struct {
		env  []string
		want string
	}{
		{[]string{a}, "postgres://a/a"},
		{[]string{a, b}, "mysql://b/b"},
		{[]string{b, a}, "mysql://b/b"},
	} {
		c, err := Load(ForWorker, "", tt.env)
		require.NoError(t, err)
		require.Equal(t, tt.want, c.DatabaseURL())
		require.False(t, c.Embedded())
	}
	c, err := Load(ForWorker, "", []string{"DATABASE_URL="})
	require.NoError(t, err)
	require.True(t, c.Embedded())
}

func TestUnknownVariables(t *testing.T) {
	_, err := Load(ForWorker, "", []string{"GATEHOUSE_HTP_ADDR=:1", "GATEHOUSE_PLANS_GOLD_STORAGE_BYTES=1", "GATEHOUSE_X=1"})
	require.ErrorContains(t, err, "GATEHOUSE_HTP_ADDR: no such key; did you mean GATEHOUSE_HTTP_ADDR?")
	require.ErrorContains(t, err, "GATEHOUSE_PLANS_GOLD_STORAGE_BYTES: no such key")
	require.ErrorContains(t, err, "GATEHOUSE_X: no such key")
	_, err = Load(ForWorker, "", []string{"GATEHOUSE_TOOLS=/opt/x", "GATEHOUSE_TEST_S3=x", "GATEHOUSE_CONFIG=", "GATEHOUSES=1"})
	require.NoError(t, err)
}

func TestNoTwoKeysShareAVariable(t *testing.T) {
	file := writeFile(t, "plans:\n  x: {storage_bytes: 1, duplicates: link, categories: [image]}\n  x-max-bytes: {storage_bytes: 1, duplicates: link, categories: [image]}\n  x-max: {storage_bytes: 1, duplicates: link, categories: [image]}\n")
	c, err := Load(ForWorker, file, nil)
	require.NoError(t, err)
	seen := map[string]string{}
	for _, l := range leaves(c, true) {
		name := EnvName(l.name())
		require.Empty(t, seen[name], "%s and %s", seen[name], l.name())
		seen[name] = l.name()
		if l.isSecret() {
			require.Empty(t, seen[name+"_FILE"])
		}
	}
}
