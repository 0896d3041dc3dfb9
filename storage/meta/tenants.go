package meta

import (
	"context"
	"errors"
	"strings"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// TenantByName reads a tenant by its unique name.
func (db *DB) TenantByName(ctx context.Context, name string) (TenantRow, error) {
	var t TenantRow
	err := db.g.WithContext(ctx).Take(&t, "name = ?", name).Error
	return t, notFound(err)
}

// FindTenant reads a tenant by what a person says: its id, or its name. The id comes first; no name looks like one.
func (db *DB) FindTenant(ctx context.Context, idOrName string) (TenantRow, error) {
	t, err := db.Tenant(ctx, idOrName).Row()
	if errors.Is(err, storage.ErrNotFound) {
		return db.TenantByName(ctx, idOrName)
	}
	return t, err
}

// Tenant is a handle to one tenant's rows. It is made for one request or one task and not kept.
type Tenant struct {
	g       *gorm.DB
	id      string
	dialect Dialect
}

// Tenant makes the handle for reading outside a transaction.
func (db *DB) Tenant(ctx context.Context, id string) Tenant {
	return Tenant{g: db.g.WithContext(ctx), id: id, dialect: db.dialect}
}

// Tenant makes the handle inside a transaction.
func (tx *Tx) Tenant(id string) Tenant { return Tenant{g: tx.g, id: id, dialect: tx.dialect} }

// ID is the tenant's id.
func (t Tenant) ID() string { return t.id }

// rows starts every query of the handle: nothing of another tenant can match.
func (t Tenant) rows(model any) *gorm.DB { return t.g.Model(model).Where("tenant_id = ?", t.id) }

// Row reads the tenant itself.
func (t Tenant) Row() (TenantRow, error) {
	var row TenantRow
	err := t.g.Take(&row, "id = ?", t.id).Error
	return row, notFound(err)
}

// ErrNoPlan says that the plan of the tenant has no record: it was lost, and nobody knows what the tenant may do.
var ErrNoPlan = storage.Refuse(storage.CodeUnavailable, nil).Because(storage.Reason{
	Slug:    "plan_missing",
	English: "The provider has lost the record of the plan that you are on and must bring it back first; your files can be read meanwhile, of pictures and videos the web-ready forms.",
	Chinese: "服务提供方丢失了您所用套餐的记录，需先恢复该记录；在此期间您的文件仍可读取，图片和视频可读取适合网页的版本。",
})

// Plan reads the plan that holds for the tenant now.
func (t Tenant) Plan() (Plan, error) {
	var p Plan
	err := t.g.Model(&Plan{}).Joins("JOIN tenants ON tenants.plan = plans.name").Where("tenants.id = ?", t.id).Take(&p).Error
	return p, notFound(err)
}

// Specs reads what holds for the tenant now: the spec of its plan and its own overrides, both as JSON (quota.SpecOf). It is
// ErrNoPlan when the plan has no record.
func (t Tenant) Specs() (plan, overrides string, err error) {
	var row struct {
		Plan            *string
		Spec, Overrides string
	}
	r := t.g.Raw(`SELECT p.name AS plan, COALESCE(p.spec, '') AS spec, t.overrides
		FROM tenants t LEFT JOIN plans p ON p.name = t.plan WHERE t.id = ?`, t.id).Scan(&row)
	switch {
	case r.Error != nil:
		return "", "", r.Error
	case r.RowsAffected == 0:
		return "", "", storage.ErrNotFound
	case row.Plan == nil:
		return "", "", ErrNoPlan
	}
	return row.Spec, row.Overrides, nil
}

// LastDone is when one of the actions was last audited for the tenant with success; 0 for never.
func (t Tenant) LastDone(actions []string) (Stamp, error) {
	// The last of each, which the index of the tenant's actions has at hand: of a list of actions the whole log would be walked.
	var each []string
	var args []any
	for _, action := range actions {
		each = append(each, "SELECT (SELECT id FROM audit_log WHERE tenant_id = ? AND action = ? AND result = 'ok' ORDER BY id DESC LIMIT 1) AS id")
		args = append(args, t.id, action)
	}
	var at Stamp
	err := t.g.Raw("SELECT at FROM audit_log WHERE id = (SELECT MAX(id) FROM ("+strings.Join(each, " UNION ALL ")+") AS x)", args...).Scan(&at).Error
	return at, err
}

// Quota reads the quota that holds now: the tenant's own, else its plan's. It is ErrNoPlan when the plan has no record.
func (t Tenant) Quota() (Quota, error) {
	var q struct {
		Quota `gorm:"embedded"`
		Plan  *string
	}
	r := t.g.Raw(`SELECT p.name AS plan, COALESCE(t.quota_override, p.storage_bytes, 0) AS quota, t.used_bytes AS used,
		t.reserved_bytes AS reserved, t.used_files, t.reserved_files, t.state, t.rate_minute, t.rate_count,
		`+t.dialect.Epoch()+` AS at FROM tenants t LEFT JOIN plans p ON p.name = t.plan WHERE t.id = ?`, t.id).Scan(&q)
	switch {
	case r.Error != nil:
		return Quota{}, r.Error
	case r.RowsAffected == 0:
		return Quota{}, storage.ErrNotFound
	case q.Plan == nil:
		return Quota{}, ErrNoPlan
	}
	return q.Quota, nil
}

// Quota is a tenant's ledger at one instant, in bytes and in files.
type Quota struct {
	Quota         int64
	Used          int64
	Reserved      int64
	UsedFiles     int64
	ReservedFiles int64
	State         storage.TenantState
	// RateCount uploads have begun in the minute RateMinute; At is the instant by the same clock, in seconds since the
	// Unix epoch.
	RateMinute int64
	RateCount  int64
	At         int64
}
