package alerts

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/snapshot"
)

// ruleBench is an engine with one rule, that of the test, on each database.
func ruleBench(t *testing.T, rule string, test func(t *testing.T, b *bench)) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		b := newBench(t, db, logTo("log"))
		b.only(t, rule)
		require.Empty(t, b.openNow(t), "nothing is wrong with a new system")
		test(t, b)
	})
}

// onSQLite is ruleBench on one database, for rules whose only questions are facts.
func onSQLite(t *testing.T, rule string, test func(t *testing.T, b *bench)) {
	b := newBench(t, metatest.SQLite(t), logTo("log"))
	b.only(t, rule)
	require.Empty(t, b.openNow(t), "nothing is wrong with a new system")
	test(t, b)
}

func (b *bench) inTx(t *testing.T, fn func(*meta.Tx) error) {
	t.Helper()
	require.NoError(t, b.db.InTx(t.Context(), fn))
}

func (b *bench) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	n, err := b.db.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
	require.NotZero(t, n, sql)
}

func (b *bench) audit(t *testing.T, e audit.Entry) {
	t.Helper()
	b.inTx(t, func(tx *meta.Tx) error { return audit.Write(tx, e) })
}

const digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// upload makes an infected or clean blob with an asset, as upload and scan leave them.
func (b *bench) upload(t *testing.T, tenant string, status storage.ScanStatus) {
	t.Helper()
	now := meta.Now()
	b.inTx(t, func(tx *meta.Tx) error {
		_, err := tx.Tenant(tenant).CreateBlob(&meta.Blob{
			SHA256: digest, Size: 4, MediaType: "text/plain", Category: storage.CategoryDocument, Zone: storage.ZoneQuarantine,
			Refs: 1, ScanStatus: status, ScanSignature: "Eicar", MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
		})
		return errors.Join(err, tx.Tenant(tenant).CreateAsset(&meta.Asset{
			ID: meta.NewID(), SHA256: digest, Name: "a.txt", Ext: "txt", Category: storage.CategoryDocument, MediaType: "text/plain",
			Size: 4, State: storage.AssetQuarantined, CreatedAt: now, UpdatedAt: now,
		}))
	})
	b.verdict(t, tenant, status)
}

func (b *bench) verdict(t *testing.T, tenant string, status storage.ScanStatus) {
	t.Helper()
	b.audit(t, audit.Entry{
		Actor: audit.Worker, TenantID: tenant, Action: "scan.verdict", Target: digest, Result: audit.OK,
		Data: map[string]any{"status": status, "signature": "Eicar"},
	})
}

func TestInfectedUploads(t *testing.T) {
	ruleBench(t, "infected", func(t *testing.T, b *bench) {
		tenant, other, third := metatest.Tenant(t, b.db, 1000), metatest.Tenant(t, b.db, 1000), metatest.Tenant(t, b.db, 1000)
		b.upload(t, third, storage.ScanClean)
		b.upload(t, tenant, storage.ScanInfected)
		a := b.one(t)
		require.Equal(t, tenant, a.TenantID)
		require.Contains(t, a.Message, "tenant-"+tenant)
		require.Regexp(t, `: "a\.txt" \(asset [0-9a-f-]{36}\): Eicar\. `, a.Message)
		require.Contains(t, a.Data, digest)
		require.Contains(t, a.Data, `"name":"a.txt"`)
		b.clock.pass(time.Minute)
		require.Equal(t, a.ID, b.one(t).ID)

		// Deleted within the minute: it is told all the same, and over at once, though the log is read again.
		b.verdict(t, other, storage.ScanInfected)
		require.Len(t, b.openNow(t), 2)
		b.clock.pass(time.Minute)
		require.Equal(t, a.ID, b.one(t).ID)
		b.clock.pass(time.Minute)
		require.Equal(t, a.ID, b.one(t).ID)

		b.exec(t, "UPDATE blobs SET refs = 0 WHERE tenant_id = ?", tenant)
		b.clock.pass(time.Minute)
		require.Empty(t, b.openNow(t), "its asset was deleted")

		b.exec(t, "UPDATE blobs SET refs = 1 WHERE tenant_id = ?", tenant)
		b.verdict(t, tenant, storage.ScanInfected)
		b.clock.at = time.Now()
		require.NotEqual(t, a.ID, b.one(t).ID, "scanned again after another upload")
		b.clock.pass(24 * time.Hour)
		require.Empty(t, b.openNow(t), "after a day it is no news")
		b.clock.pass(time.Minute)
		require.Empty(t, b.openNow(t))
	})
}

