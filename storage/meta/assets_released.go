package meta

import "gatehouse/storage"

// ErrInRelease says that a release names the asset, so that it stays.
var ErrInRelease = storage.Refuse(storage.CodeConflict, nil).Because(storage.Reason{
	Slug:    "asset_in_release",
	English: "A release names this file, so it cannot be deleted: clients may ask for it as long as the release is known. Of a draft, take the file out of it first, or archive the draft.",
	Chinese: "有发布版本引用此文件，因此不能删除：只要该版本存在，客户端就可能请求它。如果是草稿，请先从草稿中移除该文件，或将草稿归档。",
})

// inRelease reports whether a release names the asset. A draft that was archived names nothing any more: nobody ever got it.
// Only the platform's tenant has such assets, so that only it is asked about.
func (t Tenant) inRelease(assetID string) (bool, error) {
	if t.id != storage.PlatformTenant {
		return false, nil
	}
	var n int64
	err := t.g.Raw(`SELECT COUNT(*) FROM release_artifacts a WHERE a.asset_id = ? AND NOT EXISTS (
		SELECT 1 FROM client_releases r WHERE r.id = a.release_id AND r.state = 'archived' AND r.published_at = 0)`, assetID).Scan(&n).Error
	return n > 0, err
}
