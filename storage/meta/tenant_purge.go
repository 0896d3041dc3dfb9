package meta

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// Purging reports whether the tenant's purge has begun: there is no way back, and its rows and objects vanish in no
// order that anybody may rely on.
func (t TenantRow) Purging() bool {
	return t.State == storage.TenantPendingDelete && t.RestoreState == ""
}

// PurgeDue lists the tenants whose cooling-off is over.
func (db *DB) PurgeDue(ctx context.Context, now Stamp, limit int) ([]TenantRow, error) {
	var out []TenantRow
	err := db.g.WithContext(ctx).Where("state = ? AND delete_after <= ?", storage.TenantPendingDelete, now).
		Order("delete_after").Limit(limit).Find(&out).Error
	return out, err
}

// Purged lists the ids of the tenants that are being purged, will be next, or have been since that time.
func (db *DB) Purged(ctx context.Context, since Stamp) ([]string, error) {
	var out []string
	err := db.g.WithContext(ctx).Model(&TenantRow{}).
		Where("state = ? AND (delete_after <= ? OR restore_state = '') OR state = ? AND updated_at >= ?",
			storage.TenantPendingDelete, Now(), storage.TenantDeleted, since).
		Pluck("id", &out).Error
	return out, err
}

// PurgeTask is the task that purges a tenant: one is open at a time.
func PurgeTask(tenantID string) NewTask {
	return NewTask{Kind: storage.TaskPurge, TenantID: tenantID, Unique: true}
}

// BeginPurge takes the way back from a tenant whose cooling-off is over, and with its quota the room for every upload.
// It reports false when the tenant is not to be purged: restored, deleted anew, or purged already.
func (tx *Tx) BeginPurge(id string) (bool, error) {
	now := Now()
	r := tx.g.Model(&TenantRow{}).Where("id = ? AND state = ? AND delete_after <= ?", id, storage.TenantPendingDelete, now).
		Updates(map[string]any{"restore_state": "", "quota_override": 0, "updated_at": now})
	return r.RowsAffected == 1, r.Error
}

// CancelAll cancels every open task of the tenant but its purge, and returns how many of them were running: their
// workers notice at the next heartbeat.
func (t Tenant) CancelAll() (running int64, err error) {
	open := t.rows(&Task{}).Where("kind <> ? AND state IN ?", storage.TaskPurge, []storage.TaskState{storage.TaskQueued, storage.TaskRunning})
	if err := open.Session(&gorm.Session{}).Where("state = ?", storage.TaskRunning).Count(&running).Error; err != nil {
		return 0, err
	}
	now := Now()
	return running, open.Session(&gorm.Session{}).
		Updates(map[string]any{"state": storage.TaskCancelled, "dedupe_key": nil, "updated_at": now, "finished_at": now}).Error
}

// wiped is THE list of the tables that a purge empties of a tenant, with the column that tells its rows apart. The
// reservations come first: without one no upload can write its rows. What is about the tenant and not in the list
// stays: the audit log, the alerts, the row of the tenant, and the task of the purge itself.
var wiped = []struct{ table, column string }{
	{"reservations", "id"},
	{"idempotency_keys", "idem_key"},
	{"variants", "sha256"},
	{"assets", "id"},
	{"blobs", "sha256"},
	{"events", "id"},
	{"tasks", "id"},
	{"task_attempts", "id"},
	{"bulk_runs", "id"},
	{"api_keys", "id"},
	{"reconcile_findings", "id"},
	{"reconcile_marks", "tenant_id"},
	{"tenant_days", "day"},
	{"tenant_activity", "tenant_id"},
	{"device_tokens", "id"},
	{"release_devices", "device_id"},
	{"release_rollups", "hour"},
}

// WipedTables names the tables that a purge empties of a tenant, in the order to do it.
func WipedTables() []string {
	var out []string
	for _, w := range wiped {
		out = append(out, w.table)
	}
	return out
}

// Wipe deletes about limit rows of the tenant from one of WipedTables and returns how many; at 0 there is none left.
func (t Tenant) Wipe(table string, limit int) (int64, error) {
	for _, w := range wiped {
		if w.table != table {
			continue
		}
		// The keys are read first: not every database deletes with a limit.
		var keys []any
		if err := t.wipeable(table).Limit(limit).Pluck(w.column, &keys).Error; err != nil || len(keys) == 0 {
			return 0, err
		}
		r := t.wipeable(table).Where(w.column+" IN ?", keys).Delete(nil)
		return r.RowsAffected, r.Error
	}
	return 0, fmt.Errorf("a purge does not empty the table %s", table)
}

func (t Tenant) wipeable(table string) *gorm.DB {
	q := t.g.Table(table).Where("tenant_id = ?", t.id)
	if table == "tasks" {
		q = q.Where("kind <> ?", storage.TaskPurge)
	}
	return q
}

// Holdings counts the tenant's rows, by table; a table without any is absent.
func (t Tenant) Holdings() (map[string]int64, error) {
	out := map[string]int64{}
	for _, w := range wiped {
		var n int64
		if err := t.wipeable(w.table).Count(&n).Error; err != nil {
			return nil, err
		}
		if n > 0 {
			out[w.table] = n
		}
	}
	return out, nil
}

// BuryTenant ends the purge of a tenant: what is left is its row, under another name. It belongs into a transaction that
// makes sure afterwards that nothing is left. ErrChanged as with MoveTenant.
func (tx *Tx) BuryTenant(before TenantRow, name string) error {
	return tx.MoveTenant(before, storage.TenantDeleted, before.StateReason, map[string]any{
		"name": name, "overrides": "", "quota_override": 0, "used_bytes": 0, "reserved_bytes": 0, "used_files": 0,
		"reserved_files": 0, "rate_minute": 0, "rate_count": 0,
	})
}
