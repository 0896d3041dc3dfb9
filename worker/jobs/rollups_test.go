package jobs

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// Only records that are sealed are counted, and each turn goes on where the last one ended.
func TestRollUpCountsWhatIsSealed(t *testing.T) {
	ctx := context.Background()
	db := metatest.SQLite(t)
	tenant := metatest.Tenant(t, db, 1000)
	zones, err := blob.Open(ctx, blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	key, err := audit.ParseKey(strings.Repeat("5a", 32))
	require.NoError(t, err)
	sealer := &audit.Sealer{DB: db, Zone: zones.Audit, Key: key}
	write := func(n int) {
		list := make([]meta.AuditRecord, n)
		for i := range list {
			list[i] = meta.AuditRecord{At: meta.Now(), TenantID: tenant, Action: "asset.upload", Result: audit.OK, Data: `{"size": 1}`}
		}
		require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error { return tx.Create(&list) }))
	}
	uploads := func() (n int64) {
		require.NoError(t, rollUp(ctx, db))
		stats, err := db.Stats(ctx, 0, 0)
		require.NoError(t, err)
		for _, s := range stats {
			if s.Metric == meta.StatUploads {
				n += s.Total
			}
		}
		return n
	}
	write(rollupBatch + 1)
	_, err = sealer.Seal(ctx)
	require.NoError(t, err)
	write(5)
	require.EqualValues(t, rollupBatch+1, uploads())
	require.EqualValues(t, rollupBatch+1, uploads())
	_, err = sealer.Seal(ctx)
	require.NoError(t, err)
	require.EqualValues(t, rollupBatch+6, uploads())
	at, err := db.RolledUp(ctx)
	require.NoError(t, err)
	require.NotZero(t, at)
}
