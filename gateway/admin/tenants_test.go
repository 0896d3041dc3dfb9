package admin_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/admin"
	"gatehouse/gateway/auth"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/tenancy"
)

func TestTenantIsMadeListedAndShown(t *testing.T) {
	onEach(t, func(t *testing.T, o office) {
		made, err := o.CreateTenant(ctx, "acme", "free")
		require.NoError(t, err)
		p, err := (&auth.Keys{DB: o.DB}).Authenticate(ctx, "Bearer "+made.APIKey)
		require.NoError(t, err)
		require.Equal(t, made.TenantID, p.TenantID)
		o.put(t, o.tenant(t, "zeta"), storage.TenantSuspended)

		list, err := o.Tenants(ctx, "", "", 10)
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.Equal(t, "acme", list[0].Name)
		list, err = o.Tenants(ctx, storage.TenantSuspended, "", 10)
		require.NoError(t, err)
		require.Len(t, list, 1)
		list, err = o.Tenants(ctx, "", "acme", 10)
		require.NoError(t, err)
		require.Equal(t, "zeta", list[0].Name)

		_, err = o.SetTenantQuota(ctx, "acme", new(int64(7)))
		require.NoError(t, err)
		_, err = o.Delete(ctx, "acme", "they left")
		require.NoError(t, err)
		for _, ref := range []string{"acme", made.TenantID} {
			x, err := o.ShowTenant(ctx, ref)
			require.NoError(t, err)
			require.Equal(t, made.TenantID, x.ID)
			require.Equal(t, storage.TenantPendingDelete, x.State)
			require.Equal(t, "they left", x.Reason)
			require.WithinDuration(t, time.Now().Add(o.CoolingOff), *x.DeleteAfter, time.Hour)
			require.EqualValues(t, 7, x.QuotaBytes)
			require.True(t, x.OwnQuota)
			require.JSONEq(t, "{}", string(x.Overrides))
			require.Len(t, x.Keys, 1)
		}
	})
}

func TestNamesThatCannotBe(t *testing.T) {
	o := onSQLite(t)
	for _, name := range []string{
		"", " ", " acme", "acme ", "acme\u3000", "acme\n", "a\x00b", "a\u0085b", "\xff", strings.Repeat("x", tenancy.MaxName+1), meta.NewID(),
		"ac\u200bme", "\ufeffacme", "acme\u202e", "a\u00adcme", "acme\u2028x", "acme\u2029x", "acme\U000e0041",
	} {
		_, err := o.CreateTenant(ctx, name, "free")
		requireRefused(t, err, storage.CodeMalformedRequest, "tenant_name")
	}
	_, err := o.CreateTenant(ctx, "acme", "gold")
	refusal := requireRefused(t, err, storage.CodeNotFound, "plan_unknown")
	require.Contains(t, refusal.Reason.English, "free, pro")
	o.tenant(t, "acme")
	_, err = o.CreateTenant(ctx, "acme", "free")
	requireRefused(t, err, storage.CodeConflict, "tenant_exists")
	require.EqualValues(t, 3, o.records(t), "a refusal leaves nothing")
}

// Every database tells the letters of names apart, so that a copy of one in another is whole.
func TestNamesThatDifferByCaseAreTwoTenants(t *testing.T) {
	onEach(t, func(t *testing.T, o office) {
		lower, upper := o.tenant(t, "acme"), o.tenant(t, "Acme")
		require.NotEqual(t, lower, upper)
		x, err := o.ShowTenant(ctx, "Acme")
		require.NoError(t, err)
		require.Equal(t, upper, x.ID)
		_, err = o.ShowTenant(ctx, "ACME")
		requireRefused(t, err, storage.CodeNotFound, "tenant_unknown")
	})
}

