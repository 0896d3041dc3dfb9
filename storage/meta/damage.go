package meta

import (
	"context"
	"errors"

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

// SetReferences writes how many assets a blob has.
func (t Tenant) SetReferences(sha256 string, revision, refs int64) error {
	now := Now()
	set := map[string]any{"refs": refs, "unreferenced_at": Stamp(0), "updated_at": now}
	if refs == 0 {
		set["unreferenced_at"] = now
	}
	return t.touchBlob(sha256, revision, set)
}

// LockBlob reads a blob's row and keeps everybody else from changing it until the commit.
func (t Tenant) LockBlob(sha256 string) (Blob, error) {
	r := t.rows(&Blob{}).Where("sha256 = ?", sha256).UpdateColumn("revision", revisionUp)
	if r.Error != nil {
		return Blob{}, r.Error
	}
	return t.Blob(sha256)
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

// StoredBytes is what all rows say lies in the zones.
func (db *DB) StoredBytes(ctx context.Context) (n int64, err error) {
	err = db.g.WithContext(ctx).Raw(`SELECT COALESCE((SELECT SUM(size) FROM blobs), 0) + COALESCE((SELECT SUM(size) FROM variants), 0)`).
		Scan(&n).Error
	return n, err
}

// EndClaim removes a row that was made to claim an orphan, and nothing else.
func (tx *Tx) EndClaim(tenantID, sha256 string) error {
	return tx.g.Where("tenant_id = ? AND sha256 = ? AND sweeping = ? AND category = ''", tenantID, sha256, true).Delete(&Blob{}).Error
}

// TakeOverClaim makes a claim on an orphan the caller's when its owner has died: it is older than the stamp.
func (tx *Tx) TakeOverClaim(tenantID, sha256 string, abandoned Stamp) (bool, error) {
	r := tx.g.Model(&Blob{}).Where("tenant_id = ? AND sha256 = ? AND sweeping = ? AND category = '' AND updated_at <= ?", tenantID, sha256, true, abandoned).
		Updates(map[string]any{"revision": revisionUp, "updated_at": Now()})
	return r.RowsAffected == 1, r.Error
}

// OnlyClaim reports whether a row was made to claim an orphan, and speaks of no blob.
func (b Blob) OnlyClaim() bool { return b.Sweeping && b.Category == "" }

// LiveAsset reads one asset on a digest that is not deleted, the oldest; storage.ErrNotFound when there is none.
func (t Tenant) LiveAsset(sha256 string) (Asset, error) {
	var a Asset
	r := t.rows(&Asset{}).Where("sha256 = ? AND state <> ?", sha256, storage.AssetDeleted).Order("id").Limit(1).Find(&a)
	if r.Error == nil && r.RowsAffected == 0 {
		return a, storage.ErrNotFound
	}
	return a, r.Error
}

// References counts the assets on a digest that are not deleted.
func (t Tenant) References(sha256 string) (int64, error) {
	var n int64
	return n, t.rows(&Asset{}).Where("sha256 = ? AND state <> ?", sha256, storage.AssetDeleted).Count(&n).Error
}

// OpenTask reports whether a task of that kind about the digest is queued, running or dead: a dead one waits for an
// operator, and counts as open like in Stranded.
func (t Tenant) OpenTask(kind storage.TaskKind, sha256 string) (bool, error) {
	var n int64
	err := t.rows(&Task{}).Where("subject = ? AND kind = ? AND state IN ?", sha256, kind,
		[]storage.TaskState{storage.TaskQueued, storage.TaskRunning, storage.TaskDead}).Count(&n).Error
	return n > 0, err
}

// BlobIfAny is Blob without the error for a row that is not there.
func (t Tenant) BlobIfAny(sha256 string) (Blob, bool, error) {
	b, err := t.Blob(sha256)
	if errors.Is(err, storage.ErrNotFound) {
		return Blob{}, false, nil
	}
	return b, err == nil, err
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
