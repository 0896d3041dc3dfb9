package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/contract"
	"gatehouse/e2e/rig"
)

// nginxMain is what the configuration of a site stands in: one process, every path in a folder of the test.
const nginxMain = `
daemon off;
master_process off;
pid nginx.pid;
error_log error.log;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include site.conf;
}
`

// nginx serves a site on a free port, which it puts in place of LISTEN, and returns its URL.
func nginx(t *testing.T, site string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(nginxMain), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "site.conf"), []byte(strings.ReplaceAll(site, "LISTEN", addr)), 0o600))
	cmd := exec.Command("/usr/sbin/nginx", "-p", dir, "-c", "nginx.conf", "-e", "error.log")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("stop nginx: %v", err)
		}
		_ = cmd.Wait() // ended by the signal
		if said, err := os.ReadFile(filepath.Join(dir, "error.log")); t.Failed() {
			t.Logf("--- nginx said: %s (%v)", said, err)
		}
	})
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, patience, 20*time.Millisecond, "nginx listens")
	return "http://" + addr
}

// ourSite is configs/nginx/gatehouse.conf with the addresses of the test in it and nothing else changed.
func ourSite(t *testing.T, gateway string) string {
	t.Helper()
	raw, err := os.ReadFile("../configs/nginx/gatehouse.conf")
	require.NoError(t, err)
	site := string(raw)
	for from, to := range map[string]string{
		"listen 8080;":                 "listen LISTEN;",
		"server gateway:8080 resolve;": "server " + strings.TrimPrefix(gateway, "http://") + ";",
	} {
		require.Equal(t, 1, strings.Count(site, from), from)
		site = strings.Replace(site, from, to, 1)
	}
	return site
}

// TestClientsThroughNginx puts our nginx configuration between the clients and a gateway that trusts it.
func TestClientsThroughNginx(t *testing.T) {
	r := rig.Embedded(t, rig.Options{Workers: rig.NoWorkers, Env: map[string]string{"GATEHOUSE_HTTP_TRUSTED_PROXIES": "127.0.0.1"}})
	front := nginx(t, ourSite(t, r.URLs[0]))
	c := r.Tenant("acme", "pro")
	c.URL, c.HTTP = front, &http.Client{Transport: contract.Validator(t)}

	movie := film(t)
	for _, cl := range clients() {
		t.Run(cl.name, func(t *testing.T) { throughNginx(t, cl, front, r.Tenant(cl.name, "pro").Key, movie) })
	}
	t.Run("larger than nginx takes", func(t *testing.T) {
		_, err := c.UploadFrom("film.mp4", 600<<20, zeros{})
		require.Equal(t, "FILE_TOO_LARGE", rig.CodeOf(err), "%v", err)
	})
	t.Run("address of the client", func(t *testing.T) { addressThroughNginx(t, r, front, c.Key) })
	t.Run("operators only", func(t *testing.T) { operatorsOnly(t, front) })
	t.Run("events and content", func(t *testing.T) { eventsThroughNginx(t, r, c) })
	t.Run("gateway away", func(t *testing.T) {
		r.Gateways[0].Stop()
		_, err := c.Asset("0192f6c1-5b7e-7c3a-9b1e-2f4a6c8e0d12")
		require.Equal(t, "UNAVAILABLE", rig.CodeOf(err), "%v", err)
		_, err = c.Upload("photo.jpg", photo(t, 64, 48))
		require.Equal(t, "UNAVAILABLE", rig.CodeOf(err), "%v", err)
	})
}

// throughNginx is a session of a client with early refusals in it.
func throughNginx(t *testing.T, cl client, front, key, movie string) {
	dir := files{t: t, dir: t.TempDir()}
	const name = `Ferien 🏖️ "2026" 年.jpg`
	good := func() step { return step{"photo", attempt{dir.add(name, photo(t, 64, 48)), key}, "", name} }
	huge := step{"too large", attempt{dir.huge("film.mp4"), key}, "FILE_TOO_LARGE", ""}
	steps := []step{
		good(),
		huge, huge, huge, huge, huge,
		good(),
		{"no key, large", attempt{dir.copy("film.mp4", movie), ""}, "UNAUTHENTICATED", ""},
		{"wrong type, large", attempt{dir.copy("film.webm", movie), key}, "TYPE_MISMATCH", ""},
		good(),
		{"film", attempt{dir.copy("film.mp4", movie), key}, "", "film.mp4"},
	}
	check(t, steps, cl.session(t, front, attempts(steps)))
}

// addressThroughNginx comes from an address of its own and says that it is another.
func addressThroughNginx(t *testing.T, r *rig.Rig, front, key string) {
	const mine, lie = "127.0.0.9", "203.0.113.7"
	transport := &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(mine)}}).DialContext}
	defer transport.CloseIdleConnections()
	for id, base := range map[string]string{"by-nginx": front, "past-nginx": r.URLs[0]} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/v1/usage", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("X-Forwarded-For", lie)
		req.Header.Set("X-Request-Id", id)
		resp, err := transport.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
		line := regexp.MustCompile(`.*request_id=` + id + ` .*`)
		require.Eventually(t, func() bool { return line.MatchString(r.Gateways[0].Log()) }, patience, 50*time.Millisecond)
		require.Contains(t, line.FindString(r.Gateways[0].Log()), "client="+mine+" ")
	}
}

// operatorsOnly looks for what strangers must not see from outside.
func operatorsOnly(t *testing.T, front string) {
	stranger := &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.9")}}).DialContext}
	defer stranger.CloseIdleConnections()
	for path, status := range map[string]int{"/healthz": 200, "/readyz": 403, "/metrics": 404} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front+path, nil)
		require.NoError(t, err)
		resp, err := stranger.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, status, resp.StatusCode, path)
	}
}

// eventsThroughNginx reads each event before the next one is caused: nothing in between keeps it back.
func eventsThroughNginx(t *testing.T, r *rig.Rig, c *rig.Client) {
	picture := photo(t, 640, 480)
	a, err := c.Upload("photo.jpg", picture)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.URL+"/api/v1/assets/"+a.ID+"/events", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+c.Key)
	resp, err := c.HTTP.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	next := func() string {
		for lines.Scan() {
			if kind, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				return kind
			}
		}
		return fmt.Sprintf("the end (%v)", lines.Err())
	}
	require.Equal(t, "accepted", next(), "before there is a worker")
	r.AddWorker()
	require.Equal(t, "scanned", next())
	for kind := next(); kind != "end"; kind = next() {
		require.Contains(t, []string{"media", "variant_ready"}, kind)
	}

	got, err := c.Bytes("/api/v1/assets/" + a.ID + "/content")
	require.NoError(t, err)
	require.Equal(t, picture, got)
	_, err = c.Bytes("/api/v1/assets/" + a.ID + "/variants/w320")
	require.NoError(t, err)
}

// zeros is a file of any size.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