// The newest part of the log is read again: a record that commits late is not missed.
func TestInfectedUploadsAreReadAgain(t *testing.T) {
	db := metatest.SQLite(t)
	b := newBench(t, db, logTo("log"))
	b.only(t, "infected")
	tenant := metatest.Tenant(t, db, 1000)
	require.Empty(t, b.openNow(t))
	for i := range 30 {
		b.verdict(t, tenant, storage.ScanClean)
		if i%10 == 7 {
			b.verdicts(t, tenant, i, i+1)
		}
	}
	require.Len(t, b.openNow(t), 3)
	_, err := db.FactByName(t.Context(), factFeed)
	require.ErrorIs(t, err, storage.ErrNotFound, "the records are too young for the cursor to pass them")
	b.clock.pass(audit.Settles + time.Minute)
	b.tick(t)
	fact, err := db.FactByName(t.Context(), factFeed)
	require.NoError(t, err)
	require.Equal(t, "33", fact.Value)
}

func TestRefusalsOfATenant(t *testing.T) {
	ruleBench(t, "refusals", func(t *testing.T, b *bench) {
		tenant, other := metatest.Tenant(t, b.db, 1000), metatest.Tenant(t, b.db, 1000)
		refuse := func(tenant, action string, code storage.Code) {
			b.audit(t, audit.Entry{Actor: audit.CLI, TenantID: tenant, Action: action, Result: audit.Refused, Code: string(code)})
		}
		refuse(tenant, "asset.upload", storage.CodeFileTooLarge)
		refuse(tenant, "asset.upload", storage.CodeFileTooLarge)
		refuse(other, "asset.upload", storage.CodeFileTooLarge)
		refuse(tenant, "asset.delete", storage.CodeNotFound)
		b.audit(t, audit.Entry{Actor: audit.CLI, TenantID: tenant, Action: "asset.upload", Result: audit.OK})
		require.Empty(t, b.openNow(t))
		refuse(tenant, "asset.upload", storage.CodeContentUnsafe)
		a := b.one(t)
		require.Equal(t, tenant, a.TenantID)
		require.Contains(t, a.Message, "3 uploads of tenant \"tenant-")
		require.Contains(t, a.Message, "2 FILE_TOO_LARGE, 1 CONTENT_UNSAFE")
		b.clock.pass(11 * time.Minute)
		require.Empty(t, b.openNow(t))
	})
}

func TestQuotaLevels(t *testing.T) {
	ruleBench(t, "quota", func(t *testing.T, b *bench) {
		tenant := metatest.Tenant(t, b.db, 1001)
		huge := metatest.Tenant(t, b.db, 1<<60)
		use := func(bytes int64) { b.exec(t, "UPDATE tenants SET used_bytes = ? WHERE id = ?", bytes, tenant) }
		use(800)
		require.Empty(t, b.openNow(t), "800 of 1001 is less than 80 %")
		use(801)
		a := b.one(t)
		require.Equal(t, "info", a.Severity)
		use(951)
		require.Equal(t, "warning", b.one(t).Severity)
		use(1001)
		require.Equal(t, "critical", b.one(t).Severity)
		use(960)
		require.Equal(t, "warning", b.one(t).Severity)
		require.Equal(t, a.ID, b.one(t).ID, "one alert that rises and falls")
		require.Equal(t, []string{Opened, Changed, Changed, Changed}, kinds(b.events(t, a.ID, "log")))
		b.exec(t, "UPDATE tenants SET quota_override = 2000 WHERE id = ?", tenant)
		require.Empty(t, b.openNow(t), "a larger quota ends it")

		b.exec(t, "UPDATE tenants SET used_bytes = ? WHERE id = ?", int64(1)<<60/100*99, huge)
		require.Equal(t, "warning", b.one(t).Severity, "no overflow")
		b.exec(t, "UPDATE tenants SET state = 'deleted' WHERE id = ?", huge)
		require.Empty(t, b.openNow(t))
	})
}

