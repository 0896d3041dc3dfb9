package auth

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

func TestKeysFollowTheStateOfTheirTenantAtOnce(t *testing.T) {
	ctx := context.Background()
	db := metatest.SQLite(t)
	tenant := metatest.Tenant(t, db, 1<<20)
	key, hash := NewKey()
	require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
		return tx.Create(&meta.APIKey{ID: meta.NewID(), TenantID: tenant, Name: "k", Hash: hash, Scopes: AllScopes, CreatedAt: meta.Now()})
	}))
	keys := &Keys{DB: db}
	for _, s := range storage.TenantStates {
		require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
			_, err := tx.Exec(`UPDATE tenants SET state = ? WHERE id = ?`, s, tenant)
			return err
		}))
		p, err := keys.Authenticate(ctx, "Bearer "+key)
		switch s {
		case storage.TenantActive:
			require.NoError(t, err)
			require.NoError(t, p.MayUpload())
		case storage.TenantSuspended:
			require.NoError(t, err)
			require.NoError(t, p.May(ScopeRead))
			require.Equal(t, storage.CodeTenantSuspended, storage.CodeOf(p.MayUpload()))
		case storage.TenantPendingDelete:
			require.EqualError(t, err, "TENANT_SUSPENDED (tenant_pending_delete)")
		default:
			require.Equal(t, storage.CodeUnauthenticated, storage.CodeOf(err), s)
		}
	}
}
