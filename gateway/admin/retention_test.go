package admin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/admin"
	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// aged gives a tenant an asset that was made some days ago.
func (o office) aged(t *testing.T, tenantID string, days int, state storage.AssetState) {
	t.Helper()
	made := meta.Now().Add(-time.Duration(days) * 24 * time.Hour)
	require.NoError(t, o.DB.InTx(ctx, func(tx *meta.Tx) error {
		return tx.Tenant(tenantID).CreateAsset(&meta.Asset{
			ID: meta.NewID(), SHA256: strings.Repeat("a", 64), Name: "a.txt", Ext: "txt", Category: storage.CategoryDocument,
			MediaType: "text/plain", Size: 4, State: state, CreatedAt: made, UpdatedAt: made,
		})
	}))
}

func TestShorterRetentionThatDeletesFilesIsAgreedTo(t *testing.T) {
	onEach(t, func(t *testing.T, o office) {
		acme, zeta := o.tenant(t, "acme"), o.tenant(t, "zeta")
		for _, id := range []string{acme, zeta} {
			o.aged(t, id, 10, storage.AssetAvailable)
			o.aged(t, id, 10, storage.AssetRejected)
			o.aged(t, id, 2, storage.AssetAvailable)
			o.aged(t, id, 10, storage.AssetDeleted)
		}
		agreed := o
		agreed.DeleteOlder = true
		refused := func(err error, says string) {
			t.Helper()
			require.Contains(t, requireRefused(t, err, storage.CodeConflict, "retention_deletes").Reason.English, says)
		}

		c, err := o.SetOverrides(ctx, "acme", set("retention_days", "30"))
		require.NoError(t, err)
		require.Zero(t, c.OverdueFiles)
		records := o.records(t)
		_, err = o.SetOverrides(ctx, "acme", set("retention_days", "5"))
		refused(err, "delete 2 files")
		require.JSONEq(t, `{"retention_days": 30}`, o.row(t, acme).Overrides, "nothing has changed")
		require.Equal(t, records, o.records(t))
		c, err = agreed.SetOverrides(ctx, "acme", set("retention_days", "5"))
		require.NoError(t, err)
		require.EqualValues(t, 2, c.OverdueFiles)
		require.EqualValues(t, 2, o.record(t, "tenant.overrides")["overdue_files"])
		c, err = o.SetOverrides(ctx, "acme", set("max_files", "100"))
		require.NoError(t, err)
		require.Zero(t, c.OverdueFiles, "they were overdue before")

		_, err = o.SetPlan(ctx, "free", set("retention_days", "1"))
		refused(err, "delete 3 files")
		c, err = o.SetPlan(ctx, "free", set("retention_days", "20"))
		require.NoError(t, err)
		require.Zero(t, c.OverdueFiles)
		c, err = agreed.SetPlan(ctx, "free", set("retention_days", "9"))
		require.NoError(t, err)
		require.EqualValues(t, 2, c.OverdueFiles, "acme has a retention of its own")
		_, err = o.SetPlan(ctx, "free", admin.Edit{Clear: []string{"retention_days"}})
		require.NoError(t, err)

		// The plan's record is lost, and made anew like one that keeps files for less time.
		_, err = o.CreatePlan(ctx, "month", "free")
		require.NoError(t, err)
		_, err = o.SetPlan(ctx, "month", set("retention_days", "3"))
		require.NoError(t, err)
		_, err = o.DB.Exec(ctx, "DELETE FROM plans WHERE name = 'free'")
		require.NoError(t, err)
		_, err = o.CreatePlan(ctx, "free", "month")
		refused(err, "delete 2 files")
		_, err = agreed.CreatePlan(ctx, "free", "month")
		require.NoError(t, err)
		_, err = o.SetPlan(ctx, "free", admin.Edit{Clear: []string{"retention_days"}})
		require.NoError(t, err)

		_, err = o.DB.Exec(ctx, "UPDATE tenants SET state = 'pending_delete', restore_state = '' WHERE id = ?", zeta)
		require.NoError(t, err)
		_, err = o.SetPlan(ctx, "free", set("retention_days", "1"))
		require.NoError(t, err, "its purge has begun, and the other has a retention of its own")
		_, err = o.SetPlan(ctx, "free", admin.Edit{Clear: []string{"retention_days"}})
		require.NoError(t, err)
		o.put(t, zeta, storage.TenantActive)

		_, err = o.SetPlan(ctx, "pro", set("retention_days", "1"))
		require.NoError(t, err, "nobody is on it")
		_, err = o.SetTenantPlan(ctx, "zeta", "pro")
		refused(err, "delete 3 files")
		require.Equal(t, "free", o.row(t, zeta).Plan)
		c, err = agreed.SetTenantPlan(ctx, "zeta", "pro")
		require.NoError(t, err)
		require.EqualValues(t, 3, c.OverdueFiles)
		_, err = o.SetOverrides(ctx, "acme", admin.Edit{Clear: []string{"retention_days"}})
		require.NoError(t, err, "the plan keeps them for ever")
	})
}
