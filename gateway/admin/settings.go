package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// SetTenantPlan puts a tenant on another plan.
func (a Admin) SetTenantPlan(ctx context.Context, tenant, plan string) (Change, error) {
	if _, err := a.plan(ctx, plan); err != nil {
		return Change{}, err
	}
	return a.setting(ctx, tenant, "plan", func(tx *meta.Tx, t meta.TenantRow) (Change, error) {
		p, err := tx.LockPlan(plan)
		if errors.Is(err, storage.ErrNotFound) {
			return Change{}, planUnknown(plan, nil)
		}
		if err != nil {
			return Change{}, fmt.Errorf("read plan: %w", err)
		}
		if err := checkWhole(p.Spec, t.Overrides); err != nil {
			return Change{}, err
		}
		return Change{Before: t.Plan, After: plan}, tx.PutTenantPlan(t.ID, plan)
	})
}

// SetTenantQuota gives a tenant a quota of its own, in bytes; nil gives it that of its plan again.
func (a Admin) SetTenantQuota(ctx context.Context, tenant string, bytes *int64) (Change, error) {
	if bytes != nil {
		if err := quotaBytes("quota", *bytes); err != nil {
			return Change{}, err
		}
	}
	return a.setting(ctx, tenant, "quota", func(tx *meta.Tx, t meta.TenantRow) (Change, error) {
		return Change{Before: quotaOf(t.QuotaOverride), After: quotaOf(bytes)}, tx.PutTenantQuota(t.ID, bytes)
	})
}

// quotaOf is how a quota is told: as bytes, or that it is the plan's.
func quotaOf(bytes *int64) any {
	if bytes == nil {
		return "plan"
	}
	return *bytes
}

// SetOverrides changes what a tenant has of its own, different from its plan.
func (a Admin) SetOverrides(ctx context.Context, tenant string, e Edit) (Change, error) {
	if _, ok := e.Set[storageKey]; ok || slices.Contains(e.Clear, storageKey) {
		return Change{}, badSpec(fmt.Errorf("%s is no override: a tenant's quota is set by itself, with gateway tenant quota", storageKey))
	}
	if err := a.check(e); err != nil {
		return Change{}, err
	}
	return a.setting(ctx, tenant, "overrides", func(tx *meta.Tx, t meta.TenantRow) (Change, error) {
		after, err := e.apply(t.Overrides)
		if err != nil {
			return Change{}, err
		}
		plan, err := tx.LockPlan(t.Plan) // nobody changes it until these overrides are written
		if errors.Is(err, storage.ErrNotFound) {
			return Change{}, planMissing(t)
		}
		if err != nil {
			return Change{}, fmt.Errorf("read plan: %w", err)
		}
		if err := checkWhole(plan.Spec, after); err != nil {
			return Change{}, err
		}
		if len(after) > maxOverrides {
			return Change{}, badSpec(fmt.Errorf("overrides of more than %d bytes", maxOverrides))
		}
		return Change{Before: specJSON(t.Overrides), After: specJSON(after), Capped: a.capped(e)}, tx.PutTenantOverrides(t.ID, after)
	})
}

// maxOverrides is what the column holds.
const maxOverrides = 4000

func specJSON(raw string) json.RawMessage {
	if raw == "" {
		return json.RawMessage("{}")
	}
	return json.RawMessage(raw)
}

// setting changes one setting of a tenant that is not over, and says by how much it is above what is less then.
func (a Admin) setting(ctx context.Context, tenant, what string, do func(*meta.Tx, meta.TenantRow) (Change, error)) (Change, error) {
	return a.onTenant(ctx, tenant, func(tx *meta.Tx, t meta.TenantRow) (Change, error) {
		if err := changeable(t); err != nil {
			return Change{}, err
		}
		before, err := roomOf(tx, t)
		if err != nil && !errors.Is(err, meta.ErrNoPlan) {
			return Change{}, err
		}
		c, err := do(tx, t)
		if err != nil {
			return Change{}, err
		}
		c.What = what
		after, err := roomOf(tx, t)
		if errors.Is(err, meta.ErrNoPlan) {
			return Change{}, planMissing(t)
		}
		if err != nil {
			return Change{}, err
		}
		less := after.lessThan(before)
		c.OverBytes, c.OverFiles = max(0, t.UsedBytes-less.bytes), max(0, t.UsedFiles-less.files)
		if c.OverdueFiles, err = a.overdue(less.days, tx.Tenant(t.ID).AssetsMadeBefore); err != nil {
			return Change{}, err
		}
		return c, a.write(tx, t.ID, "tenant."+what, t.ID, map[string]any{
			"before": c.Before, "after": c.After, "over_bytes": c.OverBytes, "over_files": c.OverFiles, "overdue_files": c.OverdueFiles,
		})
	})
}

// changeable refuses to change what is over.
func changeable(t meta.TenantRow) error {
	if t.State.Served() || t.State == storage.TenantPendingDelete && !t.Purging() {
		return nil
	}
	return refuse(storage.CodeConflict, "tenant_over",
		fmt.Sprintf("The tenant %q is %s; its settings cannot be changed.", t.Name, t.State),
		fmt.Sprintf("租户 %q 的状态为 %s，无法修改其设置。", t.Name, t.State))
}

// room is what a tenant may have, and for how many days.
type room struct{ bytes, files, days int64 }

// lessThan is what is less than before; what is not has no bounds, because what gives more takes nothing away.
func (r room) lessThan(before room) room {
	less := unbounded
	if r.bytes < before.bytes {
		less.bytes = r.bytes
	}
	if r.files < before.files {
		less.files = r.files
	}
	if r.days < before.days {
		less.days = r.days
	}
	return less
}

var unbounded = room{math.MaxInt64, math.MaxInt64, math.MaxInt64}

// roomIn is what a plan gives.
func roomIn(p meta.Plan) (room, error) {
	s, err := quota.SpecOf(p.Spec, "")
	if err != nil {
		return unbounded, err
	}
	return room{p.StorageBytes, bounded(s.MaxFiles), bounded(s.RetentionDays)}, nil
}

// bounded is a number of a spec, where 0 is no limit, as one that can be compared.
func bounded(n int64) int64 {
	if n == 0 {
		return math.MaxInt64
	}
	return n
}

// roomOf is what a tenant has; without bounds where its plan has no record.
func roomOf(tx *meta.Tx, t meta.TenantRow) (room, error) {
	q, err := tx.Tenant(t.ID).Quota()
	if err != nil {
		return unbounded, fmt.Errorf("read quota: %w", err)
	}
	s, err := quota.SpecFor(tx.Tenant(t.ID))
	if err != nil {
		return unbounded, err
	}
	return room{q.Quota, bounded(s.MaxFiles), bounded(s.RetentionDays)}, nil
}

func planMissing(t meta.TenantRow) error {
	return refuse(storage.CodeConflict, "plan_missing",
		fmt.Sprintf("The plan %q of the tenant %q has no record: it was lost. Bring it back from a snapshot or make it anew, or put the tenant on another plan.", t.Plan, t.Name),
		fmt.Sprintf("租户 %[2]q 的套餐 %[1]q 没有记录：该记录已丢失。请从快照恢复或重新创建该套餐，或为租户更换套餐。", t.Plan, t.Name))
}
