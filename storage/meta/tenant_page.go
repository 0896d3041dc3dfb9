package meta

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// TenantSort is an order of the list of tenants.
type TenantSort string

// The orders: by name upwards, by the others downwards.
const (
	TenantsByName    TenantSort = "name"
	TenantsByCreated TenantSort = "created"
	TenantsByUsed    TenantSort = "used"
	TenantsByUpload  TenantSort = "last_upload"
)

// tenantSorts is what the orders sort by. Only names have an index of their own: used_bytes changes with each upload, which would
// pay for one, and to sort all tenants takes milliseconds.
var tenantSorts = map[TenantSort]string{
	TenantsByName: "t.name", TenantsByCreated: "t.created_at", TenantsByUsed: "t.used_bytes", TenantsByUpload: "COALESCE(a.last_upload_at, 0)",
}

// Known reports whether there is such an order.
func (s TenantSort) Known() bool { return tenantSorts[s] != "" }

// TenantFilter narrows the list of tenants; zero fields do not.
type TenantFilter struct {
	State storage.TenantState
	Plan  string
	// Query is the id, or a part of the name whatever its case.
	Query string
	// OverPercent are those that use at least so much of their quota.
	OverPercent int64
	Sort        TenantSort
}

// TenantLine is a tenant in a list.
type TenantLine struct {
	TenantRow `gorm:"embedded"`
	// Quota is what holds: the tenant's own, else its plan's; nil when that has no record.
	Quota        *int64
	LastUploadAt Stamp
}

// TenantKey is where in its order a line stands: Value is what is sorted by, but for names, and ID tells equals apart.
type TenantKey struct {
	Name  string
	Value int64
	ID    string
}

// Key is the line's place in an order.
func (l TenantLine) Key(s TenantSort) TenantKey {
	return TenantKey{Name: l.Name, ID: l.ID, Value: map[TenantSort]int64{
		TenantsByCreated: int64(l.CreatedAt), TenantsByUsed: l.UsedBytes, TenantsByUpload: int64(l.LastUploadAt),
	}[s]}
}

// TenantPage lists tenants in the order of the filter, at most limit of those behind a key.
func (db *DB) TenantPage(ctx context.Context, f TenantFilter, after *TenantKey, limit int) ([]TenantLine, error) {
	by := tenantSorts[f.Sort]
	if by == "" {
		return nil, errors.New("no such order of tenants")
	}
	quota := "COALESCE(t.quota_override, p.storage_bytes)"
	q := db.g.WithContext(ctx).Table("tenants t").Joins("LEFT JOIN plans p ON p.name = t.plan").
		Joins("LEFT JOIN tenant_activity a ON a.tenant_id = t.id").
		Select("t.*, " + quota + " AS quota, COALESCE(a.last_upload_at, 0) AS last_upload_at")
	if f.State != "" {
		q = q.Where("t.state = ?", f.State)
	}
	if f.Plan != "" {
		q = q.Where("t.plan = ?", f.Plan)
	}
	if f.Query != "" {
		// SQLite folds ASCII only: what it does not fold is also looked for as it is.
		like := "%" + escapeLike(f.Query) + "%"
		q = q.Where("(t.id = ? OR LOWER(t.name) LIKE ? ESCAPE '!' OR t.name LIKE ? ESCAPE '!')", f.Query, foldName(like), like)
	}
	if f.OverPercent > 0 {
		// Divided before it is multiplied: a quota may be near the largest integer.
		q = q.Where("t.used_bytes > 0 AND t.used_bytes >= "+quota+" / 100 * ?", f.OverPercent)
	}
	switch {
	case f.Sort == TenantsByName && after != nil:
		q = q.Where("t.name > ?", after.Name)
	case after != nil:
		q = q.Where("("+by+" < ? OR "+by+" = ? AND t.id < ?)", after.Value, after.Value, after.ID)
	}
	if f.Sort == TenantsByName {
		q = q.Order("t.name")
	} else {
		q = q.Order(by + " DESC, t.id DESC")
	}
	var out []TenantLine
	return out, q.Limit(limit).Find(&out).Error
}

// LastUpload is when the tenant uploaded last, as far as the audit log is counted.
func (t Tenant) LastUpload() (Stamp, error) {
	var a TenantActivity
	err := t.rows(&TenantActivity{}).Limit(1).Find(&a).Error
	return a.LastUploadAt, err
}

// ErrNameTaken says that there is a tenant of that name already.
var ErrNameTaken = errors.New("there is a tenant of that name")

// RenameTenant gives a tenant another name; ErrNameTaken when another one has it, and then the transaction must end.
func (tx *Tx) RenameTenant(id, name string) error {
	err := tx.putTenant(id, "name", name)
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return ErrNameTaken
	}
	return err
}

// TenantSums adds up the tenants in one state, in bytes.
type TenantSums struct {
	State    storage.TenantState
	Tenants  int64
	Used     int64
	Reserved int64
	Files    int64
	// Promised is the sum of the quotas that have a limit; Unlimited tenants have none, and of NoQuota ones the plan is lost.
	Promised  float64
	Unlimited int64
	NoQuota   int64
}

// SumTenants adds all tenants up by state; a quota of at least `unlimited` is none.
func (db *DB) SumTenants(ctx context.Context, unlimited int64) ([]TenantSums, error) {
	var out []TenantSums
	const quota = "COALESCE(t.quota_override, p.storage_bytes)"
	// The sum of quotas is one of floats: that of integers may be too large for one.
	err := db.g.WithContext(ctx).Raw(`SELECT t.state, COUNT(*) AS tenants, SUM(t.used_bytes) AS used, SUM(t.reserved_bytes) AS reserved,
			SUM(t.used_files) AS files, SUM(CASE WHEN `+quota+` < ? THEN `+quota+` * 1.0 ELSE 0.0 END) AS promised,
			SUM(CASE WHEN `+quota+` >= ? THEN 1 ELSE 0 END) AS unlimited, SUM(CASE WHEN `+quota+` IS NULL THEN 1 ELSE 0 END) AS no_quota
		FROM tenants t LEFT JOIN plans p ON p.name = t.plan GROUP BY t.state ORDER BY t.state`, unlimited, unlimited).Scan(&out).Error
	return out, err
}
