package meta

import (
	"context"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// LockPlan is LockTenant for a plan: nobody removes it, or puts a tenant on it, until the transaction ends.
func (tx *Tx) LockPlan(name string) (Plan, error) {
	var p Plan
	err := tx.g.Clauses(tx.forUpdate()...).Take(&p, "name = ?", name).Error
	return p, notFound(err)
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

// TenantsAbove counts the tenants of a plan that use more than so many bytes or files and have no quota or number of files
// of their own.
func (tx *Tx) TenantsAbove(plan string, bytes, files int64) (int64, error) {
	var n int64
	err := tx.g.Model(&TenantRow{}).Where("plan = ?", plan).
		Where("(quota_override IS NULL AND used_bytes > ?) OR (overrides NOT LIKE ? AND used_files > ?)", bytes, `%"max_files"%`, files).Count(&n).Error
	return n, err
}

// AssetsOnMadeBefore counts the assets that were made before a moment and are not deleted, of all tenants of a plan that
// have no retention of their own and are not over, nor being purged. One that is pending deletion may be restored.
func (tx *Tx) AssetsOnMadeBefore(plan string, made Stamp) (int64, error) {
	var n int64
	err := tx.g.Raw(`SELECT COUNT(*) FROM assets a JOIN tenants t ON t.id = a.tenant_id
		WHERE t.plan = ? AND t.state NOT IN ? AND (t.state <> 'pending_delete' OR t.restore_state <> '') AND t.overrides NOT LIKE ? AND a.state <> ? AND a.created_at < ?`,
		plan, []storage.TenantState{storage.TenantDeleted, storage.TenantFailed}, `%"retention_days"%`, storage.AssetDeleted, made).Scan(&n).Error
	return n, err
}

// Overriding lists the tenants of a plan that have overrides, by name, those that are over not among them.
func (tx *Tx) Overriding(plan string) ([]TenantRow, error) {
	var out []TenantRow
	err := tx.g.Where("plan = ? AND overrides <> '' AND state NOT IN ?", plan,
		[]storage.TenantState{storage.TenantDeleted, storage.TenantFailed}).Order("name").Find(&out).Error
	return out, err
}

// CreatePlan inserts a plan; it reports false when there is one of that name, which stays as it is.
func (tx *Tx) CreatePlan(p Plan) (bool, error) { return insertNew(tx.g, tx.dialect, &p) }

// SavePlan writes a plan that is there. It belongs into a transaction that has locked the plan.
func (tx *Tx) SavePlan(p Plan) error { return tx.g.Save(&p).Error }

// PlanByName reads a plan.
func (db *DB) PlanByName(ctx context.Context, name string) (Plan, error) {
	var p Plan
	err := db.g.WithContext(ctx).Take(&p, "name = ?", name).Error
	return p, notFound(err)
}

// Plans lists all plans by name.
func (db *DB) Plans(ctx context.Context) ([]Plan, error) {
	var out []Plan
	return out, db.g.WithContext(ctx).Order("name").Find(&out).Error
}
