package meta

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// TenantAlone says that records of a tenant are there, and its own row is not.
type TenantAlone struct {
	TenantID string
	// Records counts them by table.
	Records map[string]int64
}

// ofTenants are the tables of which nothing outlives the row of its tenant: a purge, which empties them, leaves the row.
// Rows of blobs are some of them only claims on orphans (Blob.OnlyClaim), which may be of a tenant that never was.
var ofTenants = []struct{ table, where string }{
	{"assets", ""}, {"blobs", " AND category <> ''"}, {"variants", ""}, {"api_keys", ""},
}

// TenantsAlone lists the tenants behind an id that have records and no row; nil asks for all. It is one statement.
func (db *DB) TenantsAlone(ctx context.Context, tenants []string, after string) ([]TenantAlone, error) {
	var parts []string
	var args []any
	for _, of := range ofTenants {
		scope, more := inTenants("", tenants)
		parts = append(parts, fmt.Sprintf(`SELECT tenant_id, '%s' AS kind, COUNT(*) AS n FROM %s x
			WHERE tenant_id > ?%s%s AND NOT EXISTS (SELECT 1 FROM tenants t WHERE t.id = x.tenant_id) GROUP BY tenant_id`,
			of.table, of.table, of.where, scope))
		args = append(append(args, after), more...)
	}
	var rows []struct {
		TenantID string
		Kind     string
		N        int64
	}
	err := db.serially(ctx, func(g *gorm.DB) error {
		return g.Raw(strings.Join(parts, " UNION ALL ")+" ORDER BY 1", args...).Scan(&rows).Error
	})
	if err != nil {
		return nil, fmt.Errorf("look for records without a tenant: %w", err)
	}
	var out []TenantAlone
	for _, r := range rows {
		if len(out) == 0 || out[len(out)-1].TenantID != r.TenantID {
			out = append(out, TenantAlone{r.TenantID, map[string]int64{}})
		}
		out[len(out)-1].Records[r.Kind] = r.N
	}
	// Whatever the order of the database is: the cursor compares as Go does.
	slices.SortFunc(out, func(a, b TenantAlone) int { return strings.Compare(a.TenantID, b.TenantID) })
	return out, nil
}

// PlansAlone lists the tenants behind an id whose plan has no row. A tenant that is over needs none, and its plan may have
// been removed.
func (db *DB) PlansAlone(ctx context.Context, tenants []string, after string, limit int) ([]TenantRow, error) {
	q := db.g.WithContext(ctx).Where("id > ? AND state NOT IN ?", after, []storage.TenantState{storage.TenantDeleted, storage.TenantFailed}).
		Where("NOT EXISTS (SELECT 1 FROM plans WHERE plans.name = tenants.plan)")
	if tenants != nil {
		q = q.Where("id IN ?", tenants)
	}
	var out []TenantRow
	return out, q.Order("id").Limit(limit).Find(&out).Error
}
