package jobs_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/reconcile"
	"gatehouse/worker/dispatch"
	"gatehouse/worker/jobs"
	"gatehouse/worker/tools/clamd"
)

const quotaBytes = 64 << 20

// eicar is the standard test file of virus scanners.
const eicar = `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`

// bench has everything a job works with: real database, store and scanner.
type bench struct {
	db     *meta.DB
	zones  *blob.Zones
	tenant string
	ledger quota.Ledger
	deps   jobs.Deps
	// socket leads to clamd; without the link the scanner is away.
	socket, link string
}

// onEach runs the test on each database, with the store on disk.
func onEach(t *testing.T, test func(t *testing.T, b *bench)) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		zones, err := blob.Open(context.Background(), blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
		require.NoError(t, err)
		test(t, newBench(t, db, zones))
	})
}

// onSQLite runs the test on one database: for what is about files and processes, and takes its time.
func onSQLite(t *testing.T, test func(t *testing.T, b *bench)) {
	zones, err := blob.Open(context.Background(), blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
	require.NoError(t, err)
	test(t, newBench(t, metatest.SQLite(t), zones))
}

func newBench(t *testing.T, db *meta.DB, zones *blob.Zones) *bench {
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	b := &bench{
		db: db, zones: zones, tenant: metatest.Tenant(t, db, quotaBytes), ledger: quota.Ledger{DB: db, TTL: time.Hour},
		socket: services.ClamdSocket(t), link: filepath.Join(t.TempDir(), "clamd.sock"),
	}
	b.plugScanner(t)
	scanner, err := clamd.New(clamd.Config{
		Address: "unix://" + b.link, TempDir: t.TempDir(), Timeout: time.Minute,
		Fingerprint: func(context.Context) (string, error) { return "local:test", nil },
	})
	require.NoError(t, err)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	b.deps = jobs.Deps{
		DB: db, Zones: zones, Ledger: b.ledger, Scanner: scanner, ScanTimeout: time.Minute, SweepEvery: time.Minute,
		Reconciler: reconcile.New(reconcile.Config{
			OrphanGrace: time.Hour, Infected: time.Hour, TaskHistory: time.Hour, EventHistory: time.Hour,
			IdempotencyTTL: time.Hour, Settle: time.Millisecond,
		}, db, zones, b.ledger, log),
	}
	return b
}

func (b *bench) plugScanner(t testing.TB)   { require.NoError(t, os.Symlink(b.socket, b.link)) }
func (b *bench) unplugScanner(t testing.TB) { require.NoError(t, os.Remove(b.link)) }

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// upload stores a file as the gateway does: the object first, then all rows at once. It returns the asset's id
// and the digest.
func (b *bench) upload(t testing.TB, content []byte, category storage.Category) (asset, digest string) {
	t.Helper()
	digest = digestOf(content)
	b.put(t, storage.ZoneQuarantine, digest, content)
	return b.rows(t, digest, int64(len(content)), category), digest
}

func (b *bench) put(t testing.TB, zone storage.Zone, digest string, content []byte) {
	t.Helper()
	key := storage.BlobKey(b.tenant, digest)
	require.NoError(t, b.zones.Of(zone).Put(context.Background(), key, bytes.NewReader(content), int64(len(content)), blob.PutOptions{}))
}

func (b *bench) rows(t testing.TB, digest string, size int64, category storage.Category) string {
	t.Helper()
	now := meta.Now()
	asset := meta.NewID()
	b.inTx(t, func(tx *meta.Tx) error {
		tenant := tx.Tenant(b.tenant)
		created, err := tenant.CreateBlob(&meta.Blob{
			SHA256: digest, Size: size, MediaType: "application/octet-stream", Category: category,
			Zone: storage.ZoneQuarantine, Refs: 1, ScanStatus: storage.ScanPending, MediaStatus: storage.MediaNone,
			CreatedAt: now, UpdatedAt: now,
		})
		require.NoError(t, err)
		require.True(t, created)
		if err := tenant.CreateAsset(b.asset(asset, digest, size, category)); err != nil {
			return err
		}
		return b.ledger.Charge(tx, b.tenant, size)
	})
	b.queue(t, storage.TaskScan, digest)
	return asset
}

func (b *bench) asset(id, digest string, size int64, category storage.Category) *meta.Asset {
	now := meta.Now()
	return &meta.Asset{
		ID: id, SHA256: digest, Name: "file", NameFolded: "file", Ext: "bin", Category: category,
		MediaType: "application/octet-stream", Size: size, State: storage.AssetQuarantined, CreatedAt: now, UpdatedAt: now,
	}
}

func (b *bench) inTx(t testing.TB, fn func(tx *meta.Tx) error) {
	t.Helper()
	require.NoError(t, b.db.InTx(context.Background(), fn))
}

func (b *bench) queue(t testing.TB, kind storage.TaskKind, digest string) {
	t.Helper()
	b.inTx(t, func(tx *meta.Tx) error {
		_, err := tx.Enqueue(meta.BlobTask(kind, b.tenant, digest))
		return err
	})
}

// open is the open task of that kind about the digest.
func (b *bench) open(t testing.TB, kind storage.TaskKind, digest string) (meta.Task, bool) {
	t.Helper()
	list, err := b.db.Tenant(context.Background(), b.tenant).TasksAbout(digest)
	require.NoError(t, err)
	for _, task := range list {
		if task.Kind == kind && (task.State == storage.TaskQueued || task.State == storage.TaskRunning) {
			return task, true
		}
	}
	return meta.Task{}, false
}

func (b *bench) job(t testing.TB, kind storage.TaskKind) jobs.Job {
	t.Helper()
	for _, j := range jobs.List(b.deps) {
		if j.Kind == kind {
			return j
		}
	}
	t.Fatalf("no job of kind %s", kind)
	return jobs.Job{}
}

// claim begins an attempt at the open task.
func (b *bench) claim(t testing.TB, kind storage.TaskKind, digest string) *jobs.Run {
	t.Helper()
	task, ok := b.open(t, kind, digest)
	require.True(t, ok, "no open %s task", kind)
	l, won, err := b.db.Claim(context.Background(), task.ID, "test", time.Minute)
	require.NoError(t, err)
	require.True(t, won)
	return jobs.NewRun(b.db, l, b.claimLog(t))
}

// attempt has package dispatch do the open task of that kind once, and returns the error of the outcome.
func (b *bench) attempt(t testing.TB, kind storage.TaskKind, digest string) error {
	t.Helper()
	return b.attemptAfter(t, kind, digest, func() {})
}

// attemptAfter lets something happen between what the job does and its commit.
func (b *bench) attemptAfter(t testing.TB, kind storage.TaskKind, digest string, meanwhile func()) error {
	t.Helper()
	// What an earlier attempt waits for need not be waited for here.
	b.inTx(t, func(tx *meta.Tx) error {
		_, err := tx.Exec(`UPDATE tasks SET run_at = 0 WHERE subject = ?`, digest)
		return err
	})
	job := b.job(t, kind)
	run := job.Run
	job.Run = func(ctx context.Context, r *jobs.Run) (jobs.Commit, error) {
		commit, err := run(ctx, r)
		meanwhile()
		return commit, err
	}
	d, err := dispatch.New(dispatch.Config{Worker: "test"}, b.db, dispatch.NewLocal(), []jobs.Job{job}, nil,
		prometheus.NewRegistry(), b.claimLog(t))
	require.NoError(t, err)
	return d.Attempt(context.Background(), b.claim(t, kind, digest).Lease)
}

// finish commits as package dispatch does.
func (b *bench) finish(r *jobs.Run, commit jobs.Commit) error {
	return b.db.InTx(context.Background(), func(tx *meta.Tx) error {
		if err := tx.Finish(r.Lease); err != nil || commit == nil {
			return err
		}
		return commit(tx)
	})
}

func (b *bench) blob(t testing.TB, digest string) meta.Blob {
	t.Helper()
	row, err := b.db.Tenant(context.Background(), b.tenant).Blob(digest)
	require.NoError(t, err)
	return row
}

func (b *bench) stateOf(t testing.TB, asset string) storage.AssetState {
	t.Helper()
	view, err := b.db.Tenant(context.Background(), b.tenant).Asset(asset)
	require.NoError(t, err)
	return view.State
}

// objects lists the keys of the tenant in a zone.
func (b *bench) objects(t testing.TB, zone storage.Zone) []string {
	t.Helper()
	keys := []string{}
	for info, err := range b.zones.Of(zone).List(context.Background(), b.tenant+"/", "") {
		require.NoError(t, err)
		keys = append(keys, info.Key)
	}
	return keys
}

// requireExactLedger holds invariant 4: the ledger says what the rows say, and the rows what lies in the zones.
func (b *bench) requireExactLedger(t testing.TB) {
	t.Helper()
	tenant := b.db.Tenant(context.Background(), b.tenant)
	q, err := tenant.Quota()
	require.NoError(t, err)
	stored, err := tenant.StoredBytes()
	require.NoError(t, err)
	require.Equal(t, stored, q.Used, "the ledger and the rows")
	require.Zero(t, q.Reserved)
	var lying int64
	for _, zone := range []storage.Zone{storage.ZoneQuarantine, storage.ZoneClean} {
		for info, err := range b.zones.Of(zone).List(context.Background(), b.tenant+"/", "") {
			require.NoError(t, err)
			lying += info.Size
		}
	}
	require.Equal(t, stored, lying, "the rows and the zones")
}

// sweepOrphan removes what an attempt put under a key that got no row, as the sweeper does after its grace time.
func (b *bench) sweepOrphan(t testing.TB, digest string) {
	t.Helper()
	for preset, ext := range map[string]string{"w640": "webp", "h264": "mp4"} {
		key := storage.VariantKey(b.tenant, digest, preset, "00112233aabb", ext)
		require.NoError(t, b.zones.Clean.Delete(context.Background(), key))
	}
}

func (b *bench) events(t testing.TB, asset string) []storage.EventKind {
	t.Helper()
	list, err := b.db.Tenant(context.Background(), b.tenant).Events(asset, 0, 100)
	require.NoError(t, err)
	kinds := []storage.EventKind{}
	for _, e := range list {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func (b *bench) audited(t testing.TB, action string) int64 {
	t.Helper()
	var n int64
	b.inTx(t, func(tx *meta.Tx) error {
		_, err := tx.Scan(&n, `SELECT COUNT(*) FROM audit_log WHERE action = ?`, action)
		return err
	})
	return n
}

// encryptedZip is an archive whose only member says that it is encrypted.
func encryptedZip(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	body := []byte("nobody can look into this member of the archive")
	m, err := w.CreateRaw(&zip.FileHeader{
		Name: "secret.txt", Flags: 0x1, Method: zip.Store,
		CompressedSize64: uint64(len(body)), UncompressedSize64: uint64(len(body)),
	})
	require.NoError(t, err)
	_, err = m.Write(body)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func (b *bench) read(t testing.TB, zone storage.Zone, key string) []byte {
	t.Helper()
	body, _, err := b.zones.Of(zone).Open(context.Background(), key, 0, -1)
	require.NoError(t, err)
	out, err := io.ReadAll(body)
	require.NoError(t, err)
	require.NoError(t, body.Close())
	return out
}

func (b *bench) claimLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}
