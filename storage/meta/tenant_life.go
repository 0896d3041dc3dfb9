package meta

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"gorm.io/gorm/clause"

	"gatehouse/storage"
)

// LockTenant reads a tenant's row and keeps it as it is until the transaction ends.
func (tx *Tx) LockTenant(id string) (TenantRow, error) {
	var t TenantRow
	err := tx.g.Clauses(tx.forUpdate()...).Take(&t, "id = ?", id).Error
	return t, notFound(err)
}

// forUpdate locks rows where transactions run beside each other; on SQLite a transaction is alone anyway.
func (tx *Tx) forUpdate() []clause.Expression {
	if tx.dialect == SQLite {
		return nil
	}
	return []clause.Expression{clause.Locking{Strength: "UPDATE"}}
}

// MoveTenant takes a tenant to another state, by compare-and-set on what was read of it before; set is what changes
// with the state. ErrChanged when the tenant has moved since, another error when the table of moves forbids it.
func (tx *Tx) MoveTenant(before TenantRow, to storage.TenantState, reason string, set map[string]any) error {
	if !storage.CanMoveTenant(before.State, to) {
		return fmt.Errorf("a tenant may not go from %s to %s", before.State, to)
	}
	all := map[string]any{"state": to, "state_reason": FitReason(reason)}
	maps.Copy(all, set)
	return tx.changeTenant(before, all)
}

// maxStateReason is what the column holds.
const maxStateReason = 500

// FitReason cuts a reason to what the column of every database stores.
func FitReason(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
	for len(s) > maxStateReason {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// changeTenant is the compare-and-set on everything that says where in its life a tenant is.
func (tx *Tx) changeTenant(before TenantRow, set map[string]any) error {
	set["updated_at"] = Now()
	r := tx.g.Model(&TenantRow{}).Where("id = ? AND state = ? AND restore_state = ? AND delete_after = ? AND state_reason = ?",
		before.ID, before.State, before.RestoreState, before.DeleteAfter, before.StateReason).Updates(set)
	if r.Error == nil && r.RowsAffected == 0 {
		return ErrChanged
	}
	return r.Error
}

// EndCoolingOff lets the purge of a tenant that is pending deletion begin now.
func (tx *Tx) EndCoolingOff(before TenantRow) error {
	return tx.changeTenant(before, map[string]any{"delete_after": Now()})
}

// TenantList lists tenants by name, those of one state unless it is empty, at most limit of those after a name.
func (db *DB) TenantList(ctx context.Context, state storage.TenantState, after string, limit int) ([]TenantRow, error) {
	q := db.g.WithContext(ctx).Where("name > ?", after)
	if state != "" {
		q = q.Where("state = ?", state)
	}
	var out []TenantRow
	return out, q.Order("name").Limit(limit).Find(&out).Error
}

// PutTenantPlan puts a tenant on a plan. It and the two below belong into a transaction that has locked the tenant.
func (tx *Tx) PutTenantPlan(id, plan string) error { return tx.putTenant(id, "plan", plan) }

// PutTenantQuota sets the tenant's own quota in bytes; nil lets the plan's hold.
func (tx *Tx) PutTenantQuota(id string, bytes *int64) error {
	return tx.putTenant(id, "quota_override", bytes)
}

// PutTenantOverrides sets the tenant's own refinements of its plan (quota.Spec as JSON, or empty).
func (tx *Tx) PutTenantOverrides(id, overrides string) error {
	return tx.putTenant(id, "overrides", overrides)
}

func (tx *Tx) putTenant(id, column string, value any) error {
	return tx.g.Model(&TenantRow{}).Where("id = ?", id).Updates(map[string]any{column: value, "updated_at": Now()}).Error
}
