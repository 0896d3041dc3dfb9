package meta

import "strconv"

// A blob's count of references and its UnreferencedAt are written here and nowhere else, always together: the time is that
// of the write that made the count zero, and 0 while there are references. The grace time runs from it, and LeftByDeletion
// tells by it whether a deletion is what left the blob: the time of an earlier write may never stand beside a zero. A row
// that comes whole has both from its maker: an upload, ClaimOrphan, a snapshot.

// writeReferences sets the count of the tenant's blobs that where chooses. refs is SQL on the row as it was, so the time,
// which needs it too, stands first: MySQL assigns from left to right. The cast is for PostgreSQL, which would take the
// parameter for a small integer.
func (t Tenant) writeReferences(refs string, now Stamp, where string, args ...any) (int64, error) {
	r := t.g.Exec("UPDATE blobs SET unreferenced_at = CASE WHEN "+refs+" > 0 THEN 0 ELSE CAST(? AS decimal(20)) END, refs = "+refs+
		", revision = revision + 1, updated_at = ? WHERE tenant_id = ? AND ("+where+")", append([]any{now, now, t.id}, args...)...)
	return r.RowsAffected, r.Error
}

// LinkBlob adds one reference to a blob that is there and is not being swept; it reports false when there is
// no such blob, ErrSweeping when the sweeper has it.
func (t Tenant) LinkBlob(sha256 string) (bool, error) {
	linked, err := t.writeReferences("refs + 1", Now(), "sha256 = ? AND sweeping = ?", sha256, false)
	if err != nil || linked == 1 {
		return linked == 1, err
	}
	var n int64
	// A row that came after the update is not swept: the caller meets it when it inserts.
	if err := t.rows(&Blob{}).Where("sha256 = ? AND sweeping = ?", sha256, true).Count(&n).Error; err != nil {
		return false, err
	}
	if n > 0 {
		return false, ErrSweeping
	}
	return false, nil
}

func (t Tenant) dropReference(sha256 string, now Stamp) error {
	_, err := t.writeReferences("refs - 1", now, "sha256 = ? AND refs > 0", sha256)
	return err
}

// SetReferences writes how many assets a blob has, by compare-and-set.
func (t Tenant) SetReferences(sha256 string, revision, refs int64) error {
	n, err := t.writeReferences(strconv.FormatInt(refs, 10), Now(), "sha256 = ? AND revision = ? AND sweeping = ?", sha256, revision, false)
	if err == nil && n == 0 {
		return ErrChanged
	}
	return err
}

// CountReferences writes for all blobs of the tenant how many assets each has, where that is not what is written.
func (t Tenant) CountReferences() error {
	const assets = "(SELECT COUNT(*) FROM assets WHERE assets.tenant_id = blobs.tenant_id AND assets.sha256 = blobs.sha256 AND assets.state <> 'deleted')"
	_, err := t.writeReferences(assets, Now(), "refs <> "+assets+" OR refs = 0 AND unreferenced_at = 0 OR refs > 0 AND unreferenced_at <> 0")
	return err
}