func TestOfManyTenantsOfOneNameOneIsMade(t *testing.T) {
	onEach(t, func(t *testing.T, o office) {
		create := func() error { _, err := o.CreateTenant(ctx, "acme", "free"); return err }
		errs := race(create, create, create, create)
		require.Equal(t, 1, succeeded(errs))
		for _, err := range errs {
			if err != nil {
				require.Contains(t, []string{"tenant_exists", "tenant_provisioning"}, slug(err), "%v", err)
			}
		}
		list, err := o.Tenants(ctx, "", "", 10)
		require.NoError(t, err)
		require.Len(t, list, 1)
	})
}

// A program died while it made a tenant; the next one wants the name.
func TestNameOfADeadProvisioningIsTakenOver(t *testing.T) {
	o := onSQLite(t)
	begun := func(age time.Duration) string {
		at := meta.Now().Add(-age)
		row := meta.TenantRow{ID: meta.NewID(), Name: "acme", Plan: "free", State: storage.TenantProvisioning, CreatedAt: at, UpdatedAt: at}
		require.NoError(t, o.DB.InTx(ctx, func(tx *meta.Tx) error { return tx.Create(&row) }))
		return row.ID
	}
	young := begun(time.Minute)
	_, err := o.CreateTenant(ctx, "acme", "free")
	requireRefused(t, err, storage.CodeConflict, "tenant_provisioning")
	require.NoError(t, o.DB.InTx(ctx, func(tx *meta.Tx) error {
		_, err := tx.Exec(`UPDATE tenants SET created_at = 1 WHERE id = ?`, young)
		return err
	}))
	o.tenant(t, "acme")
	require.Equal(t, storage.TenantFailed, o.row(t, young).State)
}

func TestTenantThatCannotBeMadeLeavesItsReason(t *testing.T) {
	o := onSQLite(t)
	require.NoError(t, o.Zones.Close())
	_, err := o.CreateTenant(ctx, "acme", "free")
	require.ErrorContains(t, err, "zone check")
	require.Empty(t, slug(err))
	list, err := o.Tenants(ctx, "", "", 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.NotEqual(t, storage.TenantActive, list[0].State)
	require.Contains(t, list[0].Reason, "zone check")
}

func TestKeysAreMadeListedAndRevoked(t *testing.T) {
	onEach(t, func(t *testing.T, o office) {
		id := o.tenant(t, "acme")
		keys := &auth.Keys{DB: o.DB}
		one, err := o.CreateKey(ctx, "acme", admin.KeySpec{Name: "one"})
		require.NoError(t, err)
		two, err := o.CreateKey(ctx, id, admin.KeySpec{Name: "two"})
		require.NoError(t, err)
		list, err := o.Keys(ctx, "acme")
		require.NoError(t, err)
		require.Len(t, list, 3)

		_, err = o.RevokeKey(ctx, list[1].ID)
		require.NoError(t, err)
		_, err = o.RevokeKey(ctx, two.APIKey)
		require.NoError(t, err)
		for _, k := range []string{one.APIKey, two.APIKey} {
			_, err = keys.Authenticate(ctx, "Bearer "+k)
			require.Equal(t, storage.CodeUnauthenticated, storage.CodeOf(err))
			_, err = o.RevokeKey(ctx, k)
			requireRefused(t, err, storage.CodeConflict, "key_revoked")
		}
		_, err = o.RevokeKey(ctx, meta.NewID())
		requireRefused(t, err, storage.CodeNotFound, "key_unknown")
		require.Equal(t, map[string]any{"name": "two", "before": "valid", "after": "revoked"}, o.record(t, "key.revoke"))

		_, err = o.DB.Exec(ctx, "DELETE FROM tenants WHERE id = ?", id)
		require.NoError(t, err)
		c, err := o.RevokeKey(ctx, list[0].ID)
		require.NoError(t, err, "the tenant's record is lost, and may come back with a key that has leaked")
		require.Equal(t, id, c.Name)
	})
}

func TestRefusalsCarryNoCause(t *testing.T) {
	o := onSQLite(t)
	_, err := o.ShowTenant(ctx, "nobody")
	var refusal *storage.Error
	require.True(t, errors.As(err, &refusal))
	require.NoError(t, refusal.Cause)
}
