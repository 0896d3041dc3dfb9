package jobs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/remedy"
	"gatehouse/worker/jobs"
)

// bulk asks for a run over all files that match, and gives its id and the lease of its task.
func (b *bench) bulk(t testing.TB, action remedy.Action, s meta.AssetSearch, expected int64) (string, meta.Lease) {
	t.Helper()
	var r meta.BulkRun
	count, err := b.db.CountAssets(context.Background(), s, meta.MaxBulk)
	require.NoError(t, err)
	require.Equal(t, expected, count.Total)
	b.inTx(t, func(tx *meta.Tx) (err error) {
		r, err = remedy.BeginBulk(tx, remedy.By{Actor: audit.CLI, Reason: "test"}, action, s, count)
		return err
	})
	return r.ID, b.claimBulk(t, r.ID)
}

func (b *bench) claimBulk(t testing.TB, run string) meta.Lease {
	t.Helper()
	task, err := b.db.TaskLike(context.Background(), meta.NewTask{Kind: storage.TaskBulk, Subject: run, Unique: true})
	require.NoError(t, err)
	l, won, err := b.db.Claim(context.Background(), task.ID, "test", time.Minute)
	require.NoError(t, err)
	require.True(t, won)
	return l
}

func (b *bench) bulkRun(t testing.TB, id string) meta.BulkRun {
	t.Helper()
	r, err := b.db.BulkRunBy(context.Background(), id)
	require.NoError(t, err)
	return r
}

func TestBulkRunGoesOnWhereItsWorkerDied(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		for i := range 5 {
			b.upload(t, fmt.Appendf(nil, "file %d", i), storage.CategoryDocument)
		}
		id, l := b.bulk(t, remedy.Delete, meta.AssetSearch{TenantID: b.tenant}, 5)
		run := b.bulkRun(t, id)
		list, err := b.db.SearchAssets(context.Background(), meta.AssetSearch{TenantID: b.tenant}, run.CursorAt, 2)
		require.NoError(t, err)
		// The first worker deals with two files; its lease is taken over, and nothing that it still does counts.
		first := jobs.NewRun(b.db, l, b.claimLog(t))
		for _, a := range list {
			require.NoError(t, first.InTx(context.Background(), func(tx *meta.Tx) error { return remedy.Step(tx, run, a) }))
		}
		b.inTx(t, func(tx *meta.Tx) error {
			_, err := tx.Exec(`UPDATE tasks SET lease_until = 1 WHERE id = ?`, l.Task.ID)
			return err
		})
		n, err := b.db.Reap(context.Background())
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		tries, err := b.db.Attempts(context.Background(), l.Task.ID, 10)
		require.NoError(t, err)
		require.Len(t, tries, 1)
		require.Equal(t, meta.AttemptLost, tries[0].Outcome)
		_, err = b.job(t, storage.TaskBulk).Run(context.Background(), first)
		require.ErrorIs(t, err, meta.ErrLeaseLost)

		second := jobs.NewRun(b.db, b.claimBulk(t, id), b.claimLog(t))
		commit, err := b.job(t, storage.TaskBulk).Run(context.Background(), second)
		require.NoError(t, err)
		require.NoError(t, b.finish(second, commit))
		run = b.bulkRun(t, id)
		require.Equal(t, meta.BulkDone, run.State)
		require.EqualValues(t, 5, run.Done)
		log, err := b.db.AuditLog(context.Background(), meta.AuditFilter{Action: "asset.delete"}, 100)
		require.NoError(t, err)
		require.Len(t, log, 5, "each file once")
	})
}

func TestBulkRunCountsWhatItMayNotDoAndStopsWhenCancelled(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.upload(t, harmless, storage.CategoryDocument)
		id, l := b.bulk(t, remedy.Rescan, meta.AssetSearch{TenantID: b.tenant}, 1)
		r := jobs.NewRun(b.db, l, b.claimLog(t))
		commit, err := b.job(t, storage.TaskBulk).Run(context.Background(), r)
		require.NoError(t, err)
		require.NoError(t, b.finish(r, commit))
		run := b.bulkRun(t, id)
		require.EqualValues(t, 1, run.Failed)
		require.Contains(t, run.Problem, "no verdict yet")

		id, l = b.bulk(t, remedy.RetryScan, meta.AssetSearch{TenantID: b.tenant}, 1)
		b.inTx(t, func(tx *meta.Tx) error { _, err := remedy.CancelBulk(tx, remedy.By{Actor: audit.CLI}, id); return err })
		r = jobs.NewRun(b.db, l, b.claimLog(t))
		commit, err = b.job(t, storage.TaskBulk).Run(context.Background(), r)
		require.NoError(t, err)
		require.NoError(t, b.finish(r, commit))
		run = b.bulkRun(t, id)
		require.Equal(t, meta.BulkCancelled, run.State)
		require.Zero(t, run.Done+run.Unchanged+run.Failed)
	})
}

func TestBulkRunDealsOnlyWithWhatWasCounted(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		old, _ := b.upload(t, []byte("older than all that match"), storage.CategoryVideo)
		late, _ := b.upload(t, []byte("matches later"), storage.CategoryVideo)
		for i := range 3 {
			b.upload(t, fmt.Appendf(nil, "file %d", i), storage.CategoryDocument)
		}
		search := meta.AssetSearch{Category: storage.CategoryDocument}
		count, err := b.db.CountAssets(context.Background(), search, meta.MaxBulk)
		require.NoError(t, err)
		between, _ := b.upload(t, []byte("between the count and the run"), storage.CategoryDocument)
		var run meta.BulkRun
		b.inTx(t, func(tx *meta.Tx) error {
			run, err = remedy.BeginBulk(tx, remedy.By{Actor: audit.CLI, Reason: "test"}, remedy.Delete, search, count)
			return err
		})
		b.inTx(t, func(tx *meta.Tx) error {
			_, err := tx.Exec(`UPDATE assets SET category = 'document' WHERE id IN (?, ?)`, old, late)
			return err
		})
		r := jobs.NewRun(b.db, b.claimBulk(t, run.ID), b.claimLog(t))
		commit, err := b.job(t, storage.TaskBulk).Run(context.Background(), r)
		require.NoError(t, err)
		require.NoError(t, b.finish(r, commit))
		run = b.bulkRun(t, run.ID)
		require.EqualValues(t, 3, run.Done)
		require.EqualValues(t, 3, run.Expected)
		for _, id := range []string{old, late, between} {
			require.Equal(t, storage.AssetQuarantined, b.stateOf(t, id))
		}
	})
}
