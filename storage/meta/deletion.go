package meta

import (
	"gorm.io/gorm"

	"gatehouse/storage"
)

// recordsLost are the findings that say that records about a blob were lost.
var recordsLost = []storage.DriftKind{storage.DriftReferences, storage.DriftOrphan, storage.DriftAssetAlone, storage.DriftVariantAlone}

// LeftByDeletion reports whether the deletion of an asset is what left a blob without references, and not somebody who
// counted anew: DeleteAsset writes one time into both rows. A blob that was left otherwise may have lost the rows of its
// assets, and they may come back. So may those of a blob of which a run has found that records were lost: that the same
// bytes were uploaded and deleted since says nothing about them.
func (t Tenant) LeftByDeletion(b Blob) (bool, error) {
	deleted, err := exists(t.rows(&Asset{}).Where("sha256 = ? AND state = ? AND deleted_at >= ?", b.SHA256, storage.AssetDeleted, b.UnreferencedAt), "id")
	if err != nil || !deleted {
		return false, err
	}
	lost, err := exists(t.rows(&ReconcileFinding{}).Where("sha256 = ? AND kind IN ?", b.SHA256, recordsLost), "id")
	return !lost, err
}

// exists reports whether there is a row; it reads no more than one.
func exists(q *gorm.DB, column string) (bool, error) {
	var one []string
	err := q.Limit(1).Pluck(column, &one).Error
	return len(one) > 0, err
}
