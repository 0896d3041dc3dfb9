package meta

import (
	"context"

	"gatehouse/storage"
)

// MarkDamaged says that a blob's bytes are missing or wrong, by compare-and-set, with an event for its assets. It takes
// nothing away: the row, its references and its verdict stay, and the bytes are not served.
func (t Tenant) MarkDamaged(sha256 string, revision int64, damage storage.Damage) error {
	now := Now()
	err := t.touchBlob(sha256, revision, map[string]any{"damage": damage, "damaged_at": now, "updated_at": now})
	if err != nil {
		return err
	}
	return t.RecordForBlob(sha256, storage.EventDamaged, map[string]any{"damage": damage})
}

// Requarantine makes a blob what it was when it was uploaded: unscanned, in quarantine, where its bytes lie by now. What
// damage it has stays until a verdict about the right bytes ends it. The caller queues the scan.
func (t Tenant) Requarantine(sha256 string, revision int64) error {
	return t.touchBlob(sha256, revision, map[string]any{
		"zone": storage.ZoneQuarantine, "scan_status": storage.ScanPending, "updated_at": Now(),
	})
}

// Heal is for a damaged blob whose right bytes lie in quarantine again: it is scanned as if it had just been uploaded. One that is
// infected stays so and needs no scan. What finds nothing may have older signatures than what found something, so none but the
// scan that an operator asks for acquits.
func (tx *Tx) Heal(b Blob, revision int64) error {
	tenant := tx.Tenant(b.TenantID)
	if b.ScanStatus == storage.ScanInfected {
		return tenant.touchBlob(b.SHA256, revision, map[string]any{
			"zone": storage.ZoneQuarantine, "damage": "", "damaged_at": 0, "updated_at": Now(),
		})
	}
	if err := tenant.Requarantine(b.SHA256, revision); err != nil {
		return err
	}
	_, err := tx.Enqueue(BlobTask(storage.TaskScan, b.TenantID, b.SHA256))
	return err
}

// touchBlob is a compare-and-set of a blob's row that leaves the media status alone.
func (t Tenant) touchBlob(sha256 string, revision int64, set map[string]any) error {
	set["revision"] = revisionUp
	r := t.rows(&Blob{}).Where("sha256 = ? AND revision = ? AND sweeping = ?", sha256, revision, false).Updates(set)
	if r.Error == nil && r.RowsAffected == 0 {
		return ErrChanged
	}
	return r.Error
}

// evidence is what a verdict says about the bytes beside what the scanner found: one about bytes with the blob's digest
// ends all damage.
func evidence(sha256 string, v storage.Verdict) map[string]any {
	if v.Digest != sha256 {
		return nil
	}
	return map[string]any{"damage": "", "damaged_at": 0, "verified_at": StampOf(v.ScannedAt)}
}

// SetVerified notes that the bytes were read and had the right digest. It moves no revision: nobody who changes the row
// has to look again because of it.
func (t Tenant) SetVerified(sha256 string, at Stamp) error {
	return t.rows(&Blob{}).Where("sha256 = ? AND damage = ''", sha256).UpdateColumn("verified_at", at).Error
}

// Unverified lists blobs whose bytes were last read before the stamp, those first that wait longest, behind the given one
// in this order; not damaged ones, which a scan reads, and not what is being removed. A count of references that is zero
// since never is wrong.
func (db *DB) Unverified(ctx context.Context, before Stamp, after Blob, limit int) ([]Blob, error) {
	var out []Blob
	q := db.g.WithContext(ctx).Where("verified_at < ? AND damage = '' AND (refs > 0 OR unreferenced_at = 0) AND sweeping = ?", before, false)
	if after.TenantID != "" {
		q = q.Where("(verified_at > ? OR verified_at = ? AND (tenant_id > ? OR tenant_id = ? AND sha256 > ?))",
			after.VerifiedAt, after.VerifiedAt, after.TenantID, after.TenantID, after.SHA256)
	}
	return out, q.Order("verified_at, tenant_id, sha256").Limit(limit).Find(&out).Error
}

// lost stands for a blob whose row is gone although an asset speaks of it: nothing is known of its bytes, so nobody reads
// them, and the tenant sees that the asset is damaged.
func lost(a Asset) Blob {
	return Blob{
		TenantID: a.TenantID, SHA256: a.SHA256, Size: a.Size, MediaType: a.MediaType, Category: a.Category,
		Zone: storage.ZoneQuarantine, ScanStatus: storage.ScanPending, MediaStatus: storage.MediaNone,
		Damage: storage.DamageMissing, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt,
	}
}
