package meta

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// LedgerSums are the four sums of a tenant's ledger.
type LedgerSums struct {
	// UsedBytes are its stored blobs and variants, ReservedBytes its open reservations.
	UsedBytes     int64
	ReservedBytes int64
	// UsedFiles are its assets that are not deleted, ReservedFiles its open reservations.
	UsedFiles     int64
	ReservedFiles int64
}

// LedgerRow is one tenant's ledger twice: as its own row has it written, and as all its other rows add up.
type LedgerRow struct {
	TenantID string
	Tenant   string
	Written  LedgerSums `gorm:"embedded;embeddedPrefix:written_"`
	Truth    LedgerSums `gorm:"embedded;embeddedPrefix:truth_"`
}

// ledgerRows adds up what a group of tenants has. One statement sees one instant of the database, and whoever changes
// rows changes the ledger in the same transaction: what differs here is drift, whatever runs meanwhile. Each table is
// read once and grouped, whatever the number of tenants. %[1]s narrows the tables to some tenants, %[2]s the tenants.
const ledgerRows = `SELECT t.id AS tenant_id, t.name AS tenant,
		t.used_bytes AS written_used_bytes, t.reserved_bytes AS written_reserved_bytes,
		t.used_files AS written_used_files, t.reserved_files AS written_reserved_files,
		COALESCE(b.bytes, 0) + COALESCE(v.bytes, 0) AS truth_used_bytes, COALESCE(r.bytes, 0) AS truth_reserved_bytes,
		COALESCE(a.files, 0) AS truth_used_files, COALESCE(r.files, 0) AS truth_reserved_files
	FROM tenants t
	LEFT JOIN (SELECT tenant_id, SUM(size) AS bytes FROM blobs WHERE %[1]s GROUP BY tenant_id) b ON b.tenant_id = t.id
	LEFT JOIN (SELECT tenant_id, SUM(size) AS bytes FROM variants WHERE %[1]s GROUP BY tenant_id) v ON v.tenant_id = t.id
	LEFT JOIN (SELECT tenant_id, SUM(bytes) AS bytes, COUNT(*) AS files FROM reservations WHERE %[1]s GROUP BY tenant_id) r
		ON r.tenant_id = t.id
	LEFT JOIN (SELECT tenant_id, COUNT(*) AS files FROM assets WHERE state <> 'deleted' AND %[1]s GROUP BY tenant_id) a
		ON a.tenant_id = t.id
	WHERE %[2]s`

// ledgerDiffers narrows ledgerRows to the tenants whose ledger is wrong.
const ledgerDiffers = ` AND (t.used_bytes <> COALESCE(b.bytes, 0) + COALESCE(v.bytes, 0) OR t.reserved_bytes <> COALESCE(r.bytes, 0)
	OR t.used_files <> COALESCE(a.files, 0) OR t.reserved_files <> COALESCE(r.files, 0)) ORDER BY t.id`

// LedgerDrift lists, by id, those of the tenants whose ledger is not what their rows add up to. nil asks for all
// tenants; a list should be a page, because each id is a parameter of the statement.
func (db *DB) LedgerDrift(ctx context.Context, tenantIDs []string) ([]LedgerRow, error) {
	var out []LedgerRow
	sql, args := fmt.Sprintf(ledgerRows, "1 = 1", "1 = 1"), []any(nil)
	if tenantIDs != nil {
		if len(tenantIDs) == 0 {
			return nil, nil
		}
		sql = fmt.Sprintf(ledgerRows, "tenant_id IN ?", "t.id IN ?")
		args = []any{tenantIDs, tenantIDs, tenantIDs, tenantIDs, tenantIDs}
	}
	err := db.serially(ctx, func(g *gorm.DB) error { return g.Raw(sql+ledgerDiffers, args...).Scan(&out).Error })
	if err != nil {
		return nil, fmt.Errorf("compare the ledgers: %w", err)
	}
	return out, nil
}

// Ledger reads the tenant's ledger and what its rows add up to, of one instant.
func (t Tenant) Ledger() (LedgerRow, error) {
	var row LedgerRow
	r := t.g.Raw(fmt.Sprintf(ledgerRows, "tenant_id = ?", "t.id = ?"), t.id, t.id, t.id, t.id, t.id).Scan(&row)
	if r.Error != nil {
		return row, fmt.Errorf("add up the ledger: %w", r.Error)
	}
	if r.RowsAffected == 0 {
		return row, storage.ErrNotFound
	}
	return row, nil
}

// StoredBytes is what all rows say lies in the zones.
func (db *DB) StoredBytes(ctx context.Context) (n int64, err error) {
	err = db.g.WithContext(ctx).Raw(`SELECT COALESCE((SELECT SUM(size) FROM blobs), 0) + COALESCE((SELECT SUM(size) FROM variants), 0)`).
		Scan(&n).Error
	return n, err
}

// StoredBytes is what the tenant's rows say lies in the zones: the truth that the ledger must equal.
func (t Tenant) StoredBytes() (int64, error) {
	var blobs, variants int64
	if err := t.rows(&Blob{}).Select("COALESCE(SUM(size), 0)").Scan(&blobs).Error; err != nil {
		return 0, err
	}
	err := t.rows(&Variant{}).Select("COALESCE(SUM(size), 0)").Scan(&variants).Error
	return blobs + variants, err
}
