package configs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBytes(t *testing.T) {
	for in, want := range map[string]Bytes{
		"0": 0, "1048576": 1 << 20, "5MB": 5_000_000, "100 MiB": 100 << 20, "1gib": 1 << 30, "7 B": 7, "-5 KB": -5000,
		"2 TB": 2e12, "7 TiB": 7 << 40,
	} {
		got, err := ParseBytes(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
		back, err := ParseBytes(got.String())
		require.NoError(t, err)
		require.Equal(t, got, back, "%s reads back", got)
	}
	for _, in := range []string{"", "MiB", "5M", "5 m", "1.5 GiB", "0x10", "1 2", "5 MiB B", "9 MiBs", "8388608 TiB", "-8388609 TiB"} {
		_, err := ParseBytes(in)
		require.Error(t, err, in)
	}
}

func TestDurations(t *testing.T) {
	const day = 24 * time.Hour
	for in, want := range map[string]time.Duration{
		"0s": 0, "500ms": 500 * time.Millisecond, "90s": 90 * time.Second, "30d": 30 * day, "1d12h": 36 * time.Hour,
		"1h30m": 90 * time.Minute, "0d": 0, "-1s": -time.Second, "1d1ns": day + 1, "10m": 10 * time.Minute, "100h": 100 * time.Hour,
	} {
		got, err := parseDuration(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
		back, err := parseDuration(formatDuration(got))
		require.NoError(t, err, formatDuration(got))
		require.Equal(t, got, back, "%s reads back", formatDuration(got))
	}
	for _, in := range []string{"", "5", "d", "1.5d", "1d-1h", "-1d1h", "1h1d", "999999999d", "1 day"} {
		_, err := parseDuration(in)
		require.Error(t, err, in)
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	const secret = "hunter2-hunter2-hunter2-hunter2-hunter2"
	env := []string{
		"GATEHOUSE_AUTH_LINK_SECRET=" + secret,
		"GATEHOUSE_AUTH_OPERATOR_KEY=" + strings.Repeat("deadbeef", 8),
		"DATABASE_URL=postgres://u:" + secret + "@h/n",
		"GATEHOUSE_BROKER_URL=amqp://u:" + secret + "@h/",
		"GATEHOUSE_STORE_S3_SECRET_KEY=" + secret,
		"GATEHOUSE_STORE_S3_ACCESS_KEY=" + secret,
	}
	c, err := Load(ForGateway, "", env)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, c.Print(&out))
	require.Contains(t, out.String(), `link_secret: '***' # GATEHOUSE_AUTH_LINK_SECRET`)
	require.Contains(t, out.String(), "# DATABASE_URL")
	fmt.Fprintf(&out, "%v %+v %#v %s %q %x", *c, *c, *c, c.Auth, c.Auth.LinkSecret, c.Auth.LinkSecret)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "auth", c.Auth, "secret", c.Auth.LinkSecret)
	j, err := json.Marshal(c)
	require.NoError(t, err)
	out.Write(j)
	require.NotContains(t, out.String(), "hunter2")
	require.NotContains(t, out.String(), "deadbeef")
	require.NotContains(t, out.String(), fmt.Sprintf("%x", "hunter2"))

	_, err = Load(ForGateway, "", append(env, "GATEHOUSE_DATABASE_URL=oracle://u:hunter2:x@h:p/n", "GATEHOUSE_BROKER_URL=://hunter2"))
	require.ErrorContains(t, err, "database.url")
	require.NotContains(t, err.Error(), "hunter2")
}

func TestFolders(t *testing.T) {
	c, err := Load(ForGateway, "", []string{"GATEHOUSE_DATA_DIR=/srv/a b"})
	require.NoError(t, err)
	require.Equal(t, "sqlite:///srv/a%20b/gatehouse.db", c.DatabaseURL())
	require.Equal(t, "/srv/a b/store", c.StoreRoot())
	require.Equal(t, "/srv/a b/spool", c.SpoolDir())
	require.Equal(t, "/srv/a b/clamd", c.ClamdDir())
	require.Equal(t, "/srv/a b/work", c.WorkDir())
	require.Equal(t, int64(600<<20), c.LargestUpload())
	require.Equal(t, map[string]int{"scan": 4, "image": 2, "video": 1, "housekeeping": 2}, c.Tasks.Lanes.Concurrency())

	c, err = Load(ForGateway, "", []string{"GATEHOUSE_STORE_ROOT=x", "GATEHOUSE_INTAKE_SPOOL_DIR=/tmp/s", "DATABASE_URL=sqlite:///x/y.db"})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(c.StoreRoot(), "/"), "relative folders become absolute")
	require.Equal(t, "/tmp/s", c.SpoolDir())
	require.True(t, c.Embedded())
}

func TestLinkSecretIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	c, err := Load(ForGateway, "", []string{"GATEHOUSE_DATA_DIR=" + dir + "/new"})
	require.NoError(t, err)
	got := make([][]byte, 16)
	errs := make([]error, len(got))
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i], errs[i] = c.LinkSecret() })
	}
	wg.Wait()
	for i := range got {
		require.NoError(t, errs[i])
		require.Equal(t, got[0], got[i], "all gateways agree on one secret")
	}
	require.Len(t, got[0], 64)

	c, err = Load(ForGateway, "", []string{"GATEHOUSE_AUTH_LINK_SECRET=" + strings.Repeat("z", 32)})
	require.NoError(t, err)
	given, err := c.LinkSecret()
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("z", 32), string(given))
}

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	Log{Level: "warn", Format: "json"}.Logger(&out).Info("hidden")
	Log{Level: "warn", Format: "json"}.Logger(&out).Warn("shown")
	require.NotContains(t, out.String(), "hidden")
	require.True(t, json.Valid(out.Bytes()))
	Log{Level: "debug", Format: "text"}.Logger(&out).Debug("plain")
	require.Contains(t, out.String(), "msg=plain")
}
