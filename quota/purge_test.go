package quota_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// What is charged to a tenant whose purge has begun would be left behind by it.
func TestNothingIsChargedOnceThePurgeHasBegun(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		l := quota.Ledger{DB: db, TTL: time.Minute}
		tenant := metatest.Tenant(t, db, 1000)
		for _, c := range []struct {
			state, restore storage.TenantState
			want           storage.Code
		}{
			{storage.TenantActive, "", ""},
			{storage.TenantSuspended, "", ""},
			{storage.TenantPendingDelete, storage.TenantActive, ""},
			{storage.TenantPendingDelete, "", storage.CodeTenantSuspended},
			{storage.TenantDeleted, "", storage.CodeTenantSuspended},
		} {
			_, err := db.Exec(ctx, `UPDATE tenants SET state = ?, restore_state = ? WHERE id = ?`, c.state, c.restore, tenant)
			require.NoError(t, err)
			err = db.InTx(ctx, func(tx *meta.Tx) error { return l.Charge(tx, tenant, 10) })
			if c.want == "" {
				require.NoError(t, err, c.state)
			} else {
				require.Equal(t, c.want, storage.CodeOf(err), c.state)
			}
		}
		require.Equal(t, meta.Quota{Quota: 1000, Used: 30}, ledgerOf(t, db, tenant))
	})
}
