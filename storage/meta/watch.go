package meta

import (
	"context"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// This file has the questions of the alert rules. They cross tenants, and read only.

// TenantUse is how much of its quota a tenant uses.
type TenantUse struct {
	ID    string
	Name  string
	Plan  string
	Quota int64
	Used  int64
}

// TenantsOver lists tenants that use at least that many percent of their quota. Tenants that are going away are left out.
func (db *DB) TenantsOver(ctx context.Context, percent int64) ([]TenantUse, error) {
	var out []TenantUse
	// Divided before it is multiplied: a quota may be near the largest integer. The caller sees used and quota.
	err := db.g.WithContext(ctx).Raw(`SELECT t.id, t.name, t.plan, COALESCE(t.quota_override, p.storage_bytes) AS quota, t.used_bytes AS used
		FROM tenants t JOIN plans p ON p.name = t.plan
		WHERE t.used_bytes > 0 AND t.state IN ? AND t.used_bytes >= COALESCE(t.quota_override, p.storage_bytes) / 100 * ?
		ORDER BY t.id`, []storage.TenantState{storage.TenantActive, storage.TenantSuspended}, percent).Scan(&out).Error
	return out, err
}

// TenantNames gives the names of tenants by id; one that is gone has none.
func (db *DB) TenantNames(ctx context.Context, ids []string) (map[string]string, error) {
	names := map[string]string{}
	if len(ids) == 0 {
		return names, nil
	}
	var rows []TenantRow
	err := db.g.WithContext(ctx).Select("id", "name").Where("id IN ?", ids).Find(&rows).Error
	for _, r := range rows {
		names[r.ID] = r.Name
	}
	return names, err
}

// DeadTasks is how many dead tasks there are of a kind, and the newest of them.
type DeadTasks struct {
	Kind   storage.TaskKind
	Count  int64
	Newest Task `gorm:"-"`
}

// DeadTasksByKind counts the dead tasks.
func (db *DB) DeadTasksByKind(ctx context.Context) ([]DeadTasks, error) {
	var out []DeadTasks
	dead := db.g.WithContext(ctx).Model(&Task{}).Where("state = ?", storage.TaskDead).Session(&gorm.Session{})
	if err := dead.Select("kind, COUNT(*) AS count").Group("kind").Order("kind").Scan(&out).Error; err != nil {
		return nil, err
	}
	for i := range out {
		if err := dead.Where("kind = ?", out[i].Kind).Order("finished_at DESC").Limit(1).Find(&out[i].Newest).Error; err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Refusals is how many uploads of a tenant were refused.
type Refusals struct {
	TenantID string
	Count    int64
}

// RefusalsSince counts the refused uploads in the audit log, for tenants with at least `least` of them.
func (db *DB) RefusalsSince(ctx context.Context, since Stamp, least int64) ([]Refusals, error) {
	var out []Refusals
	err := db.g.WithContext(ctx).Raw(`SELECT tenant_id, COUNT(*) AS count FROM audit_log
		WHERE result = 'refused' AND at >= ? AND action = 'asset.upload' GROUP BY tenant_id HAVING COUNT(*) >= ? ORDER BY tenant_id`,
		since, least).Scan(&out).Error
	return out, err
}

// RefusalCodes counts a tenant's refused uploads by their code, the most frequent first.
func (db *DB) RefusalCodes(ctx context.Context, tenantID string, since Stamp) ([]struct {
	Code  string
	Count int64
}, error) {
	var out []struct {
		Code  string
		Count int64
	}
	err := db.g.WithContext(ctx).Raw(`SELECT code, COUNT(*) AS count FROM audit_log
		WHERE result = 'refused' AND at >= ? AND action = 'asset.upload' AND tenant_id = ? GROUP BY code ORDER BY count DESC, code`,
		since, tenantID).Scan(&out).Error
	return out, err
}

// DamagedBlobs is how many blobs of a tenant are damaged in one way.
type DamagedBlobs struct {
	TenantID string
	Damage   storage.Damage
	Count    int64
}

// CountDamaged counts the damaged blobs that somebody still refers to.
func (db *DB) CountDamaged(ctx context.Context) ([]DamagedBlobs, error) {
	var out []DamagedBlobs
	err := db.g.WithContext(ctx).Model(&Blob{}).Where("damaged_at > 0 AND damage <> '' AND refs > 0").
		Select("tenant_id, damage, COUNT(*) AS count").Group("tenant_id, damage").Order("tenant_id, damage").Scan(&out).Error
	return out, err
}

// HeldRuns lists the reconciliations that wait for a person.
func (db *DB) HeldRuns(ctx context.Context) ([]ReconcileRun, error) {
	var out []ReconcileRun
	return out, db.g.WithContext(ctx).Where("state = ?", RunHeld).Order("id").Find(&out).Error
}

// LastFullRun is the latest full reconciliation of all tenants in one of the states; storage.ErrNotFound before the first
// one. A run that was confined to some tenants says nothing about the others. One that began after `until`, by a clock
// that was ahead, hides no other one.
func (db *DB) LastFullRun(ctx context.Context, until Stamp, states ...string) (ReconcileRun, error) {
	var r ReconcileRun
	q := db.g.WithContext(ctx).Where("kind = ? AND tenants = '[]' AND state IN ?", RunFull, states).
		Order(fmt.Sprintf("CASE WHEN started_at > %d THEN 1 ELSE 0 END, started_at DESC, id DESC", until)).Limit(1).Find(&r)
	if q.Error == nil && q.RowsAffected == 0 {
		return r, storage.ErrNotFound
	}
	return r, q.Error
}

// PartialRunsSince lists the latest runs that began at or after `since`, are done and looked at some tenants, oldest
// first, with what tells them apart and their tenants: light passes that chose some, and full runs that were confined. A
// tenant with differences, other than damage that is known, is looked at by every light pass, so the latest ones tell all
// there is.
func (db *DB) PartialRunsSince(ctx context.Context, since Stamp, limit int) ([]ReconcileRun, error) {
	var out []ReconcileRun
	err := db.partialRuns(ctx, since, limit).Select("id", "kind", "tenants", "started_at").Find(&out).Error
	slices.Reverse(out)
	return out, err
}

// PartialRunIDs is PartialRunsSince without the lists of tenants, which are long.
func (db *DB) PartialRunIDs(ctx context.Context, since Stamp, limit int) ([]string, error) {
	var out []string
	err := db.partialRuns(ctx, since, limit).Pluck("id", &out).Error
	slices.Reverse(out)
	return out, err
}

func (db *DB) partialRuns(ctx context.Context, since Stamp, limit int) *gorm.DB {
	return db.g.WithContext(ctx).Model(&ReconcileRun{}).Where("state = ? AND tenants <> '[]' AND started_at >= ?", RunDone, since).
		Order("started_at DESC, id DESC").Limit(limit)
}

// RunFindings is how many findings of a run, a tenant and a kind are in a state.
type RunFindings struct {
	RunID    string
	TenantID string
	Kind     storage.DriftKind
	State    string
	Count    int64
}

// FindingsOfRuns counts the findings of runs, apart from damage that was marked before: each run names it anew, and
// CountDamaged tells how much there is.
func (db *DB) FindingsOfRuns(ctx context.Context, runs []string) ([]RunFindings, error) {
	var out []RunFindings
	if len(runs) == 0 {
		return nil, nil
	}
	err := db.g.WithContext(ctx).Model(&ReconcileFinding{}).Where("run_id IN ?", runs).
		Where("repair <> '' OR kind NOT IN ?", []storage.DriftKind{storage.DriftMissing, storage.DriftSize, storage.DriftDigest}).
		Select("run_id, tenant_id, kind, state, COUNT(*) AS count").Group("run_id, tenant_id, kind, state").
		Order("run_id, tenant_id, kind, state").Scan(&out).Error
	return out, err
}

// FirstRecord is when the audit log begins; zero while it is empty.
func (db *DB) FirstRecord(ctx context.Context) (Stamp, error) {
	var r AuditRecord
	err := db.g.WithContext(ctx).Select("at").Order("id").Limit(1).Find(&r).Error
	return r.At, err
}

// FactsLike lists the facts whose names begin with prefix (without % and _) and that were told since `since`.
func (db *DB) FactsLike(ctx context.Context, prefix string, since Stamp) ([]Fact, error) {
	var out []Fact
	err := db.g.WithContext(ctx).Where("name LIKE ? AND updated_at >= ?", prefix+"%", since).Order("name").Find(&out).Error
	return out, err
}

// ForgetFacts removes facts of programs that have told nothing since `before`.
func (db *DB) ForgetFacts(ctx context.Context, prefix string, before Stamp) error {
	return db.InTx(ctx, func(tx *Tx) error {
		return tx.g.Delete(&Fact{}, "name LIKE ? AND updated_at < ?", prefix+"%", before).Error
	})
}

// AuditAfter lists records of an action with a higher number than cursor, in order.
func (db *DB) AuditAfter(ctx context.Context, cursor int64, action string, limit int) ([]AuditRecord, error) {
	var out []AuditRecord
	return out, db.g.WithContext(ctx).Where("id > ? AND action = ?", cursor, action).Order("id").Limit(limit).Find(&out).Error
}

// LastAuditBefore is the number of the last record that was written before `at`; 0 when there is none.
func (db *DB) LastAuditBefore(ctx context.Context, at Stamp) (int64, error) {
	var r AuditRecord
	err := db.g.WithContext(ctx).Select("id").Where("at < ?", at).Order("at DESC, id DESC").Limit(1).Find(&r).Error
	return r.ID, err
}
