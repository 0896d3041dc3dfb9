package jobs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/reconcile"
	"gatehouse/worker/dispatch"
	"gatehouse/worker/jobs"
)

// reconciling is a store and a database with the job of the reconciliation; everything is old enough at once.
func reconciling(t *testing.T, cfg reconcile.Config) *bench {
	zones, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	b := &bench{db: metatest.SQLite(t), zones: zones}
	b.tenant = metatest.Tenant(t, b.db, quotaBytes)
	cfg.Settle = time.Millisecond
	b.deps = jobs.Deps{DB: b.db, Zones: zones, Ledger: b.ledger, Log: b.claimLog(t), Reconciler: reconcile.New(cfg, b.db, zones, b.ledger, b.claimLog(t))}
	return b
}

func (b *bench) begin(t *testing.T, kind string) meta.ReconcileRun {
	t.Helper()
	var run meta.ReconcileRun
	b.inTx(t, func(tx *meta.Tx) error {
		var err error
		if run, err = reconcile.Begin(tx, reconcile.Request{Kind: kind, By: "test", Actor: audit.CLI}); err != nil {
			return err
		}
		return reconcile.Next(tx)
	})
	return run
}

// work has package dispatch do the open task of a run once, and returns the task and the run as they are then.
func (b *bench) work(t *testing.T, id string) (meta.Task, meta.ReconcileRun) {
	t.Helper()
	task, err := b.db.TaskLike(t.Context(), reconcile.Task(""))
	require.NoError(t, err)
	require.Equal(t, id, task.Subject)
	d, err := dispatch.New(dispatch.Config{Worker: "test", MaxAttempts: 1}, b.db, dispatch.NewLocal(), jobs.List(b.deps), nil,
		prometheus.NewRegistry(), b.claimLog(t))
	require.NoError(t, err)
	lease, won, err := b.db.Claim(t.Context(), task.ID, "test", time.Minute)
	require.NoError(t, err)
	require.True(t, won)
	_ = d.Attempt(t.Context(), lease) // how it ended is in the task
	task, err = b.db.TaskBy(t.Context(), task.ID)
	require.NoError(t, err)
	run, err := b.db.RunBy(t.Context(), id)
	require.NoError(t, err)
	return task, run
}

func TestRunIsATask(t *testing.T) {
	b := reconciling(t, reconcile.Config{})
	b.put(t, storage.ZoneClean, digestOf([]byte("an orphan")), []byte("an orphan"))
	light, full := b.begin(t, meta.RunLight), b.begin(t, meta.RunFull)
	task, run := b.work(t, light.ID)
	require.Equal(t, storage.TaskDone, task.State)
	require.Equal(t, meta.RunDone, run.State)
	task, run = b.work(t, full.ID) // which had its turn when the other ended
	require.Equal(t, storage.TaskDone, task.State)
	require.Equal(t, meta.RunDone, run.State)
	require.EqualValues(t, 1, run.Repaired)
	require.Empty(t, b.objects(t, storage.ZoneClean))
	_, err := b.db.TaskLike(t.Context(), reconcile.Task(""))
	require.ErrorIs(t, err, storage.ErrNotFound)
}

func TestRunThatIsCancelledMeanwhileIsNoError(t *testing.T) {
	b := reconciling(t, reconcile.Config{})
	full := b.begin(t, meta.RunFull)
	b.inTx(t, func(tx *meta.Tx) error {
		_, err := tx.Exec(`UPDATE reconcile_runs SET state = ?`, meta.RunCancelled) // its task is left
		return err
	})
	task, run := b.work(t, full.ID)
	require.Equal(t, storage.TaskDone, task.State)
	require.Equal(t, meta.RunCancelled, run.State)
}

