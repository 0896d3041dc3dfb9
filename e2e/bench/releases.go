package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v2"

	"gatehouse/e2e/rig"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

// benchReleases measures what update clients do all the time: asking, downloading, and telling that they are there.
func benchReleases(c *console) []row {
	return append(append(benchPolls(c), benchDownloads(c)...), benchHeartbeats(c)...)
}

// pollConnections are open at once while polls are measured.
const pollConnections = 32

// benchPolls asks for updates, against a bare fiber handler that returns the same bytes.
func benchPolls(c *console) []row {
	r := rig.Distributed(c, rig.Options{Workers: rig.NoWorkers, Env: map[string]string{"GATEHOUSE_LOG_LEVEL": "info"}})
	db := openRig(c, r)
	for _, channel := range []string{"stable", "beta"} {
		for _, platform := range release.Platforms {
			for _, arch := range release.Archs {
				track := release.Track{Channel: channel, Platform: platform, Arch: arch}
				first := publish(c, db, track, "1.0.0", "", 100)
				publish(c, db, track, "2.0.0", first, 30)
			}
		}
	}
	prefix := r.URLs[0] + "/api/release/v1/"
	var rows []row
	for _, poll := range []struct{ what, path string }{
		{"updates/latest with an update", "updates/latest/?platform=win32&arch=x64&current_version=1.0.0&device_id=0190c0de-0000-7000-9000-000000000000"},
		{"updates/latest without", "updates/latest/?platform=win32&arch=x64&current_version=2.0.0"},
		{"latest.yml", "feed/stable/win32/x64/latest.yml"},
	} {
		rows = append(rows, pollRow(c, poll.what, prefix+poll.path))
	}
	return rows
}

// stagingID is that of a device in the stage of 30 %.
const stagingID = "0190c0de-0000-7000-9000-000000000000"

func pollRow(c *console, what, url string) row {
	bare := startBare(c, fetch(c, url))
	var ours, theirs load
	turn := max(time.Second, time.Duration(float64(5*time.Second)*c.share))
	press(c, url, turn) // warm
	for i := range 6 {  // drift of the machine hits both
		if i%2 == 0 {
			ours.add(press(c, url, turn))
			theirs.add(press(c, bare, turn))
		} else {
			theirs.add(press(c, bare, turn))
			ours.add(press(c, url, turn))
		}
	}
	return row{
		what: fmt.Sprintf("%s, %d connections", what, pollConnections), measured: ours.String(), reference: "bare fiber " + theirs.String(),
		ratio: ours.rate() / theirs.rate(), aim: ">= 0.7",
	}
}

// load is what some runs of wrk have seen.
type load struct {
	requests, errors int64
	took             time.Duration
	p95              time.Duration // the worst of the runs
}

func (l *load) add(o load) {
	l.requests, l.errors, l.took, l.p95 = l.requests+o.requests, l.errors+o.errors, l.took+o.took, max(l.p95, o.p95)
}

func (l load) rate() float64 { return float64(l.requests) / l.took.Seconds() }

func (l load) String() string {
	return fmt.Sprintf("%.0f/s (p95 %.2f ms)", l.rate(), float64(l.p95.Microseconds())/1000)
}

const wrkScript = `
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("\nRESULT %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(95),
    e.connect + e.read + e.write + e.status + e.timeout))
end
`

// press asks for a URL as fast as it is answered.
func press(c *console, url string, d time.Duration) load {
	script := filepath.Join(c.TempDir(), "report.lua")
	c.must(os.WriteFile(script, []byte(wrkScript), 0o600))
	out, err := exec.Command("wrk", "-t1", fmt.Sprintf("-c%d", pollConnections), fmt.Sprintf("-d%.0fs", d.Seconds()), "-s", script,
		"-H", "x-user-staging-id: "+stagingID, "-H", "User-Agent: electron-builder", url).CombinedOutput()
	if err != nil {
		c.Fatalf("wrk: %v: %s", err, out)
	}
	_, result, ok := strings.Cut(string(out), "RESULT ")
	var l load
	var us, p95 int64
	if _, err := fmt.Sscan(result, &l.requests, &us, &p95, &l.errors); err != nil || !ok || l.errors > 0 {
		c.Fatalf("wrk: %v: %s", err, out)
	}
	l.took, l.p95 = time.Duration(us)*time.Microsecond, time.Duration(p95)*time.Microsecond
	return l
}

func fetch(c *console, url string) []byte {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	c.must(err)
	req.Header.Set("x-user-staging-id", stagingID)
	resp, err := http.DefaultClient.Do(req)
	c.must(err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	c.must(err)
	if resp.StatusCode != http.StatusOK {
		c.Fatalf("%s: %d %s", url, resp.StatusCode, raw)
	}
	return raw
}

// bareFiber is this program's own command: a fiber app that answers every request with a file's bytes.
const bareFiber = "bare-fiber"

func serveBareFiber(addr, file string) error {
	body, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/*", func(f *fiber.Ctx) error { return f.Send(body) })
	return app.Listen(addr)
}

func startBare(c *console, body []byte) string {
	file := filepath.Join(c.TempDir(), "body")
	c.must(os.WriteFile(file, body, 0o600))
	addr := freePort(c)
	self, err := os.Executable()
	c.must(err)
	cmd := exec.Command(self, bareFiber, addr, file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.must(cmd.Start())
	c.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	waitFor(c, addr)
	return "http://" + addr + "/"
}

func openRig(c *console, r *rig.Rig) *meta.DB {
	url := r.Env["GATEHOUSE_DATABASE_URL"]
	if url == "" {
		url = "sqlite://" + filepath.Join(r.Env["GATEHOUSE_DATA_DIR"], "gatehouse.db")
	}
	db, err := meta.Open(context.Background(), meta.Config{URL: url, MaxOpenConns: 4, MaxIdleConns: 4, ConnMaxLifetime: time.Hour, BusyTimeout: 10 * time.Second})
	c.must(err)
	c.Cleanup(func() { _ = db.Close() })
	c.must(db.InTx(context.Background(), func(tx *meta.Tx) error {
		now := meta.Now()
		_, err := tx.CreateTenant(&meta.TenantRow{ID: release.PlatformTenant, Name: "platform", Plan: "platform", State: storage.TenantActive, CreatedAt: now, UpdatedAt: now})
		return err
	}))
	return db
}