func (b *bench) task(t *testing.T, kind storage.TaskKind, state storage.TaskState, runAt meta.Stamp) string {
	t.Helper()
	id := meta.NewID()
	b.inTx(t, func(tx *meta.Tx) error {
		return tx.Create(&meta.Task{ID: id, Kind: kind, Lane: storage.LaneOf(kind), State: state, RunAt: runAt, FinishedAt: runAt,
			LastError: "the last error of " + string(kind), CreatedAt: runAt, UpdatedAt: runAt})
	})
	return id
}

func TestDeadTasks(t *testing.T) {
	ruleBench(t, "dead_tasks", func(t *testing.T, b *bench) {
		now := meta.Now()
		b.task(t, storage.TaskImage, storage.TaskQueued, now)
		b.task(t, storage.TaskScan, storage.TaskDead, now)
		last := b.task(t, storage.TaskScan, storage.TaskDead, now.Add(time.Second))
		video := b.task(t, storage.TaskVideo, storage.TaskDead, now)
		list := b.openNow(t)
		require.Len(t, list, 2, "one a kind")
		require.Contains(t, list[0].Message, "2 tasks of kind scan have failed too often")
		require.Contains(t, list[0].Message, "the last error of scan")
		require.Contains(t, list[0].Data, last)
		b.exec(t, "UPDATE tasks SET state = 'cancelled' WHERE id = ?", video)
		require.Equal(t, "scan", b.one(t).Subject)
		b.exec(t, "UPDATE tasks SET state = 'queued' WHERE kind = 'scan'")
		require.Empty(t, b.openNow(t))
	})
}

func TestWaitingTasks(t *testing.T) {
	ruleBench(t, "waiting_tasks", func(t *testing.T, b *bench) {
		now := meta.StampOf(b.clock.now())
		b.task(t, storage.TaskScan, storage.TaskRunning, now.Add(-time.Hour))
		b.task(t, storage.TaskSweep, storage.TaskQueued, now.Add(-time.Hour)) // a lane without a limit here
		b.task(t, storage.TaskScan, storage.TaskQueued, now.Add(time.Hour))
		b.task(t, storage.TaskScan, storage.TaskQueued, now.Add(-14*time.Minute))
		require.Empty(t, b.openNow(t))
		b.clock.pass(2 * time.Minute)
		a := b.one(t)
		require.Equal(t, "scan", a.Subject)
		require.Contains(t, a.Message, "due for 16m")
		b.exec(t, "UPDATE tasks SET state = 'done' WHERE state = 'queued' AND lane = 'scan'")
		require.Empty(t, b.openNow(t))
	})
}

// scannerSays is what a worker's watch tells at the bench's time.
func (b *bench) scannerSays(t *testing.T, f meta.ScannerFact) {
	t.Helper()
	f.CheckedAt = meta.StampOf(b.clock.now())
	f.NextCheck = f.CheckedAt.Add(30 * time.Second)
	require.NoError(t, b.db.SetScanner(t.Context(), f))
}

func TestScannerThatIsNotReady(t *testing.T) {
	onSQLite(t, "scanner", func(t *testing.T, b *bench) {
		down := meta.ScannerFact{Host: "one", Problem: "connection refused", UnreadySince: meta.StampOf(b.clock.now())}
		up := meta.ScannerFact{Host: "two", Ready: true}
		b.scannerSays(t, down)
		b.scannerSays(t, up)
		require.Empty(t, b.openNow(t), "it may be starting")
		b.clock.pass(2 * time.Minute)
		b.scannerSays(t, down)
		b.scannerSays(t, up) // the other worker's word does not cover it up
		a := b.one(t)
		require.Equal(t, "one", a.Subject)
		require.Contains(t, a.Message, "connection refused")
		b.clock.pass(2 * time.Minute)
		b.scannerSays(t, up)
		require.Contains(t, b.one(t).Message, "The worker has said nothing since", "it may have died of the same")
		b.scannerSays(t, meta.ScannerFact{Host: "one", Ready: true})
		require.Empty(t, b.openNow(t))

		b.clock.pass(4 * time.Minute) // nobody looks any more
		require.Equal(t, "all", b.one(t).Subject)
		b.scannerSays(t, up)
		require.Empty(t, b.openNow(t))
	})
}

