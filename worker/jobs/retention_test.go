package jobs_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

func TestAssetsOlderThanThePlanKeepsThemAreDeleted(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		set := func(overrides string) {
			b.inTx(t, func(tx *meta.Tx) error { return tx.PutTenantOverrides(b.tenant, overrides) })
		}
		old, _ := b.upload(t, harmless, storage.CategoryDocument)
		young, _ := b.upload(t, []byte("of yesterday"), storage.CategoryDocument)
		b.inTx(t, func(tx *meta.Tx) error {
			for id, days := range map[string]int{old: 8, young: 6} {
				if _, err := tx.Exec(`UPDATE assets SET created_at = ? WHERE id = ?`, meta.Now().Add(-time.Duration(days)*24*time.Hour), id); err != nil {
					return err
				}
			}
			return nil
		})
		there := func() (ids []string) {
			list, err := b.db.Tenant(context.Background(), b.tenant).Assets(meta.AssetFilter{}, "", 10)
			require.NoError(t, err)
			for _, a := range list {
				ids = append(ids, a.ID)
			}
			return ids
		}
		b.due(t, "plan retention")
		require.ElementsMatch(t, []string{old, young}, there(), "without a number they stay")

		set(`{"retention_days": 7}`)
		b.deleteTenant(t, meta.Now().Add(time.Hour))
		b.due(t, "plan retention")
		require.Len(t, there(), 2, "what is pending deletion is left as it is")
		b.inTx(t, func(tx *meta.Tx) error {
			row, err := tx.LockTenant(b.tenant)
			require.NoError(t, err)
			return tx.MoveTenant(row, storage.TenantSuspended, "", map[string]any{"restore_state": "", "delete_after": 0})
		})

		b.due(t, "plan retention")
		require.Equal(t, []string{young}, there())
		require.Equal(t, []storage.EventKind{storage.EventDeleted}, b.events(t, old))
		var data string
		b.inTx(t, func(tx *meta.Tx) error {
			_, err := tx.Scan(&data, `SELECT data FROM audit_log WHERE action = 'asset.delete' AND target = ?`, old)
			return err
		})
		require.Contains(t, data, `"reason":"plan_retention"`)
		b.due(t, "plan retention")
		require.EqualValues(t, 1, b.audited(t, "asset.delete"))
	})
}
