package meta_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// More rows than one statement deletes, of each kind, beside rows that stay.
func TestForgetRemovesWhatIsOldAndNothingElse(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		const many = 1001
		now := meta.Now()
		old, cutoff := now.Add(-2*time.Hour), now.Add(-time.Hour)
		tenants := []string{"a", "b"}
		task := func(tx *meta.Tx, state storage.TaskState, finished meta.Stamp) {
			require.NoError(t, tx.Create(&meta.Task{ID: meta.NewID(), Kind: storage.TaskScan, Lane: storage.LaneScan, TenantID: "a",
				Subject: "s", State: state, CreatedAt: old, UpdatedAt: old, FinishedAt: finished}))
		}
		inTx(t, db, func(tx *meta.Tx) error {
			for n := range many {
				task(tx, storage.TaskDone, old)
				tenant := tenants[n%len(tenants)]
				require.NoError(t, tx.Create(&meta.Event{TenantID: tenant, AssetID: "x", Kind: storage.EventMedia, Data: "{}", At: old}))
				require.NoError(t, tx.Create(&meta.IdempotencyKey{TenantID: tenant, Key: fmt.Sprint(n), AssetID: "x", CreatedAt: old}))
			}
			task(tx, storage.TaskDone, now)
			task(tx, storage.TaskCancelled, old)
			task(tx, storage.TaskDead, old)
			task(tx, storage.TaskQueued, 0)
			task(tx, storage.TaskRunning, 0)
			for state, finished := range map[meta.BulkState]meta.Stamp{meta.BulkDone: old, meta.BulkCancelled: now, meta.BulkRunning: 0} {
				require.NoError(t, tx.Create(&meta.BulkRun{ID: meta.NewID(), Filter: "{}", State: state, CreatedAt: old, FinishedAt: finished}))
			}
			require.NoError(t, tx.Create(&meta.Event{TenantID: "a", AssetID: "x", Kind: storage.EventMedia, Data: "{}", At: now}))
			// The same key as a forgotten one, of another tenant.
			return tx.Create(&meta.IdempotencyKey{TenantID: "c", Key: "0", AssetID: "x", CreatedAt: now})
		})
		require.NoError(t, db.Forget(ctx, cutoff, cutoff, cutoff))
		left, err := db.Tenant(ctx, "a").TasksAbout("s")
		require.NoError(t, err)
		var states []storage.TaskState
		for _, task := range left {
			states = append(states, task.State)
		}
		require.ElementsMatch(t, []storage.TaskState{storage.TaskDone, storage.TaskDead, storage.TaskQueued, storage.TaskRunning}, states)
		inTx(t, db, func(tx *meta.Tx) error {
			for table, want := range map[string]int64{"events": 1, "idempotency_keys": 1, "bulk_runs": 2} {
				var n int64
				_, err := tx.Scan(&n, "SELECT COUNT(*) FROM "+table)
				require.NoError(t, err)
				require.Equal(t, want, n, table)
			}
			return nil
		})
	})
}

// The reference is dropped before the asset is moved; whoever loses the race for the asset must not keep it dropped.
func TestAssetDeletedTwiceAtOnceDropsOneReference(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		tenant := metatest.Tenant(t, db, 1000)
		a := newAsset("a.txt", digest)
		inTx(t, db, func(tx *meta.Tx) error {
			_, err := tx.Tenant(tenant).CreateBlob(newBlob(digest))
			require.NoError(t, err)
			return tx.Tenant(tenant).CreateAsset(a)
		})
		won := make(chan error, 2)
		for range 2 {
			go func() {
				won <- db.InTx(ctx, func(tx *meta.Tx) error { _, err := tx.Tenant(tenant).DeleteAsset(a.ID); return err })
			}()
		}
		errs := []error{<-won, <-won}
		if errs[0] != nil {
			errs[0], errs[1] = errs[1], errs[0]
		}
		require.NoError(t, errs[0])
		require.ErrorIs(t, errs[1], storage.ErrNotFound)
		b, err := db.Tenant(ctx, tenant).Blob(digest)
		require.NoError(t, err)
		require.Zero(t, b.Refs)
	})
}