func TestRunThatIsGivenUpSaysWhyAndLetsTheNextHaveItsTurn(t *testing.T) {
	b := reconciling(t, reconcile.Config{})
	full := b.begin(t, meta.RunFull)
	b.inTx(t, func(tx *meta.Tx) error {
		_, err := tx.Exec(`UPDATE reconcile_runs SET tenants = 'no list'`)
		return err
	})
	task, run := b.work(t, full.ID)
	require.Equal(t, storage.TaskDead, task.State)
	require.Equal(t, meta.RunFailed, run.State)
	require.Contains(t, run.Problem, "tenants")
	require.EqualValues(t, 1, b.audited(t, "reconcile.fail"))
	b.work(t, b.begin(t, meta.RunFull).ID)
}

// The snapshot of the night begins the run, in the transaction that ends its task.
func TestRunOfTheNightComesAfterTheSnapshot(t *testing.T) {
	b := reconciling(t, reconcile.Config{BrakeMin: -1, BrakeShare: 1e-9})
	after := jobs.AfterSnapshot(b.claimLog(t))
	snapshot := func(subject string) {
		b.inTx(t, func(tx *meta.Tx) error { return after(tx, meta.Task{Kind: storage.TaskSnapshot, Subject: subject}) })
	}
	runs := func() []meta.ReconcileRun {
		list, err := b.db.Runs(t.Context(), meta.RunFull, 10)
		require.NoError(t, err)
		return list
	}
	snapshot("by hand")
	require.Empty(t, runs())
	snapshot("nightly")
	require.Len(t, runs(), 1)
	require.Equal(t, "schedule", runs()[0].RequestedBy)
	snapshot("nightly")
	require.Len(t, runs(), 1, "one is under way")

	b.put(t, storage.ZoneClean, digestOf([]byte("an orphan")), []byte("an orphan"))
	_, held := b.work(t, runs()[0].ID)
	require.Equal(t, meta.RunHeld, held.State)
	snapshot("nightly")
	require.Len(t, runs(), 1, "one waits for a person")
}

func TestMetricsOfTheRuns(t *testing.T) {
	b := reconciling(t, reconcile.Config{})
	gathered := func() string {
		registry := prometheus.NewRegistry()
		registry.MustRegister(jobs.ReconcileMetrics{DB: b.db, Log: b.claimLog(t)})
		families, err := registry.Gather()
		require.NoError(t, err)
		var out strings.Builder
		for _, f := range families {
			for _, m := range f.GetMetric() {
				var labels []string
				for _, l := range m.GetLabel() {
					labels = append(labels, l.GetValue())
				}
				_, _ = fmt.Fprintln(&out, strings.TrimPrefix(f.GetName(), "gatehouse_reconcile_"), strings.Join(labels, " "), m.GetGauge().GetValue())
			}
		}
		return out.String()
	}
	require.Equal(t, "held  0\n", gathered(), "before the first run")

	digest := digestOf([]byte("lost"))
	b.rows(t, digest, 4, storage.CategoryDocument)
	b.put(t, storage.ZoneClean, digestOf([]byte("an orphan")), []byte("an orphan"))
	run := b.begin(t, meta.RunFull)
	_, run = b.work(t, run.ID)
	require.Equal(t, meta.RunDone, run.State)
	out := gathered()
	require.Contains(t, out, "findings row_without_object full marked 1\n")
	require.Contains(t, out, "findings object_without_row full repaired 1\n")
	require.Contains(t, out, "findings records_without_tenant full open 0\n", "a graph has no holes")
	require.Contains(t, out, "repaired full "+fmt.Sprint(run.Repaired)+"\n")
	require.Contains(t, out, fmt.Sprintf("objects full %d\n", run.Objects))
	require.Contains(t, out, "runs full done 1\n")
	require.NotContains(t, out, "light")

	b.begin(t, meta.RunFull)
	b.inTx(t, func(tx *meta.Tx) error {
		_, err := tx.Exec(`UPDATE reconcile_runs SET state = ? WHERE state = ?`, meta.RunHeld, meta.RunRunning)
		return err
	})
	require.Contains(t, gathered(), "held  1\n")
}
