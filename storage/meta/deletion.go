package meta

import "gatehouse/storage"

// LeftByDeletion reports whether the deletion of an asset is what left a blob without references, and not somebody who
// counted anew: DeleteAsset writes one time into both rows. A blob that was left otherwise may have lost the rows of its
// assets, and they may come back.
func (t Tenant) LeftByDeletion(b Blob) (bool, error) {
	var n int64
	err := t.rows(&Asset{}).Where("sha256 = ? AND state = ? AND deleted_at >= ?", b.SHA256, storage.AssetDeleted, b.UnreferencedAt).
		Limit(1).Count(&n).Error
	return n > 0, err
}
