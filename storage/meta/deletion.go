package meta

import "gatehouse/storage"

// recordsLost are the findings that say that records about a blob were lost.
var recordsLost = []storage.DriftKind{storage.DriftReferences, storage.DriftOrphan, storage.DriftAssetAlone, storage.DriftVariantAlone}

// LeftByDeletion reports whether the deletion of an asset is what left a blob without references, and not somebody who
// counted anew: DeleteAsset writes one time into both rows. A blob that was left otherwise may have lost the rows of its
// assets, and they may come back. So may those of a blob of which a run has found that records were lost: that the same
// bytes were uploaded and deleted since says nothing about them.
func (t Tenant) LeftByDeletion(b Blob) (bool, error) {
	var n int64
	err := t.rows(&Asset{}).Where("sha256 = ? AND state = ? AND deleted_at >= ?", b.SHA256, storage.AssetDeleted, b.UnreferencedAt).
		Limit(1).Count(&n).Error
	if err != nil || n == 0 {
		return false, err
	}
	err = t.rows(&ReconcileFinding{}).Where("sha256 = ? AND kind IN ?", b.SHA256, recordsLost).Limit(1).Count(&n).Error
	return n == 0, err
}
