package jobs_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/snapshot"
	"gatehouse/worker/dispatch"
	"gatehouse/worker/jobs"
)

// night does the snapshot task of a night once and returns the task as it is then.
func night(t *testing.T, db *meta.DB, deps jobs.Deps) meta.Task {
	t.Helper()
	var id string
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
		queued, err := tx.Enqueue(meta.NewTask{Kind: storage.TaskSnapshot, Subject: "nightly", Unique: true})
		require.True(t, queued)
		if err != nil {
			return err
		}
		_, err = tx.Scan(&id, "SELECT id FROM tasks WHERE kind = 'snapshot' AND state = 'queued'")
		return err
	}))
	b := &bench{db: db}
	d, err := dispatch.New(dispatch.Config{Worker: "test", MaxAttempts: 1}, db, dispatch.NewLocal(), jobs.List(deps), nil,
		prometheus.NewRegistry(), b.claimLog(t))
	require.NoError(t, err)
	lease, won, err := db.Claim(t.Context(), id, "test", time.Minute)
	require.NoError(t, err)
	require.True(t, won)
	_ = d.Attempt(context.Background(), lease) // how it ended is in the task
	task, err := db.TaskBy(t.Context(), id)
	require.NoError(t, err)
	return task
}

// TestSnapshotOfTheNight: a snapshot is there and told of when its task ends, and what comes after it is begun in the
// same transaction, also when there was no snapshot to be had.
func TestSnapshotOfTheNight(t *testing.T) {
	db := metatest.SQLite(t)
	root := filepath.Join(t.TempDir(), "store")
	zones, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: root})
	require.NoError(t, err)
	store := &snapshot.Store{DB: db, Zone: zones.Snapshots, SpoolDir: t.TempDir(), Version: "test", Keep: snapshot.Keep{Daily: 1}}
	after := 0
	deps := jobs.Deps{DB: db, Zones: zones, Snapshots: store, AfterSnapshot: func(tx *meta.Tx, task meta.Task) error {
		after++
		require.Equal(t, "nightly", task.Subject)
		return tx.SetFact("after", "called")
	}}
	for n := range 3 {
		require.Equal(t, storage.TaskDone, night(t, db, deps).State)
		require.Equal(t, n+1, after)
		list, err := store.List(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 1, "the one of the same day goes")
		require.Equal(t, snapshot.ReasonDaily, list[0].Reason)
		last, err := snapshot.LastTaken(t.Context(), db)
		require.NoError(t, err)
		require.Equal(t, list[0].ID, last.ID)
		v, err := store.Verify(t.Context(), snapshot.Latest)
		require.NoError(t, err)
		require.True(t, v.Whole())
	}
	require.NoError(t, zones.Close()) // the store is away
	task := night(t, db, deps)
	require.Equal(t, storage.TaskDead, task.State)
	require.Equal(t, 4, after)
	var failed int
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
		_, err := tx.Scan(&failed, "SELECT COUNT(*) FROM audit_log WHERE action = 'snapshot.create' AND result = 'failed'")
		return err
	}))
	require.Equal(t, 1, failed)
	deps.AfterSnapshot = nil
	require.Equal(t, storage.TaskDead, night(t, db, deps).State, "nothing comes after it")
}