func TestOldSignatures(t *testing.T) {
	onSQLite(t, "signatures", func(t *testing.T, b *bench) {
		daily := func(age time.Duration) string {
			return "daily:27800/" + b.clock.now().UTC().Add(-age).Format(time.ANSIC)
		}
		for _, fine := range []string{daily(6 * 24 * time.Hour), "folder:0123", "test-signatures:0123", "daily:27800/nonsense", ""} {
			b.scannerSays(t, meta.ScannerFact{Host: "one", Ready: true, Database: fine})
			require.Empty(t, b.openNow(t), fine)
		}
		b.scannerSays(t, meta.ScannerFact{Host: "one", Ready: true, Database: daily(8 * 24 * time.Hour)})
		a := b.one(t)
		require.Equal(t, "one", a.Subject)
		require.Contains(t, a.Message, "8d 0h ago")
		b.scannerSays(t, meta.ScannerFact{Host: "one", Ready: true, Database: daily(time.Hour)})
		require.Empty(t, b.openNow(t))
	})
}

func TestOnlyTestSignatures(t *testing.T) {
	onSQLite(t, "test_signatures", func(t *testing.T, b *bench) {
		b.scannerSays(t, meta.ScannerFact{Host: "one", Ready: true, TestSignatures: true})
		require.Equal(t, "warning", b.one(t).Severity)
		b.scannerSays(t, meta.ScannerFact{Host: "one", Ready: true})
		require.Empty(t, b.openNow(t))
	})
}

// run makes a reconciliation that has ended, with findings of one kind a tenant.
func (b *bench) run(t *testing.T, kind string, at time.Duration, tenants string, state string, lost map[string]int) string {
	t.Helper()
	now := meta.StampOf(b.clock.now()).Add(at)
	r := meta.ReconcileRun{ID: meta.NewID(), Kind: kind, State: meta.RunDone, Tenants: tenants, StartedAt: now, UpdatedAt: now, FinishedAt: now}
	b.inTx(t, func(tx *meta.Tx) error {
		errs := []error{tx.Create(&r)}
		for tenant, n := range lost {
			for range n {
				errs = append(errs, tx.Create(&meta.ReconcileFinding{ID: meta.NewID(), RunID: r.ID, TenantID: tenant, Kind: storage.DriftMissing,
					Repair: storage.RepairDamaged, Detail: "{}", State: state, FoundAt: now}), tx.Create(&meta.ReconcileFinding{ID: meta.NewID(),
					RunID: r.ID, TenantID: tenant, Kind: storage.DriftDigest, Detail: "{}", State: meta.FindingOpen, FoundAt: now})) // known before
			}
		}
		return errors.Join(errs...)
	})
	return r.ID
}

