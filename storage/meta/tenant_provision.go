package meta

import (
	"context"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// FailTenant ends a provisioning that was taken back, under another name. ErrChanged as with MoveTenant.
func (tx *Tx) FailTenant(before TenantRow, name string) error {
	return tx.MoveTenant(before, storage.TenantFailed, before.StateReason, map[string]any{"name": name})
}

// CreateTenant inserts a tenant; it reports false when there is one of that name.
func (tx *Tx) CreateTenant(t *TenantRow) (bool, error) { return insertNew(tx.g, tx.dialect, t) }

// BeginUndo marks a tenant whose provisioning is to be taken back, with the reason; no step of it can go on from then.
// It reports false when the tenant is not, or no longer, being provisioned. A reason that is there already stays.
func (tx *Tx) BeginUndo(id, reason string) (bool, error) {
	first := gorm.Expr("CASE WHEN state_reason = '' THEN ? ELSE state_reason END", FitReason(reason))
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
