package auth

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// A change of the plan, of the tenant's plan or of its overrides holds for the very next request.
func TestPlansAndOverridesHoldAtOnce(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		ctx := context.Background()
		tenant := metatest.Tenant(t, one, 1000)
		other := metatest.Tenant(t, one, 1000)
		key, hash := NewKey()
		require.NoError(t, one.InTx(ctx, func(tx *meta.Tx) error {
			return tx.Create(&meta.APIKey{ID: meta.NewID(), TenantID: tenant, Name: "k", Hash: hash, Scopes: AllScopes, CreatedAt: meta.Now()})
		}))
		keys := Keys{DB: one, Base: storage.Policy{Categories: map[storage.Category]storage.CategoryPolicy{storage.CategoryImage: {MaxBytes: 100}}}}
		change := func(sql string, args ...any) *Principal {
			n, err := two.Exec(ctx, sql, args...)
			require.NoError(t, err)
			require.EqualValues(t, 1, n)
			p, err := keys.Authenticate(ctx, "Bearer "+key)
			require.NoError(t, err)
			return p
		}
		p := change(`UPDATE plans SET spec = ? WHERE name = ?`, `{"max_files":3,"max_bytes":{"image":50}}`, "plan-"+tenant)
		require.Equal(t, quota.Limits{MaxFiles: 3}, p.Spec.Limits())
		require.EqualValues(t, 50, p.Policy.Categories[storage.CategoryImage].MaxBytes)
		p = change(`UPDATE tenants SET overrides = ? WHERE id = ?`, `{"concurrent_uploads":2,"max_bytes":{"image":60},"duplicates":"reject"}`, tenant)
		require.Equal(t, quota.Limits{MaxFiles: 3, Concurrent: 2}, p.Spec.Limits())
		require.EqualValues(t, 60, p.Policy.Categories[storage.CategoryImage].MaxBytes)
		require.True(t, p.Policy.RejectDuplicates)
		p = change(`UPDATE tenants SET plan = ? WHERE id = ?`, "plan-"+other, tenant)
		require.Equal(t, quota.Limits{Concurrent: 2}, p.Spec.Limits())
		p = change(`UPDATE tenants SET overrides = '' WHERE id = ?`, tenant)
		require.Equal(t, quota.Spec{}, p.Spec)
	})
}
