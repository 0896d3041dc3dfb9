package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// Plan is a plan as operators see it.
type Plan struct {
	Name         string          `json:"name"`
	StorageBytes int64           `json:"storage_bytes"`
	Spec         json.RawMessage `json:"spec"`
	// Tenants are on it.
	Tenants   int64     `json:"tenants"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Plans lists all plans by name.
func (a Admin) Plans(ctx context.Context) ([]Plan, error) {
	rows, err := a.DB.Plans(ctx)
	if err != nil {
		return nil, fmt.Errorf("list plans: %w", err)
	}
	uses, err := a.DB.PlanUses(ctx)
	if err != nil {
		return nil, fmt.Errorf("count tenants: %w", err)
	}
	tenants := map[string]int64{}
	for _, u := range uses {
		tenants[u.Plan] = u.Tenants
	}
	out := make([]Plan, 0, len(rows))
	for _, p := range rows {
		out = append(out, Plan{
			Name: p.Name, StorageBytes: p.StorageBytes, Spec: specJSON(p.Spec), Tenants: tenants[p.Name], UpdatedAt: p.UpdatedAt.Time(),
		})
	}
	return out, nil
}

// plan reads a plan; of one that is not there it says which are.
func (a Admin) plan(ctx context.Context, name string) (Plan, error) {
	plans, err := a.Plans(ctx)
	if err != nil {
		return Plan{}, err
	}
	for _, p := range plans {
		if p.Name == name {
			return p, nil
		}
	}
	return Plan{}, planUnknown(name, plans)
}

func planUnknown(name string, there []Plan) error {
	var names []string
	for _, p := range there {
		names = append(names, p.Name)
	}
	list := strings.Join(names, ", ")
	if list == "" {
		list = "(none; run `gateway migrate` first)"
	}
	return refuse(storage.CodeNotFound, "plan_unknown",
		fmt.Sprintf("There is no plan %q; the plans are: %s.", name, list), fmt.Sprintf("没有套餐 %q；现有套餐：%s。", name, list))
}

// ShowPlan reads one plan.
func (a Admin) ShowPlan(ctx context.Context, name string) (Plan, error) { return a.plan(ctx, name) }

// storageKey is the key of an Edit that is a column of the plan and no part of its spec.
const storageKey = "storage_bytes"

// SetPlan changes a plan for all tenants on it. Beside the keys of its spec there is storage_bytes.
func (a Admin) SetPlan(ctx context.Context, name string, e Edit) (Change, error) {
	there, err := a.plan(ctx, name) // its refusal names the plans that there are
	if err != nil {
		return Change{}, err
	}
	if slices.Contains(e.Clear, storageKey) {
		return Change{}, badSpec(fmt.Errorf("%s: every plan has one", storageKey))
	}
	if err := a.check(e); err != nil {
		return Change{}, err
	}
	c := Change{Name: there.Name, What: "plan_settings", Capped: a.capped(e)}
	err = a.DB.InTx(ctx, func(tx *meta.Tx) error {
		p, err := tx.LockPlan(name)
		if err != nil {
			return fmt.Errorf("read plan: %w", err)
		}
		if c.Before, err = planFacts(p); err != nil {
			return err
		}
		before, err := roomIn(p)
		if err != nil {
			return err
		}
		if err := edit(&p, e); err != nil {
			return err
		}
		after, err := roomIn(p)
		if err != nil {
			return err
		}
		if err := checkOverrides(tx, p); err != nil {
			return err
		}
		if c.After, err = planFacts(p); err != nil {
			return err
		}
		if err := tx.SavePlan(p); err != nil {
			return fmt.Errorf("write plan: %w", err)
		}
		less := after.lessThan(before)
		if c.OverTenants, err = tx.TenantsAbove(name, less.bytes, less.files); err != nil {
			return fmt.Errorf("count tenants: %w", err)
		}
		if c.OverdueFiles, err = a.overdue(less.days, func(made meta.Stamp) (int64, error) { return tx.AssetsOnMadeBefore(name, made) }); err != nil {
			return err
		}
		return a.write(tx, "", "plan.set", name, map[string]any{
			"before": c.Before, "after": c.After, "over_tenants": c.OverTenants, "overdue_files": c.OverdueFiles,
		})
	})
	return c, err
}

// edit changes a plan's row.
func edit(p *meta.Plan, e Edit) error {
	set := maps.Clone(e.Set)
	if raw, ok := set[storageKey]; ok {
		delete(set, storageKey)
		var bytes int64
		if err := json.Unmarshal(raw, &bytes); err != nil {
			return badSpec(fmt.Errorf("%s: a number of bytes is expected, not %s", storageKey, raw))
		}
		if err := quotaBytes(storageKey, bytes); err != nil {
			return err
		}
		p.StorageBytes = bytes
	}
	spec, err := Edit{Set: set, Clear: e.Clear}.apply(p.Spec)
	if err != nil {
		return err
	}
	p.Spec, p.UpdatedAt = string(specJSON(spec)), meta.Now()
	return checkWhole(p.Spec, "")
}

// namedTenants is how many tenants a refusal names.
const namedTenants = 10

// checkOverrides refuses a plan that contradicts what tenants on it have of their own: nobody could say what holds for
// them then. The plan is locked, and so is it where overrides are changed.
func checkOverrides(tx *meta.Tx, p meta.Plan) error {
	list, err := tx.Overriding(p.Name)
	if err != nil {
		return fmt.Errorf("read overrides: %w", err)
	}
	var names []string
	var first error
	for _, t := range list {
		if err := contradiction(p.Spec, t.Overrides); err != nil {
			names, first = append(names, strconv.Quote(t.Name)), cmp.Or(first, err)
		}
	}
	if first == nil {
		return nil
	}
	who := strings.Join(names[:min(len(names), namedTenants)], ", ")
	return refuse(storage.CodeConflict, "plan_overrides",
		fmt.Sprintf("The overrides of %d of its tenants contradict that; change those first. The tenants are: %s. What is wrong: %s.", len(names), who, first),
		fmt.Sprintf("%d 个租户的单独设置与此矛盾，请先修改：%s。原因：%s。", len(names), who, first))
}

// planFacts is everything that a plan says, as one object.
func planFacts(p meta.Plan) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(p.Spec), &out); err != nil {
		return nil, fmt.Errorf("spec of plan %s: %w", p.Name, err)
	}
	out[storageKey] = json.RawMessage(strconv.FormatInt(p.StorageBytes, 10))
	return out, nil
}

var planName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// CreatePlan makes a plan that is like another.
func (a Admin) CreatePlan(ctx context.Context, name, like string) (Plan, error) {
	if !planName.MatchString(name) {
		return Plan{}, refuse(storage.CodeMalformedRequest, "plan_name",
			"The name of a plan must have 1 to 64 of the characters a-z, 0-9, - and _, and begin with a letter or digit.",
			"套餐名称必须由 1 到 64 个 a-z、0-9、- 或 _ 字符组成，并以字母或数字开头。")
	}
	if _, err := a.plan(ctx, like); err != nil {
		return Plan{}, err
	}
	err := a.DB.InTx(ctx, func(tx *meta.Tx) error {
		p, err := tx.LockPlan(like)
		if err != nil {
			return fmt.Errorf("read plan: %w", err)
		}
		p.Name, p.UpdatedAt = name, meta.Now()
		room, err := roomIn(p)
		if err != nil {
			return err
		}
		// Tenants may be on it already: its record was lost, and files have been kept since whatever it said.
		if _, err := a.overdue(room.days, func(made meta.Stamp) (int64, error) { return tx.AssetsOnMadeBefore(name, made) }); err != nil {
			return err
		}
		created, err := tx.CreatePlan(p)
		if err != nil {
			return fmt.Errorf("write plan: %w", err)
		}
		if !created {
			return refuse(storage.CodeConflict, "plan_exists",
				fmt.Sprintf("There is a plan %q already.", name), fmt.Sprintf("已有套餐 %q。", name))
		}
		facts, err := planFacts(p)
		if err != nil {
			return err
		}
		return a.write(tx, "", "plan.create", name, map[string]any{"like": like, "before": nil, "after": facts})
	})
	if err != nil {
		return Plan{}, err
	}
	return a.plan(ctx, name)
}

// RemovePlan removes a plan that nobody is on.
func (a Admin) RemovePlan(ctx context.Context, name string) error {
	if _, err := a.plan(ctx, name); err != nil {
		return err
	}
	return a.DB.InTx(ctx, func(tx *meta.Tx) error {
		p, err := tx.LockPlan(name)
		if errors.Is(err, storage.ErrNotFound) {
			return planUnknown(name, nil)
		}
		if err != nil {
			return fmt.Errorf("read plan: %w", err)
		}
		n, err := tx.TenantsOn(name)
		if err != nil {
			return fmt.Errorf("count tenants: %w", err)
		}
		if n > 0 {
			return refuse(storage.CodeConflict, "plan_in_use",
				fmt.Sprintf("Tenants are still on the plan %q: %d of them. Give them another plan first.", name, n),
				fmt.Sprintf("套餐 %q 仍有 %d 个租户；请先为它们更换套餐。", name, n))
		}
		facts, err := planFacts(p)
		if err != nil {
			return err
		}
		if err := tx.DropPlan(name); err != nil {
			return fmt.Errorf("remove plan: %w", err)
		}
		return a.write(tx, "", "plan.remove", name, map[string]any{"before": facts, "after": nil})
	})
}
