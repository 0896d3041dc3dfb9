package tenancy

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

func platformPlan(t *testing.T, db *meta.DB) {
	t.Helper()
	require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
		return tx.Create(&meta.Plan{Name: storage.PlatformPlan, StorageBytes: 1 << 30, Spec: `{"categories":["release"]}`, UpdatedAt: meta.Now()})
	}))
}

// Any number of programs may want the tenant at once; one makes it.
func TestPlatformTenantIsMadeOnce(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, db, other *meta.DB) {
		w, second := newWorks(t, db, onDisk(t)), works{Provisioner{DB: other}}
		platformPlan(t, db)
		var all sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			all.Go(func() {
				p := w
				if i%2 == 1 {
					p = second
				}
				errs[i] = p.EnsurePlatform(ctx)
			})
		}
		all.Wait()
		require.NoError(t, errors.Join(errs...))
		row := w.row(t, storage.PlatformTenant)
		require.Equal(t, "platform", row.Name)
		require.Equal(t, storage.PlatformPlan, row.Plan)
		require.Equal(t, storage.TenantActive, row.State)
		require.Equal(t, []string{"tenant.create", "tenant.activate"}, w.audited(t, storage.PlatformTenant))
		require.Zero(t, w.keys(t, storage.PlatformTenant))
		require.NoError(t, w.EnsurePlatform(ctx), "and again")
	})
}

func TestPlatformTenantTakesAnotherNameWhereItsOwnIsTaken(t *testing.T) {
	onEach(t, func(t *testing.T, w works) {
		platformPlan(t, w.DB)
		id, _, err := w.Provision(ctx, "platform", "free")
		require.NoError(t, err)
		require.NoError(t, w.EnsurePlatform(ctx))
		require.Equal(t, "platform (releases)", w.row(t, storage.PlatformTenant).Name)
		require.Equal(t, "free", w.row(t, id).Plan, "whoever has the name keeps it")
	})
}

func TestPlatformTenantNeedsItsPlan(t *testing.T) {
	onEach(t, func(t *testing.T, w works) {
		err := w.EnsurePlatform(ctx)
		require.Equal(t, storage.CodeConflict, storage.CodeOf(err))
		refusal, ok := errors.AsType[*storage.Error](err)
		require.True(t, ok)
		require.Equal(t, "platform_plan", refusal.Reason.Slug)
		require.Contains(t, refusal.Reason.English, "gateway migrate")
		_, err = w.DB.Tenant(ctx, storage.PlatformTenant).Row()
		require.ErrorIs(t, err, storage.ErrNotFound)
	})
}
