package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"gatehouse/e2e/rig"
	"gatehouse/e2e/services"
)

// withWorkerMetrics is a rig whose worker serves /metrics; embedded, so that the store is a local disk as it is
// for the tools it is compared with.
func withWorkerMetrics(c *console, env map[string]string) (*rig.Rig, string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	c.must(err)
	addr := l.Addr().String()
	c.must(l.Close())
	all := map[string]string{
		"GATEHOUSE_LOG_LEVEL": "warn", "GATEHOUSE_WORKER_HTTP_ADDR": addr, "GATEHOUSE_PLANS_PRO_STORAGE_BYTES": "1TiB",
	}
	for k, v := range env {
		all[k] = v
	}
	r := rig.Embedded(c, rig.Options{Env: all})
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get("http://" + addr + "/healthz")
		if err == nil {
			c.must(resp.Body.Close())
			return r, "http://" + addr + "/metrics"
		}
		if time.Now().After(end) {
			c.Fatal(err)
		}
	}
}

// taskSeconds is how long tasks of a kind have taken so far in all, and how many there were.
func taskSeconds(c *console, url, kind string) (sum float64, count uint64) {
	resp, err := http.Get(url)
	c.must(err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	c.must(err)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(raw))
	c.must(err)
	for _, m := range families["gatehouse_task_seconds"].GetMetric() {
		if label(m, "kind") == kind {
			return m.GetHistogram().GetSampleSum(), m.GetHistogram().GetSampleCount()
		}
	}
	return 0, 0
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// benchScan compares the scan task (read, scan, hash, verdict, copy to the clean zone, rows) with clamdscan on
// the same files and the same clamd.
func benchScan(c *console) []row {
	const files = 60
	r, metrics := withWorkerMetrics(c, map[string]string{
		"GATEHOUSE_TASKS_LANES_SCAN_CONCURRENCY": "1", "GATEHOUSE_PLANS_PRO_TRANSCODING": "false",
		"GATEHOUSE_SCANNER_ADDRESS":      "unix://" + services.ClamdSocket(c),
		"GATEHOUSE_SCANNER_DATABASE_DIR": services.ClamdDatabase(c),
	})
	tenant := r.Tenant("bench", "pro")
	conf := filepath.Join(filepath.Dir(services.ClamdDatabase(c)), "clamd.conf")
	var rows []row
	for _, x := range []struct {
		label string
		file  stamped
	}{{"1 MiB", mp4Of(1 << 20)}, {"16 MiB", mp4Of(16 << 20)}} {
		dir := c.TempDir()
		before, n := taskSeconds(c, metrics, "scan")
		for i := range files {
			content := x.file.next(make([]byte, len(x.file.bytes)))
			// The reference gets other bytes of the same kind: clamd remembers what it has found clean.
			other := x.file.next(make([]byte, len(x.file.bytes)))
			c.must(os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.mp4", i)), other, 0o644))
			a, err := tenant.Upload(x.file.name, content)
			c.must(err)
			tenant.Await(a.ID, time.Minute, rig.Scanned)
		}
		after, m := taskSeconds(c, metrics, "scan")
		ours := (after - before) / float64(m-n)

		began := time.Now()
		for i := range files {
			cmd := exec.Command("clamdscan", "--fdpass", "--no-summary", "--config-file="+conf, filepath.Join(dir, fmt.Sprintf("%d.mp4", i)))
			if out, err := cmd.CombinedOutput(); err != nil {
				c.Fatalf("clamdscan: %v\n%s", err, out)
			}
		}
		theirs := time.Since(began).Seconds() / files
		rows = append(rows, row{
			what:     "scan task, " + x.label,
			measured: ms(ours), reference: "clamdscan --fdpass " + ms(theirs), ratio: ours / theirs, aim: "<= 1.20",
		})
	}
	return rows
}

func ms(seconds float64) string { return fmt.Sprintf("%.1f ms", seconds*1000) }
