package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"gatehouse/e2e/services"
	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/reconcile"
)

// The children of this section: each works in a process of its own, so that its memory is its own.
const (
	bareListing   = "bare-listing"
	wholeCompare  = "whole-compare"
	benchTenants  = 10
	smallCompare  = 10_000
	reconcileRuns = 3
)

// took is what a child tells.
type took struct {
	Seconds float64
	Objects int64
	Rows    int64
	Found   int64
}

// benchReconcile compares a million objects and as many blobs and assets in PostgreSQL, against the bare listing of the
// same store, and looks at the memory of the comparison with few and with all.
func benchReconcile(c *console) []row {
	all := max(smallCompare, int(1_000_000*c.share))
	small := compareMany(c, smallCompare)
	large := compareMany(c, all)
	return []row{
		{
			what:      fmt.Sprintf("reconciliation, %d objects and rows, disk and PostgreSQL", all),
			measured:  fmt.Sprintf("%.2f s", large.seconds),
			reference: fmt.Sprintf("bare listing %.2f s", large.bare), ratio: large.seconds / large.bare, aim: "<= 1.50",
		},
		{
			what:      fmt.Sprintf("resident memory of a reconciliation, %d objects", all),
			measured:  fmt.Sprintf("peak %d MiB", large.memory>>20),
			reference: fmt.Sprintf("%d objects: peak %d MiB", smallCompare, small.memory>>20),
			ratio:     float64(large.memory) / float64(small.memory), aim: "<= 1.50",
		},
	}
}

type compared struct {
	seconds, bare float64
	memory        int64
}

func compareMany(c *console, n int) compared {
	root, url := c.TempDir(), services.PostgresDSN(c)
	fillRows(c, url, n)
	fillStore(c, root, n)
	_, _ = runChild(c, bareListing, root, url) // the folders come from the disk once, for both
	out := compared{seconds: 1e9, bare: 1e9}
	for range reconcileRuns { // the best of each, one right after the other
		bare, _ := runChild(c, bareListing, root, url)
		whole, memory := runChild(c, wholeCompare, root, url)
		if bare.Objects != int64(n) || whole.Objects != int64(n) || whole.Rows != int64(n) || whole.Found != 0 {
			c.Fatalf("the comparison is wrong: %+v, %+v", bare, whole)
		}
		out.seconds, out.bare, out.memory = min(out.seconds, whole.Seconds), min(out.bare, bare.Seconds), max(out.memory, memory)
	}
	return out
}

func benchTenant(n int) string { return fmt.Sprintf("0190c0de-0000-7000-8000-%012d", n%benchTenants) }

// fillStore writes empty objects as plain files: a store that is filled as uploads fill it would take hours.
func fillStore(c *console, root string, n int) {
	for i := range n {
		sum := sha256.Sum256(fmt.Appendf(nil, "b%d", i))
		path := filepath.Join(root, string(storage.ZoneClean), filepath.FromSlash(storage.BlobKey(benchTenant(i), hex.EncodeToString(sum[:]))))
		err := os.WriteFile(path, nil, 0o600)
		if os.IsNotExist(err) {
			c.must(os.MkdirAll(filepath.Dir(path), 0o700))
			err = os.WriteFile(path, nil, 0o600)
		}
		c.must(err)
	}
}

func fillRows(c *console, url string, n int) {
	ctx := context.Background()
	db, err := meta.Open(ctx, meta.Config{URL: url, MaxOpenConns: 4})
	c.must(err)
	defer func() { c.must(db.Close()) }()
	c.must(db.Migrate(ctx))
	const tenant = `'0190c0de-0000-7000-8000-' || lpad(mod(i, 10)::text, 12, '0')`
	const digest = `encode(sha256(('b' || i)::bytea), 'hex')`
	for _, sql := range []string{
		`INSERT INTO plans (name, storage_bytes, spec, updated_at) VALUES ('bench', 1000000, '{}', 1)`,
		fmt.Sprintf(`INSERT INTO tenants (id, name, plan, state, used_files, created_at, updated_at)
			SELECT `+tenant+`, 'bench ' || i, 'bench', 'active', %d, 1, 1 FROM generate_series(0, 9) i`, n/benchTenants),
		fmt.Sprintf(`INSERT INTO blobs (tenant_id, sha256, size, media_type, category, zone, refs, sweeping, scan_status, media_status,
				verified_at, created_at, updated_at)
			SELECT `+tenant+`, `+digest+`, 0, 'text/plain', 'document', 'clean', 1, false, 'clean', 'none', %d, 1, 1
			FROM generate_series(0, %d) i`, meta.Now().Add(24*time.Hour), n-1), // no digest is due: bytes are not what is measured
		fmt.Sprintf(`INSERT INTO assets (id, tenant_id, sha256, name, name_folded, ext, category, media_type, size, state, duplicate, created_at, updated_at)
			SELECT gen_random_uuid(), `+tenant+`, `+digest+`, 'n', 'n', 'txt', 'document', 'text/plain', 0, 'available', false, 1, 1
			FROM generate_series(0, %d) i`, n-1),
		`ANALYZE`,
	} {
		_, err := db.Exec(ctx, sql)
		c.must(err)
	}
}

// runChild runs this program again and returns what it tells and its peak of resident memory.
func runChild(c *console, name, root, url string) (took, int64) {
	self, err := os.Executable()
	c.must(err)
	cmd := exec.Command(self, name, root, url)
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	c.must(err)
	var t took
	c.must(json.Unmarshal(raw, &t))
	usage, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return t, usage.Maxrss << 10 // KiB on Linux (getrusage(2))
}

// reconcileChild is what the children do.
func reconcileChild(name, root, url string) error {
	ctx := context.Background()
	zones, err := blob.Open(ctx, blob.Config{Driver: blob.DriverDisk, Root: root})
	if err != nil {
		return err
	}
	do := func() (took, error) { return listBare(ctx, zones) }
	if name == wholeCompare {
		db, err := meta.Open(ctx, meta.Config{URL: url, MaxOpenConns: 10, MaxIdleConns: 10})
		if err != nil {
			return err
		}
		do = func() (took, error) { return compareAll(ctx, db, zones) }
	}
	began := time.Now()
	t, err := do()
	if err != nil {
		return err
	}
	t.Seconds = time.Since(began).Seconds()
	return json.NewEncoder(os.Stdout).Encode(t)
}

func listBare(ctx context.Context, zones *blob.Zones) (t took, err error) {
	for _, zone := range []blob.Bucket{zones.Quarantine, zones.Clean} {
		for _, err := range zone.List(ctx, "", "") {
			if err != nil {
				return t, err
			}
			t.Objects++
		}
	}
	return t, nil
}

func compareAll(ctx context.Context, db *meta.DB, zones *blob.Zones) (took, error) {
	r := reconcile.New(reconcile.Config{OrphanGrace: time.Hour}, db, zones, quota.Ledger{DB: db}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	var run meta.ReconcileRun
	err := db.InTx(ctx, func(tx *meta.Tx) error {
		var err error
		run, err = reconcile.Begin(tx, reconcile.Request{Kind: meta.RunFull, By: "bench", Actor: audit.CLI})
		return err
	})
	if err == nil {
		run, err = r.Perform(ctx, run.ID, nil, nil)
	}
	if err == nil && run.Findings > 0 { // there should be none; these are why the section fails
		err = r.Export(ctx, os.Stderr, run.ID, reconcile.FormatTable, meta.FindingFilter{})
	}
	return took{Objects: run.Objects, Rows: run.RowCount, Found: run.Findings}, err
}
