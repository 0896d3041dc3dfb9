package admin_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/admin"
	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// use makes a tenant use so many bytes.
func (o office) use(t *testing.T, id string, bytes int64) {
	t.Helper()
	require.NoError(t, o.DB.InTx(ctx, func(tx *meta.Tx) error {
		_, err := tx.Exec(`UPDATE tenants SET used_bytes = ? WHERE id = ?`, bytes, id)
		return err
	}))
}

func set(pairs ...string) admin.Edit {
	e := admin.Edit{Set: map[string]json.RawMessage{}}
	for i := 0; i < len(pairs); i += 2 {
		e.Set[pairs[i]] = raw(pairs[i+1])
	}
	return e
}

func TestPlanAndQuotaOfATenantHoldAtOnceAndSayWhatIsTooMuch(t *testing.T) {
	onEach(t, func(t *testing.T, o office) {
		id := o.tenant(t, "acme")
		_, err := o.SetTenantPlan(ctx, "acme", "pro")
		require.NoError(t, err)
		o.use(t, id, 3<<20)

		c, err := o.SetTenantPlan(ctx, "acme", "free")
		require.NoError(t, err)
		require.Equal(t, admin.Change{TenantID: id, Name: "acme", What: "plan", Before: "pro", After: "free", OverBytes: 2 << 20}, c)
		require.Equal(t, map[string]any{"before": "pro", "after": "free", "over_bytes": float64(2 << 20), "over_files": float64(0), "overdue_files": float64(0)}, o.record(t, "tenant.plan"))
		q, err := o.DB.Tenant(ctx, id).Quota()
		require.NoError(t, err)
		require.EqualValues(t, 1<<20, q.Quota)
		require.EqualValues(t, 3<<20, q.Used, "nothing is lost")

		c, err = o.SetTenantQuota(ctx, id, new(int64(5<<20)))
		require.NoError(t, err)
		require.Zero(t, c.OverBytes)
		require.Equal(t, "plan", c.Before)
		require.EqualValues(t, 5<<20, c.After)
		c, err = o.SetTenantQuota(ctx, id, nil)
		require.NoError(t, err)
		require.EqualValues(t, 2<<20, c.OverBytes)
		c, err = o.SetTenantQuota(ctx, id, new(int64(2<<20)))
		require.NoError(t, err)
		require.Zero(t, c.OverBytes, "more than before, though still not enough, is nothing to warn of")
		_, err = o.DB.Exec(ctx, "UPDATE tenants SET used_files = 7 WHERE id = ?", id)
		require.NoError(t, err)
		for _, step := range []struct {
			files string
			over  int64
		}{{"5", 2}, {"6", 0}, {"0", 0}, {"7", 0}, {"6", 1}} {
			c, err = o.SetOverrides(ctx, id, set("max_files", step.files))
			require.NoError(t, err)
			require.Equal(t, step.over, c.OverFiles, step.files)
			require.Zero(t, c.OverBytes)
		}
		plan, err := o.SetPlan(ctx, "free", set("max_files", "3"))
		require.NoError(t, err)
		require.Zero(t, plan.OverTenants, "it has a number of its own")
		_, err = o.SetOverrides(ctx, id, admin.Edit{Clear: []string{"max_files"}})
		require.NoError(t, err)
		plan, err = o.SetPlan(ctx, "free", set("max_files", "2"))
		require.NoError(t, err)
		require.EqualValues(t, 1, plan.OverTenants)
		plan, err = o.SetPlan(ctx, "free", set("max_files", "4"))
		require.NoError(t, err)
		require.Zero(t, plan.OverTenants)
		_, err = o.SetTenantQuota(ctx, id, new(int64(-1)))
		requireRefused(t, err, storage.CodeMalformedRequest, "settings")
		_, err = o.SetTenantPlan(ctx, id, "gold")
		requireRefused(t, err, storage.CodeNotFound, "plan_unknown")
	})
}

