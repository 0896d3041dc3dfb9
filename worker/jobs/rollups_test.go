package jobs

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// Only records that have settled are counted, and each turn goes on where the last one ended.
func TestRollUpCountsWhatHasSettled(t *testing.T) {
	ctx := context.Background()
	db := metatest.SQLite(t)
	tenant := metatest.Tenant(t, db, 1000)
	old := meta.Now().Add(-audit.Settles - time.Minute)
	write := func(at meta.Stamp, n int) {
		list := make([]meta.AuditRecord, n)
		for i := range list {
			list[i] = meta.AuditRecord{At: at, TenantID: tenant, Action: "asset.upload", Result: audit.OK, Data: `{"size": 1}`}
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
	write(old, rollupBatch+1)
	write(meta.Now(), 5)
	require.EqualValues(t, rollupBatch+1, uploads())
	require.EqualValues(t, rollupBatch+1, uploads())
	_, err := db.Exec(ctx, `DELETE FROM facts WHERE name = 'rollups'`)
	require.NoError(t, err)
	require.EqualValues(t, 2*(rollupBatch+1), uploads(), "the position is what keeps records from being counted twice")
	at, err := db.RolledUp(ctx)
	require.NoError(t, err)
	require.NotZero(t, at)
}