func TestFindingsOfReconciliations(t *testing.T) {
	ruleBench(t, "reconcile", func(t *testing.T, b *bench) {
		b.run(t, meta.RunFull, 0, "[]", meta.FindingOpen, nil)
		b.run(t, meta.RunLight, 1*time.Minute, `["a","b"]`, meta.FindingOpen, map[string]int{"a": 2, "b": 4})
		a := b.one(t)
		require.Equal(t, "light", a.Subject)
		require.Contains(t, a.Message, "6 differences were found between records and store of 2 tenants: 6 row_without_object.")
		require.Contains(t, a.Message, "over tenants that changed")
		b.run(t, meta.RunLight, 2*time.Minute, `["c"]`, meta.FindingOpen, nil)
		require.Contains(t, b.one(t).Message, "6 differences", "a pass over others says nothing about these")
		b.run(t, meta.RunLight, 3*time.Minute, `["b"]`, meta.FindingOpen, nil)
		require.Contains(t, b.one(t).Message, "2 differences were found between records and store of tenant a:")
		b.run(t, meta.RunLight, 4*time.Minute, `[]`, meta.FindingOpen, nil)
		require.Contains(t, b.one(t).Message, "2 differences", "a pass that chose nobody says nothing")
		b.run(t, meta.RunLight, 4*time.Minute+time.Second, `["a"]`, meta.FindingOpen, nil)
		require.Empty(t, b.openNow(t))
		b.run(t, meta.RunLight, 5*time.Minute, `["a"]`, meta.FindingOpen, map[string]int{"a": 3})
		require.Equal(t, "light", b.one(t).Subject)

		b.run(t, meta.RunFull, 6*time.Minute, "[]", meta.FindingRepaired, map[string]int{"a": 3})
		full := b.one(t)
		require.Equal(t, "full", full.Subject)
		require.Equal(t, "warning", full.Severity)
		require.Contains(t, full.Message, "has found 3 differences between records and store, and repaired what differed: 3 row_without_object. `worker reconcile findings ")
		b.run(t, meta.RunFull, 6*time.Minute+time.Second, "[]", meta.FindingMarked, map[string]int{"a": 2})
		require.Equal(t, "critical", b.one(t).Severity, "what is lost is not repaired")
		require.Contains(t, b.one(t).Message, "2 differences between records and store; 2 are files whose bytes are lost, and are marked as damaged. `worker")
		require.Contains(t, b.one(t).Data, `"marked_damaged":2`)
		b.run(t, meta.RunFull, 7*time.Minute, "[]", meta.FindingOpen, map[string]int{"a": 1})
		require.Equal(t, "critical", b.one(t).Severity)
		require.Contains(t, b.one(t).Message, "1 difference between records and store; 1 is not repaired: 1 row_without_object. `worker")
		b.run(t, meta.RunFull, 7*time.Minute+time.Second, `["b"]`, meta.FindingOpen, nil)
		require.Equal(t, "full", b.one(t).Subject, "a full run over others says nothing about these")
		b.run(t, meta.RunFull, 7*time.Minute+2*time.Second, `["b"]`, meta.FindingOpen, map[string]int{"b": 2})
		require.Len(t, b.openNow(t), 2)
		b.run(t, meta.RunFull, 7*time.Minute+3*time.Second, `["b"]`, meta.FindingRepaired, map[string]int{"b": 2})
		require.Equal(t, "full", b.one(t).Subject, "repaired")
		b.run(t, meta.RunFull, 8*time.Minute, "[]", meta.FindingGone, map[string]int{"a": 1})
		require.Empty(t, b.openNow(t), "what was in order again is no difference")
	})
}

func TestHeldReconciliation(t *testing.T) {
	ruleBench(t, "reconcile_held", func(t *testing.T, b *bench) {
		id := b.run(t, meta.RunFull, 0, "[]", "", nil)
		require.Empty(t, b.openNow(t))
		b.exec(t, "UPDATE reconcile_runs SET state = 'held', findings = 38, planned = 32, problem = 'more than 1 percent' WHERE id = ?", id)
		a := b.one(t)
		require.Equal(t, id, a.Subject)
		require.Equal(t, "critical", a.Severity)
		require.Contains(t, a.Message, "38 findings, 32 repairs planned. more than 1 percent. Until")
		b.exec(t, "UPDATE reconcile_runs SET state = 'confirmed' WHERE id = ?", id)
		require.Empty(t, b.openNow(t))
	})
}

