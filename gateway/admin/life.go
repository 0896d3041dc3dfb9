package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// action is something that an operator can do to the life of a tenant.
type action struct {
	name, chinese string
	// from are the states in which it is possible; to is where it leads.
	from []storage.TenantState
	to   func(meta.TenantRow) storage.TenantState
}

func always(s storage.TenantState) func(meta.TenantRow) storage.TenantState {
	return func(meta.TenantRow) storage.TenantState { return s }
}

var (
	actSuspend = action{
		name: "suspend", chinese: "暂停", from: []storage.TenantState{storage.TenantActive}, to: always(storage.TenantSuspended),
	}
	actResume = action{
		name: "resume", chinese: "恢复使用", from: []storage.TenantState{storage.TenantSuspended}, to: always(storage.TenantActive),
	}
	actDelete = action{
		name: "delete", chinese: "删除", from: []storage.TenantState{storage.TenantActive, storage.TenantSuspended},
		to: always(storage.TenantPendingDelete),
	}
	actRestore = action{
		name: "restore", chinese: "还原", from: []storage.TenantState{storage.TenantPendingDelete},
		to: func(t meta.TenantRow) storage.TenantState { return t.RestoreState },
	}
	// A purge only ends the cooling-off; the state changes when the worker has removed everything.
	actPurge = action{
		name: "purge", chinese: "彻底清除", from: []storage.TenantState{storage.TenantPendingDelete}, to: always(storage.TenantPendingDelete),
	}
)

// actions is THE list of them.
var actions = []action{actSuspend, actResume, actDelete, actRestore, actPurge}

// check refuses an action that is not possible from here, and says what is.
func (x action) check(t meta.TenantRow) error {
	if t.ID == storage.PlatformTenant && (x.name == actDelete.name || x.name == actPurge.name) {
		return refuse(storage.CodeConflict, "platform_tenant",
			fmt.Sprintf("The tenant %q owns the files of all releases: it can be suspended, but neither deleted nor purged.", t.Name),
			fmt.Sprintf("租户 %q 拥有所有发布版本的文件：可以暂停，但不能删除或彻底清除。", t.Name))
	}
	if t.Purging() {
		return refuse(storage.CodeConflict, "tenant_purging",
			fmt.Sprintf("The purge of the tenant %q has begun; there is no way back.", t.Name),
			fmt.Sprintf("租户 %q 的清除已经开始，无法撤回。", t.Name))
	}
	if slices.Contains(x.from, t.State) {
		return nil
	}
	var english, chinese []string
	for _, other := range actions {
		if slices.Contains(other.from, t.State) {
			english, chinese = append(english, other.name), append(chinese, other.chinese)
		}
	}
	if len(english) == 0 {
		english, chinese = []string{"nothing"}, []string{"无"}
	}
	return refuse(storage.CodeConflict, "tenant_state",
		fmt.Sprintf("The tenant %q is %s, so it is not possible to %s it; possible is: %s.", t.Name, t.State, x.name, strings.Join(english, ", ")),
		fmt.Sprintf("租户 %q 的状态为 %s，无法%s；可执行的操作：%s。", t.Name, t.State, x.chinese, strings.Join(chinese, "、")))
}

// Suspend stops a tenant's uploads; it may still read and delete. The reason is for operators.
func (a Admin) Suspend(ctx context.Context, tenant, reason string) (Change, error) {
	return a.act(ctx, actSuspend, tenant, reason, nil)
}

// Resume takes a suspension back.
func (a Admin) Resume(ctx context.Context, tenant, reason string) (Change, error) {
	return a.act(ctx, actResume, tenant, reason, nil)
}

// Delete closes a tenant: nothing of it is served any more, and after the cooling-off everything is removed.
func (a Admin) Delete(ctx context.Context, tenant, reason string) (Change, error) {
	return a.act(ctx, actDelete, tenant, reason, func(t meta.TenantRow) map[string]any {
		return map[string]any{"restore_state": t.State, "delete_after": meta.Now().Add(a.CoolingOff)}
	})
}

// Restore takes a deletion back: the tenant is again in the state that it came from, for the reason that it had then.
func (a Admin) Restore(ctx context.Context, tenant, reason string) (Change, error) {
	earlier, err := a.suspendedFor(ctx, tenant)
	if err != nil {
		return Change{}, err
	}
	return a.act(ctx, actRestore, tenant, reason, func(t meta.TenantRow) map[string]any {
		set := map[string]any{"restore_state": "", "delete_after": 0}
		if t.RestoreState == storage.TenantSuspended && earlier != "" {
			set["state_reason"] = earlier
		}
		return set
	})
}

// suspendedFor is the reason of the last suspension of a tenant; empty when there was none, or no reason.
func (a Admin) suspendedFor(ctx context.Context, tenant string) (string, error) {
	last, err := a.Log(ctx, tenant, "tenant."+actSuspend.name, time.Time{}, 1)
	if err != nil || len(last) == 0 {
		return "", err
	}
	var facts struct{ Reason string }
	if err := json.Unmarshal(last[0].Data, &facts); err != nil {
		return "", fmt.Errorf("audit record %d: %w", last[0].ID, err)
	}
	return meta.FitReason(facts.Reason), nil
}

// act is one move of the state, with further columns.
func (a Admin) act(ctx context.Context, x action, tenant, reason string, set func(meta.TenantRow) map[string]any) (Change, error) {
	return a.onTenant(ctx, tenant, func(tx *meta.Tx, t meta.TenantRow) (Change, error) {
		if err := x.check(t); err != nil {
			return Change{}, err
		}
		c := Change{What: "state", Before: t.State, After: x.to(t)}
		facts := map[string]any{"before": c.Before, "after": c.After, "reason": reason}
		var more map[string]any
		if set != nil {
			more = set(t)
		}
		if at, ok := more["delete_after"].(meta.Stamp); ok {
			c.DeleteAfter = at.TimeIfSet()
			facts["delete_after"] = c.DeleteAfter
		}
		if err := tx.MoveTenant(t, x.to(t), reason, more); err != nil {
			return Change{}, err
		}
		return c, a.write(tx, t.ID, "tenant."+x.name, t.ID, facts)
	})
}

// Purge ends the cooling-off of a deleted tenant: the worker removes everything of it now. confirm is its name. It is the
// emergency door of who has the machine; operators come in by PurgeExported.
func (a Admin) Purge(ctx context.Context, tenant, confirm, reason string) (Change, error) {
	return a.onTenant(ctx, tenant, func(tx *meta.Tx, t meta.TenantRow) (Change, error) {
		if err := purgeable(t, confirm); err != nil {
			return Change{}, err
		}
		if err := tx.EndCoolingOff(t); err != nil {
			return Change{}, err
		}
		if _, err := tx.Enqueue(meta.PurgeTask(t.ID)); err != nil {
			return Change{}, fmt.Errorf("queue the purge: %w", err)
		}
		now := meta.Now()
		c := Change{What: "delete_after", Before: t.DeleteAfter.TimeIfSet(), After: now.TimeIfSet()}
		return c, a.write(tx, t.ID, "tenant.purge_now", t.ID, map[string]any{"before": c.Before, "after": c.After, "reason": reason})
	})
}