func TestOverridesAreSetByKeyAndCleared(t *testing.T) {
	o := onSQLite(t)
	id := o.tenant(t, "acme")
	step := func(e admin.Edit, want string) {
		t.Helper()
		c, err := o.SetOverrides(ctx, "acme", e)
		require.NoError(t, err)
		require.JSONEq(t, want, string(c.After.(json.RawMessage)))
		row := o.row(t, id)
		if want == "{}" {
			require.Empty(t, row.Overrides)
		} else {
			require.JSONEq(t, want, row.Overrides)
		}
	}
	step(set("max_files", "5", "max_bytes.video", "100"), `{"max_files": 5, "max_bytes": {"video": 100}}`)
	step(set("max_bytes.image", "7"), `{"max_files": 5, "max_bytes": {"video": 100, "image": 7}}`)
	step(admin.Edit{Clear: []string{"max_bytes.video", "max_files", "retention_days"}}, `{"max_bytes": {"image": 7}}`)
	spec, err := quota.SpecFor(o.DB.Tenant(ctx, id))
	require.NoError(t, err)
	require.Equal(t, map[storage.Category]int64{storage.CategoryImage: 7}, spec.MaxBytes)
	step(admin.Edit{Clear: []string{"max_bytes.image"}}, `{}`)

	for _, e := range []admin.Edit{
		set("nonsense", "1"), set("max_files", "-1"), set("max_files", `"many"`), set("max_files", "{"), set("max_files.x", "1"),
		set("serve", `"variants_only"`), set("max_bytes.video.x", "1"), set("upgrade_url", `"javascript:x"`),
	} {
		records := o.records(t)
		_, err := o.SetOverrides(ctx, "acme", e)
		requireRefused(t, err, storage.CodeMalformedRequest, "settings")
		require.Equal(t, records, o.records(t))
	}
}

func TestWhatCannotBeSetIsNamedWithWhatThereIs(t *testing.T) {
	o := onSQLite(t)
	o.tenant(t, "acme")
	o.ImagePresets, o.VideoPresets = []string{"w640", "w320"}, []string{"h264"}
	for says, e := range map[string]admin.Edit{
		"w640, w320":               set("image_presets", `["w640","w999"]`),
		`no preset "vp9"`:          set("video_presets", `["vp9"]`),
		"categories, max_bytes,":   {Clear: []string{"nosuch"}},
		"image, video, document":   {Clear: []string{"max_bytes.pictures"}},
		`there is no "pictures"`:   set("categories", `["pictures"]`),
		`category "pictures"`:      set("max_bytes.pictures", "5"),
		`unknown field "nonsense"`: set("nonsense", "1"),
		"max_files: 1 to":          set("max_files", "-1"),
		"retention_days: 1 to":     set("retention_days", "99999999"),
		"gateway tenant quota":     set("storage_bytes", "5"),
	} {
		_, err := o.SetOverrides(ctx, "acme", e)
		require.Contains(t, requireRefused(t, err, storage.CodeMalformedRequest, "settings").Reason.English, says)
		if says == "gateway tenant quota" {
			continue // of a plan it is a key
		}
		_, err = o.SetPlan(ctx, "pro", e)
		require.Contains(t, requireRefused(t, err, storage.CodeMalformedRequest, "settings").Reason.English, says)
	}
	_, err := o.SetOverrides(ctx, "acme", set("image_presets", `["w320"]`, "video_presets", `["h264"]`))
	require.NoError(t, err)
}

func TestQuotaOfNothingAndQuotaWithoutLimit(t *testing.T) {
	onEach(t, func(t *testing.T, o office) {
		id := o.tenant(t, "acme")
		ledger := quota.Ledger{DB: o.DB, TTL: time.Minute}
		_, err := o.SetTenantQuota(ctx, id, new(int64(0)))
		require.NoError(t, err)
		_, err = ledger.Reserve(ctx, id, 1, quota.Limits{})
		require.Equal(t, storage.CodeQuotaExceeded, storage.CodeOf(err))
		_, err = o.SetTenantQuota(ctx, id, new(quota.Unlimited))
		require.NoError(t, err)
		_, err = ledger.Reserve(ctx, id, 1<<50, quota.Limits{})
		require.NoError(t, err)
		_, err = o.SetTenantQuota(ctx, id, new(quota.Unlimited+1))
		requireRefused(t, err, storage.CodeMalformedRequest, "settings")
	})
}

