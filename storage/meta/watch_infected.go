package meta

import (
	"context"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// This file has the questions of the rule about infected uploads. Each is one query, however many files and tenants a
// flood has.

// VerdictRange is a part of the audit log: the records behind number After, up to UpTo, written after Since.
type VerdictRange struct {
	After, UpTo int64
	Since       Stamp
}

// infectedData is what the record of an infected upload has in its data, as encoding/json writes it.
const infectedData = `%"status":"` + string(storage.ScanInfected) + `"%`

// verdicts narrows to the infected uploads in a part of the log.
func (db *DB) verdicts(ctx context.Context, r VerdictRange) *gorm.DB {
	return db.g.WithContext(ctx).Model(&AuditRecord{}).
		Where("id > ? AND id <= ? AND at > ? AND action = 'scan.verdict' AND data LIKE ?", r.After, r.UpTo, r.Since, infectedData)
}

// InfectedCount is how many files of a tenant a part of the log calls infected.
type InfectedCount struct {
	TenantID string
	// Settled are those up to a number, Fresh those behind it.
	Settled, Fresh  int64
	FirstAt, LastAt Stamp
}

// CountInfected counts the infected files of each tenant, or of one, in a part of the log: those up to settled and the rest.
func (db *DB) CountInfected(ctx context.Context, r VerdictRange, tenantID string, settled int64) ([]InfectedCount, error) {
	q := db.verdicts(ctx, r)
	if tenantID != "" {
		q = q.Where("tenant_id = ?", tenantID)
	}
	var out []InfectedCount
	err := q.Select(`tenant_id, COUNT(DISTINCT CASE WHEN id <= ? THEN target END) AS settled,
		COUNT(DISTINCT CASE WHEN id > ? THEN target END) AS fresh, MIN(at) AS first_at, MAX(at) AS last_at`, settled, settled).
		Group("tenant_id").Order("tenant_id").Scan(&out).Error
	return out, err
}

// InfectedVerdicts lists the records of infected uploads of some tenants in a part of the log, newest first.
func (db *DB) InfectedVerdicts(ctx context.Context, r VerdictRange, tenants []string) ([]AuditRecord, error) {
	if len(tenants) == 0 {
		return nil, nil
	}
	var out []AuditRecord
	return out, db.verdicts(ctx, r).Where("tenant_id IN ?", tenants).Order("id DESC").Find(&out).Error
}

// LastAudit is the number of the last record of the log; 0 while it is empty.
func (db *DB) LastAudit(ctx context.Context) (int64, error) {
	var r AuditRecord
	err := db.g.WithContext(ctx).Select("id").Order("id DESC").Limit(1).Find(&r).Error
	return r.ID, err
}

// InfectedThere lists, of the tenants and digests, the infected blobs that somebody refers to.
func (db *DB) InfectedThere(ctx context.Context, tenants, digests []string) ([]Blob, error) {
	if len(tenants) == 0 || len(digests) == 0 {
		return nil, nil
	}
	var out []Blob
	return out, db.g.WithContext(ctx).Select("tenant_id", "sha256", "scan_signature").
		Where("tenant_id IN ? AND sha256 IN ? AND scan_status = ? AND refs > 0", tenants, digests, storage.ScanInfected).Find(&out).Error
}

// CountInfectedThere counts, for each of the tenants, the infected blobs that somebody refers to.
func (db *DB) CountInfectedThere(ctx context.Context, tenants []string) (map[string]int64, error) {
	counts := map[string]int64{}
	if len(tenants) == 0 {
		return counts, nil
	}
	var rows []struct {
		TenantID string
		Count    int64
	}
	err := db.g.WithContext(ctx).Model(&Blob{}).Where("tenant_id IN ? AND scan_status = ? AND refs > 0", tenants, storage.ScanInfected).
		Select("tenant_id, COUNT(*) AS count").Group("tenant_id").Scan(&rows).Error
	for _, r := range rows {
		counts[r.TenantID] = r.Count
	}
	return counts, err
}

// BlobAssets is how many assets a blob has that are not deleted, and one of them with its name: a deleted one where all
// are.
type BlobAssets struct {
	TenantID string
	SHA256   string `gorm:"column:sha256"`
	Asset    string
	Name     string
	Count    int64
}

// AssetsOnEach counts the assets of the tenants that are on one of the digests.
func (db *DB) AssetsOnEach(ctx context.Context, tenants, digests []string) ([]BlobAssets, error) {
	if len(tenants) == 0 || len(digests) == 0 {
		return nil, nil
	}
	var out []BlobAssets
	err := db.g.WithContext(ctx).Raw(`SELECT g.tenant_id, g.sha256, g.asset, a.name, g.live AS count FROM (
			SELECT tenant_id, sha256, COALESCE(MIN(CASE WHEN state <> ? THEN id END), MAX(id)) AS asset, COUNT(CASE WHEN state <> ? THEN 1 END) AS live
			FROM assets WHERE tenant_id IN ? AND sha256 IN ? GROUP BY tenant_id, sha256) g
		JOIN assets a ON a.id = g.asset`, storage.AssetDeleted, storage.AssetDeleted, tenants, digests).Scan(&out).Error
	return out, err
}

// AlertsAbout lists the alerts of a rule about any of the subjects, open or over, oldest first.
func (db *DB) AlertsAbout(ctx context.Context, rule string, subjects []string) ([]Alert, error) {
	if len(subjects) == 0 {
		return nil, nil
	}
	var out []Alert
	return out, db.g.WithContext(ctx).Where("rule = ? AND subject IN ?", rule, subjects).Order("id").Find(&out).Error
}
