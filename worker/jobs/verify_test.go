package jobs_test

import (
	"context"
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

// TestSnapshotsThatAreAskedFor: one that is taken by hand displaces none, and a look at one says what it found.
func TestSnapshotsThatAreAskedFor(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		zones, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, zones.Close()) })
		store := &snapshot.Store{DB: db, Zone: zones.Snapshots, SpoolDir: t.TempDir(), Version: "test", Keep: snapshot.Keep{Daily: 1}}
		b := &bench{db: db}
		d, err := dispatch.New(dispatch.Config{Worker: "test", MaxAttempts: 1}, db, dispatch.NewLocal(), jobs.List(jobs.Deps{DB: db, Zones: zones, Snapshots: store}),
			nil, prometheus.NewRegistry(), b.claimLog(t))
		require.NoError(t, err)
		perform := func(n meta.NewTask) {
			var task meta.Task
			require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
				var err error
				task, _, err = tx.EnqueueUnique(n)
				return err
			}))
			lease, won, err := db.Claim(t.Context(), task.ID, "test", time.Minute)
			require.NoError(t, err)
			require.True(t, won)
			require.NoError(t, d.Attempt(context.Background(), lease))
			task, err = db.TaskBy(t.Context(), task.ID)
			require.NoError(t, err)
			require.Equal(t, storage.TaskDone, task.State)
		}
		perform(snapshot.CreateTask())
		perform(snapshot.CreateTask())
		list, err := store.List(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.Equal(t, snapshot.ReasonManual, list[0].Reason)

		perform(snapshot.VerifyTask(list[0].ID))
		part := list[1].Tables[0].Parts
		for _, table := range list[1].Tables {
			part = append(part, table.Parts...)
		}
		require.NoError(t, zones.Snapshots.Delete(t.Context(), list[1].ID+"/"+part[0].Name))
		perform(snapshot.VerifyTask(list[1].ID))
		perform(snapshot.VerifyTask("20200101T000000.000Z-00000000"))
		verdicts, err := snapshot.Verdicts(t.Context(), db)
		require.NoError(t, err)
		require.Len(t, verdicts, 3)
		require.True(t, verdicts[list[0].ID].Whole())
		require.False(t, verdicts[list[1].ID].Whole())
		records, err := db.AuditLog(t.Context(), meta.AuditFilter{Action: "snapshot.verify"}, 5)
		require.NoError(t, err)
		require.Equal(t, []string{"failed", "failed", "ok"}, []string{records[0].Result, records[1].Result, records[2].Result})
	})
}