func TestMissingReconciliation(t *testing.T) {
	ruleBench(t, "reconcile_missing", func(t *testing.T, b *bench) {
		b.audit(t, audit.Entry{Actor: audit.CLI, Action: "tenant.create", Result: audit.OK})
		b.clock.pass(25 * time.Hour)
		require.Empty(t, b.openNow(t), "the system is too young")
		b.clock.pass(2 * time.Hour)
		require.Contains(t, b.one(t).Message, "has ever ended")
		b.cfg.Limits.ReconcileMaxAge = 0
		require.Empty(t, b.openNow(t), "there is no nightly run")
		b.cfg.Limits.ReconcileMaxAge = 26 * time.Hour

		b.run(t, meta.RunFull, 0, "[]", "", nil)
		require.Empty(t, b.openNow(t))
		b.clock.pass(27 * time.Hour)
		b.run(t, meta.RunFull, 0, `["a"]`, "", nil)
		b.run(t, meta.RunLight, 0, "[]", "", nil)
		a := b.one(t)
		require.Equal(t, "critical", a.Severity)
		require.Contains(t, a.Message, "1d 3h ago; it should be younger than 1d 2h")

		held := b.run(t, meta.RunFull, 0, "[]", "", nil)
		state := func(state string) {
			b.exec(t, "UPDATE reconcile_runs SET state = ?, finished_at = 0, problem = 'the store is away.' WHERE id = ?", state, held)
		}
		state(meta.RunHeld)
		require.Empty(t, b.openNow(t), "that is told by reconcile_held")
		state(meta.RunRunning)
		require.Contains(t, b.one(t).Message, "One is under way since")
		state(meta.RunCancelled)
		require.Contains(t, b.one(t).Message, "1d 3h ago")
		state(meta.RunFailed)
		require.Contains(t, b.one(t).Message, "has failed: the store is away. `worker")
		b.clock.pass(time.Minute)
		b.run(t, meta.RunFull, 0, "[]", "", nil)
		require.Empty(t, b.openNow(t))
		b.clock.pass(time.Minute)
		b.exec(t, "UPDATE reconcile_runs SET started_at = ? WHERE id = ?", meta.StampOf(b.clock.now()), held)
		require.Contains(t, b.one(t).Message, "has failed", "also when an earlier one is young enough")

		b.exec(t, "DELETE FROM reconcile_runs")
		b.clock.pass(48 * time.Hour)
		b.run(t, meta.RunFull, 0, "[]", "", nil)
		b.clock.pass(-48 * time.Hour)
		require.Contains(t, b.one(t).Message, "2d 0h ahead")
		b.run(t, meta.RunFull, 0, "[]", "", nil)
		require.Empty(t, b.openNow(t), "one of the future hides none of today")
	})
}

func TestDamagedBlobs(t *testing.T) {
	ruleBench(t, "damaged", func(t *testing.T, b *bench) {
		tenant := metatest.Tenant(t, b.db, 1000)
		b.upload(t, tenant, storage.ScanClean)
		require.Empty(t, b.openNow(t))
		b.exec(t, "UPDATE blobs SET damage = 'missing', damaged_at = 5 WHERE tenant_id = ?", tenant)
		a := b.one(t)
		require.Contains(t, a.Message, "1 stored file of tenant \"tenant-"+tenant+"\" ("+tenant+") is damaged and not served (missing in the store: 1).")
		require.Contains(t, a.Data, `"by_damage":{"missing":1}`)
		b.exec(t, "UPDATE blobs SET refs = 0 WHERE tenant_id = ?", tenant)
		require.Empty(t, b.openNow(t), "nobody refers to it any more")
		b.exec(t, "UPDATE blobs SET refs = 1 WHERE tenant_id = ?", tenant)
		b.one(t)
		b.exec(t, "UPDATE blobs SET damage = '', damaged_at = 0 WHERE tenant_id = ?", tenant)
		require.Empty(t, b.openNow(t))
	})
}

func TestDisksThatRunFull(t *testing.T) {
	ruleBench(t, "disk", func(t *testing.T, b *bench) {
		tell := func(program, use string, used, files int64) {
			require.NoError(t, b.db.SetDisks(t.Context(), meta.DiskFact{Program: program, Host: "host-1", At: meta.StampOf(b.clock.now()), Disks: []meta.DiskUse{{
				Uses: []string{use}, Path: "/srv/" + use, Mount: "/srv", Total: 1000, Used: used, Free: 1000 - used, Files: 100, FilesFree: 100 - files,
			}}}))
		}
		tell("worker", "store", 840, 5)
		tell("gateway", "spool", 840, 5)
		require.Empty(t, b.openNow(t))
		tell("worker", "store", 845, 5)
		a := b.one(t)
		require.Equal(t, "host-1:/srv", a.Subject)
		require.Equal(t, "warning", a.Severity)
		require.Contains(t, a.Message, "The disk mounted at /srv on the host host-1 runs full: 85 % in use, 155 B of 1000 B free. It holds: spool, store. `df -h /srv` there shows it.")
		tell("gateway", "spool", 950, 5)
		require.Equal(t, "critical", b.one(t).Severity, "the worse of two words")
		tell("gateway", "spool", 100, 5)
		tell("worker", "store", 100, 96)
		require.Contains(t, b.one(t).Message, "96 % of its inodes in use, 4 free")
		tell("worker", "store", 100, 5)
		require.Empty(t, b.openNow(t))

		tell("worker", "store", 999, 5)
		require.Len(t, b.openNow(t), 1)
		b.clock.pass(17 * time.Minute)
		require.Contains(t, b.one(t).Message, "The worker there has said nothing since 20", "that a program dies does not empty its disk")
		b.clock.pass(24 * time.Hour)
		require.Empty(t, b.openNow(t), "a day later nobody knows")
	})
}

