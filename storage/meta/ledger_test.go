package meta_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// An installation that has tenants, assets and uploads under way is brought up with its files counted, and back.
func TestTheCountsOfFilesAreFilledIn(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		tenant, empty := metatest.Tenant(t, db, 1000), metatest.Tenant(t, db, 1000)
		before := func() bool {
			_, err := db.Exec(ctx, `UPDATE tenants SET used_files = used_files WHERE id = ''`)
			return err != nil
		}
		for !before() {
			require.NoError(t, db.RollbackLast(ctx))
		}
		exec := func(sql string, args ...any) {
			_, err := db.Exec(ctx, sql, args...)
			require.NoError(t, err)
		}
		for i, state := range []string{"available", "quarantined", "rejected", "deleted"} {
			exec(`INSERT INTO assets (id, tenant_id, sha256, name, name_folded, ext, category, media_type, size, state, duplicate, created_at, updated_at)
				VALUES (?, ?, 'd', 'a.txt', 'a.txt', 'txt', 'document', 'text/plain', 9, ?, ?, 1, 1)`, meta.NewID(), tenant, state, i > 0)
		}
		exec(`INSERT INTO reservations (id, tenant_id, bytes, expires_at, created_at) VALUES (?, ?, 5, 9, 1)`, meta.NewID(), tenant)
		exec(`UPDATE tenants SET reserved_bytes = 5 WHERE id = ?`, tenant)

		for range 2 { // up, down, and up again
			require.NoError(t, db.Migrate(ctx))
			q, err := db.Tenant(ctx, tenant).Quota()
			require.NoError(t, err)
			require.EqualValues(t, 3, q.UsedFiles)
			require.EqualValues(t, 1, q.ReservedFiles)
			drift, err := db.LedgerDrift(ctx, []string{tenant, empty})
			require.NoError(t, err)
			require.Empty(t, drift)
			for !before() {
				require.NoError(t, db.RollbackLast(ctx))
			}
		}
	})
}

func TestLedgerDriftOfNoTenantsIsNone(t *testing.T) {
	db := metatest.SQLite(t)
	metatest.Tenant(t, db, 10)
	for _, ids := range [][]string{nil, {}, {"nobody"}} {
		drift, err := db.LedgerDrift(context.Background(), ids)
		require.NoError(t, err)
		require.Empty(t, drift)
	}
}
