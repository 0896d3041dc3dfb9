package meta_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// Archived records are in the store only: who goes back would forget where. The counters' position goes with the counters.
func TestNoWayBackBehindArchives(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		require.NoError(t, db.SetFact(ctx, "rollups", "5 x"))
		_, err := db.Exec(ctx, `INSERT INTO audit_archives (first_seq, last_seq, object, bytes, sha256, hash, at) VALUES (1, 2, 'x', 1, 'x', 'x', 1)`)
		require.NoError(t, err)
		for err == nil {
			err = db.RollbackLast(ctx)
		}
		require.ErrorContains(t, err, "lie in archives in the store")
		_, err = db.FactByName(ctx, "rollups")
		require.ErrorIs(t, err, storage.ErrNotFound)
		list, err := db.AuditArchives(ctx)
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.NoError(t, db.Migrate(ctx))
		require.NoError(t, db.SchemaCurrent(ctx))
	})
}