func TestTenantThatIsOverCannotBeChanged(t *testing.T) {
	o := onSQLite(t)
	id := o.tenant(t, "acme")
	for _, s := range storage.TenantStates {
		o.put(t, id, s)
		_, err := o.SetTenantQuota(ctx, id, new(int64(1)))
		if s.Served() || s == storage.TenantPendingDelete {
			require.NoError(t, err, s)
			continue
		}
		requireRefused(t, err, storage.CodeConflict, "tenant_over")
	}
}

// The record of a plan was lost: what is known is shown, what is not is not made up, and another plan mends it.
func TestTenantWhosePlanIsLost(t *testing.T) {
	onEach(t, func(t *testing.T, o office) {
		id, own := o.tenant(t, "acme"), o.tenant(t, "bold")
		_, err := o.SetTenantQuota(ctx, own, new(int64(5)))
		require.NoError(t, err)
		before, err := o.ShowTenant(ctx, id)
		require.NoError(t, err)
		require.False(t, before.PlanMissing)
		_, err = o.DB.Exec(ctx, `DELETE FROM plans WHERE name = ?`, before.Plan)
		require.NoError(t, err)

		shown, err := o.ShowTenant(ctx, id)
		require.NoError(t, err)
		require.True(t, shown.PlanMissing)
		require.Equal(t, before.Plan, shown.Plan)
		require.Nil(t, shown.Limits)
		list, err := o.Tenants(ctx, "", "", 10)
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.True(t, list[0].PlanMissing)
		require.Zero(t, list[0].QuotaBytes)
		require.EqualValues(t, 5, list[1].QuotaBytes)

		_, err = o.SetTenantQuota(ctx, id, new(int64(1)))
		requireRefused(t, err, storage.CodeConflict, "plan_missing")
		_, err = o.SetOverrides(ctx, id, set("max_files", "5"))
		requireRefused(t, err, storage.CodeConflict, "plan_missing")
		_, err = o.SetTenantPlan(ctx, id, "pro")
		require.NoError(t, err)
		_, err = o.SetTenantQuota(ctx, id, new(int64(1)))
		require.NoError(t, err)
	})
}

func TestPlansAreChangedCopiedAndRemoved(t *testing.T) {
	onEach(t, func(t *testing.T, o office) {
		id := o.tenant(t, "acme")
		o.use(t, id, 1000)
		c, err := o.SetPlan(ctx, "free", set("storage_bytes", "999", "retention_days", "30", "max_bytes.video", "5"))
		require.NoError(t, err)
		require.EqualValues(t, 1, c.OverTenants)
		x, err := o.ShowPlan(ctx, "free")
		require.NoError(t, err)
		require.EqualValues(t, 999, x.StorageBytes)
		require.EqualValues(t, 1, x.Tenants)
		require.JSONEq(t, `{"retention_days": 30, "max_bytes": {"video": 5}}`, string(x.Spec))
		require.Equal(t, map[string]any{
			"before": map[string]any{"storage_bytes": float64(1 << 20)}, "over_tenants": float64(1), "overdue_files": float64(0),
			"after": map[string]any{"storage_bytes": float64(999), "retention_days": float64(30), "max_bytes": map[string]any{"video": float64(5)}},
		}, o.record(t, "plan.set"))

		copied, err := o.CreatePlan(ctx, "like-free", "free")
		require.NoError(t, err)
		require.Equal(t, x.Spec, copied.Spec)
		_, err = o.CreatePlan(ctx, "like-free", "free")
		requireRefused(t, err, storage.CodeConflict, "plan_exists")
		_, err = o.CreatePlan(ctx, "Like Free", "free")
		requireRefused(t, err, storage.CodeMalformedRequest, "plan_name")

		requireRefused(t, o.RemovePlan(ctx, "free"), storage.CodeConflict, "plan_in_use")
		_, err = o.SetTenantPlan(ctx, id, "like-free")
		require.NoError(t, err)
		require.NoError(t, o.RemovePlan(ctx, "free"))
		requireRefused(t, o.RemovePlan(ctx, "free"), storage.CodeNotFound, "plan_unknown")
		require.Contains(t, o.record(t, "plan.remove"), "before")

		for _, e := range []admin.Edit{
			set("storage_bytes", "-1"), set("storage_bytes", `"much"`), {Clear: []string{"storage_bytes"}}, set("serve", `"variants_only"`),
		} {
			_, err := o.SetPlan(ctx, "pro", e)
			requireRefused(t, err, storage.CodeMalformedRequest, "settings")
		}
	})
}

