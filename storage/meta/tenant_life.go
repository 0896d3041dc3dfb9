package meta

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"gatehouse/storage"
)

// LockTenant reads a tenant's row and keeps it as it is until the transaction ends.
func (tx *Tx) LockTenant(id string) (TenantRow, error) {
	var t TenantRow
	err := tx.g.Clauses(tx.forUpdate()...).Take(&t, "id = ?", id).Error
	return t, notFound(err)
}

// LockPlan is LockTenant for a plan: nobody removes it, or puts a tenant on it, until the transaction ends.
func (tx *Tx) LockPlan(name string) (Plan, error) {
	var p Plan
	err := tx.g.Clauses(tx.forUpdate()...).Take(&p, "name = ?", name).Error
	return p, notFound(err)
}

// forUpdate locks rows where transactions run beside each other; on SQLite a transaction is alone anyway.
func (tx *Tx) forUpdate() []clause.Expression {
	if tx.dialect == SQLite {
		return nil
	}
	return []clause.Expression{clause.Locking{Strength: "UPDATE"}}
}

// CreateTenant inserts a tenant; it reports false when there is one of that name.
func (tx *Tx) CreateTenant(t *TenantRow) (bool, error) { return insertNew(tx.g, tx.dialect, t) }

// MoveTenant takes a tenant to another state, by compare-and-set on what was read of it before; set is what changes
// with the state. ErrChanged when the tenant has moved since, another error when the table of moves forbids it.
func (tx *Tx) MoveTenant(before TenantRow, to storage.TenantState, reason string, set map[string]any) error {
	if !storage.CanMoveTenant(before.State, to) {
		return fmt.Errorf("a tenant may not go from %s to %s", before.State, to)
	}
	all := map[string]any{"state": to, "state_reason": fitReason(reason)}
	maps.Copy(all, set)
	return tx.changeTenant(before, all)
}

// maxStateReason is what the column holds.
const maxStateReason = 500

// fitReason cuts a reason to what every database stores.
func fitReason(s string) string {
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

// BeginUndo marks a tenant whose provisioning is to be taken back, with the reason; no step of it can go on from then.
// It reports false when the tenant is not, or no longer, being provisioned. A reason that is there already stays.
func (tx *Tx) BeginUndo(id, reason string) (bool, error) {
	first := gorm.Expr("CASE WHEN state_reason = '' THEN ? ELSE state_reason END", fitReason(reason))
	r := tx.g.Model(&TenantRow{}).Where("id = ? AND state = ?", id, storage.TenantProvisioning).
		Updates(map[string]any{"state_reason": first, "updated_at": Now()})
	return r.RowsAffected == 1, r.Error
}

// FenceProvisioning fails with storage.ErrNotFound when the tenant is not being provisioned any more, and keeps it so
// until the transaction ends otherwise. Every step of provisioning begins with it.
func (tx *Tx) FenceProvisioning(id string) (TenantRow, error) {
	t, err := tx.LockTenant(id)
	if err == nil && (t.State != storage.TenantProvisioning || t.StateReason != "") {
		err = storage.ErrNotFound
	}
	return t, err
}

// Abandoned lists the tenants whose provisioning began before the stamp, or is being taken back, oldest first.
func (db *DB) Abandoned(ctx context.Context, before Stamp, limit int) ([]TenantRow, error) {
	var out []TenantRow
	err := db.g.WithContext(ctx).Where("state = ? AND (created_at < ? OR state_reason <> '')", storage.TenantProvisioning, before).
		Order("id").Limit(limit).Find(&out).Error
	return out, err
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

// DropPlan removes a plan. It belongs into a transaction that has locked the plan and found nobody on it.
func (tx *Tx) DropPlan(name string) error { return tx.g.Delete(&Plan{}, "name = ?", name).Error }

// PlanUse is how many tenants are on a plan, those that are over not among them.
type PlanUse struct {
	Plan    string
	Tenants int64
}

// PlanUses counts the tenants of every plan that has some.
func (db *DB) PlanUses(ctx context.Context) ([]PlanUse, error) {
	return planUses(db.g.WithContext(ctx))
}

// TenantsOn counts the tenants of one plan.
func (tx *Tx) TenantsOn(plan string) (int64, error) {
	list, err := planUses(tx.g.Where("plan = ?", plan))
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return list[0].Tenants, nil
}

func planUses(g *gorm.DB) ([]PlanUse, error) {
	var out []PlanUse
	err := g.Model(&TenantRow{}).Where("state NOT IN ?", []storage.TenantState{storage.TenantDeleted, storage.TenantFailed}).
		Select("plan, COUNT(*) AS tenants").Group("plan").Scan(&out).Error
	return out, err
}

// Keys lists the tenant's API keys, revoked ones included, oldest first.
func (t Tenant) Keys() ([]APIKey, error) {
	var out []APIKey
	return out, t.rows(&APIKey{}).Order("id").Find(&out).Error
}

// KeyBy reads an API key by its id, or by the hash of its secret.
func (tx *Tx) KeyBy(idOrHash string) (APIKey, error) {
	var k APIKey
	err := tx.g.Take(&k, "id = ? OR hash = ?", idOrHash, idOrHash).Error
	return k, notFound(err)
}

// RevokeKey ends an API key; it reports false when it has ended already.
func (tx *Tx) RevokeKey(id string) (bool, error) {
	r := tx.g.Model(&APIKey{}).Where("id = ? AND revoked_at = 0", id).Update("revoked_at", Now())
	return r.RowsAffected == 1, r.Error
}

// TenantSpec is what holds for a tenant: the spec of its plan and its own overrides, both as JSON (quota.SpecOf).
type TenantSpec struct {
	ID        string
	Spec      string
	Overrides string
}

// ServedSpecs lists what holds for the tenants that are served, in the order of their ids, at most limit of those after
// an id.
func (db *DB) ServedSpecs(ctx context.Context, after string, limit int) ([]TenantSpec, error) {
	var out []TenantSpec
	err := db.g.WithContext(ctx).Raw(`SELECT t.id, p.spec, t.overrides FROM tenants t JOIN plans p ON p.name = t.plan
		WHERE t.id > ? AND t.state IN ? ORDER BY t.id LIMIT ?`,
		after, []storage.TenantState{storage.TenantActive, storage.TenantSuspended}, limit).Scan(&out).Error
	return out, err
}

// OldestAssets lists assets in a state in the order in which they were made, at most limit of those after an id.
func (t Tenant) OldestAssets(state storage.AssetState, after string, limit int) ([]Asset, error) {
	var out []Asset
	err := t.rows(&Asset{}).Where("state = ? AND id > ?", state, after).Order("id").Limit(limit).Find(&out).Error
	return out, err
}

// TenantsAbove counts the tenants of a plan that have no quota of their own and use more than so many bytes.
func (tx *Tx) TenantsAbove(plan string, bytes int64) (int64, error) {
	var n int64
	err := tx.g.Model(&TenantRow{}).Where("plan = ? AND quota_override IS NULL AND used_bytes > ?", plan, bytes).Count(&n).Error
	return n, err
}