func TestDatabaseSize(t *testing.T) {
	ruleBench(t, "database", func(t *testing.T, b *bench) {
		n, err := b.db.Size(t.Context())
		require.NoError(t, err)
		require.Greater(t, n, int64(10_000))
		b.cfg.Limits.DatabaseMaxBytes = n * 10 / 9
		a := b.one(t)
		require.Equal(t, "warning", a.Severity)
		require.Contains(t, a.Message, "alerts.database_max_bytes")
		b.cfg.Limits.DatabaseMaxBytes = n / 2
		require.Equal(t, "critical", b.one(t).Severity)
		b.cfg.Limits.DatabaseMaxBytes = n * 2
		require.Empty(t, b.openNow(t))
	})
}

func TestMissingSnapshot(t *testing.T) {
	onSQLite(t, "snapshot", func(t *testing.T, b *bench) {
		b.audit(t, audit.Entry{Actor: audit.CLI, Action: "tenant.create", Result: audit.OK})
		b.clock.pass(25 * time.Hour)
		require.Empty(t, b.openNow(t), "the system is too young")
		b.clock.pass(2 * time.Hour)
		require.Contains(t, b.one(t).Message, "There is no snapshot")
		made := func(at time.Time) {
			b.inTx(t, func(tx *meta.Tx) error {
				return snapshot.Record(tx, snapshot.Manifest{ID: "s-1", CreatedAt: at}, audit.Worker)
			})
		}
		made(b.clock.now().Add(-25 * time.Hour))
		require.Empty(t, b.openNow(t))
		made(b.clock.now().Add(-27 * time.Hour))
		require.Contains(t, b.one(t).Message, "1d 3h ago")
		made(b.clock.now().Add(2 * time.Hour))
		require.Contains(t, b.one(t).Message, "2h 0m ahead")
		made(b.clock.now().Add(time.Minute))
		require.Empty(t, b.openNow(t), "clocks differ")
		made(b.clock.now())
		require.Empty(t, b.openNow(t))
		b.clock.pass(27 * time.Hour)
		require.Len(t, b.openNow(t), 1)
		require.NoError(t, b.db.SetFact(t.Context(), snapshot.FactLast, "nonsense"))
		require.Len(t, b.openNow(t), 1, "what cannot be read ends nothing")
	})
}

func TestSnapshotThatIsGone(t *testing.T) {
	b := newBench(t, metatest.SQLite(t), logTo("log"))
	var answer error
	b.rules = []Rule{{Name: ruleSnapshotGone, Find: snapshotGone(func(context.Context, string) error { return answer })}}
	require.Empty(t, b.openNow(t), "there is none yet")
	b.inTx(t, func(tx *meta.Tx) error {
		return snapshot.Record(tx, snapshot.Manifest{ID: "s-1", CreatedAt: b.clock.now()}, audit.Worker)
	})
	require.Empty(t, b.openNow(t))
	answer = snapshot.ErrNotFound
	require.Empty(t, b.openNow(t), "it is looked at once an hour")
	b.clock.pass(time.Hour)
	require.Contains(t, b.one(t).Message, "s-1")
	answer = errors.New("the store is away")
	b.clock.pass(time.Hour)
	b.one(t)
	answer = nil
	require.Empty(t, b.openNow(t))
}

func TestRuleNames(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range RuleNames() {
		require.False(t, seen[name], name)
		require.Regexp(t, `^[a-z]+(_[a-z]+)*$`, name)
		require.LessOrEqual(t, len(name)+1+subjectBytes, 255, "the column open_key")
		seen[name] = true
	}
	require.False(t, strings.Contains(strings.Join(RuleNames(), ""), ":"))
}