// What holds for a tenant is its plan and its overrides together: neither is changed so that the other makes no sense.
func TestPlanIsNotChangedAgainstTheOverridesOfItsTenants(t *testing.T) {
	onEach(t, func(t *testing.T, o office) {
		_, err := o.SetPlan(ctx, "pro", set("transcoding", "true"))
		require.NoError(t, err)
		for _, name := range []string{"acme", "bolt", "gone"} {
			id := o.tenant(t, name)
			_, err := o.SetTenantPlan(ctx, id, "pro")
			require.NoError(t, err)
			if name != "bolt" {
				_, err := o.SetOverrides(ctx, id, set("serve", `"variants_only"`))
				require.NoError(t, err)
			}
			if name == "gone" {
				o.put(t, id, storage.TenantDeleted)
			}
		}
		records := o.records(t)
		for _, e := range []admin.Edit{set("transcoding", "false"), {Clear: []string{"transcoding"}}} {
			_, err = o.SetPlan(ctx, "pro", e)
			refusal := requireRefused(t, err, storage.CodeConflict, "plan_overrides")
			require.Contains(t, refusal.Reason.English, `The tenants are: "acme". `)
		}
		require.Equal(t, records, o.records(t))
		plan, err := o.ShowPlan(ctx, "pro")
		require.NoError(t, err)
		require.JSONEq(t, `{"transcoding": true}`, string(plan.Spec))

		_, err = o.SetPlan(ctx, "pro", set("storage_bytes", "5"))
		require.NoError(t, err)
		_, err = o.SetOverrides(ctx, "acme", admin.Edit{Clear: []string{"serve"}})
		require.NoError(t, err)

		errs := race(func() error { _, err := o.SetPlan(ctx, "pro", set("transcoding", "false")); return err },
			func() error { _, err := o.SetOverrides(ctx, "acme", set("serve", `"variants_only"`)); return err })
		require.Equal(t, 1, succeeded(errs), "%v", errs)
	})
}

func TestPlanIsMadeOnce(t *testing.T) {
	onEach(t, func(t *testing.T, o office) {
		for n := range 5 {
			create := func() error { _, err := o.CreatePlan(ctx, fmt.Sprintf("new-%d", n), "free"); return err }
			errs := race(create, create, create)
			require.Equal(t, 1, succeeded(errs), "%v", errs)
			for _, err := range errs {
				if err != nil {
					requireRefused(t, err, storage.CodeConflict, "plan_exists")
				}
			}
		}
	})
}

// A plan is removed at the very moment at which a tenant is put on it: never both.
func TestPlanIsNotRemovedUnderATenant(t *testing.T) {
	onEach(t, func(t *testing.T, o office) {
		id := o.tenant(t, "acme")
		for range 5 {
			if _, err := o.ShowPlan(ctx, "pro"); err != nil {
				_, err := o.CreatePlan(ctx, "pro", "free")
				require.NoError(t, err)
			}
			_, err := o.SetTenantPlan(ctx, id, "free")
			require.NoError(t, err)
			errs := race(func() error { return o.RemovePlan(ctx, "pro") }, func() error {
				_, err := o.SetTenantPlan(ctx, id, "pro")
				return err
			})
			require.Equal(t, 1, succeeded(errs), "%v", errs)
			_, err = o.ShowPlan(ctx, o.row(t, id).Plan)
			require.NoError(t, err)
		}
	})
}
