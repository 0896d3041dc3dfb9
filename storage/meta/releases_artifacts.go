package meta

import (
	"slices"
	"strings"

	"gorm.io/gorm/clause"
)

// CreateArtifact inserts a file of a release; ErrReleaseTaken when the release has one of that name.
func (tx *Tx) CreateArtifact(a *ReleaseArtifact) error { return releaseTaken(tx.g.Create(a).Error) }

// DropArtifact removes a file from a release.
func (tx *Tx) DropArtifact(releaseID, id string) error {
	return tx.g.Where("release_id = ? AND id = ?", releaseID, id).Delete(&ReleaseArtifact{}).Error
}

// SetArtifactSHA512 writes the SHA-512 of a file that had none.
func (tx *Tx) SetArtifactSHA512(id, sha512 string) error {
	return tx.g.Model(&ReleaseArtifact{}).Where("id = ? AND sha512 = ''", id).Update("sha512", sha512).Error
}

// Artifacts lists the files of a release in the order in which they came.
func (tx *Tx) Artifacts(releaseID string) ([]ReleaseArtifact, error) {
	var out []ReleaseArtifact
	return out, tx.g.Where("release_id = ?", releaseID).Order("id").Find(&out).Error
}

// ArtifactFacts are a file of a release and the rows that it stands on; nil: there is no such row of the tenant.
type ArtifactFacts struct {
	ReleaseArtifact
	Asset *Asset
	Blob  *Blob
}

// ArtifactFacts reads the rows that files stand on.
func (tx *Tx) ArtifactFacts(tenantID string, list []ReleaseArtifact) ([]ArtifactFacts, error) {
	return tx.artifactFacts(tenantID, list, nil)
}

// LockArtifactFacts is ArtifactFacts, and keeps everybody else from changing the rows until the commit: blobs before assets, as
// verdicts and deletions lock them, each by the order of their keys.
func (tx *Tx) LockArtifactFacts(tenantID string, list []ReleaseArtifact) ([]ArtifactFacts, error) {
	return tx.artifactFacts(tenantID, list, tx.forUpdate())
}

func (tx *Tx) artifactFacts(tenantID string, list []ReleaseArtifact, lock []clause.Expression) ([]ArtifactFacts, error) {
	out := make([]ArtifactFacts, len(list))
	var digests, ids []string
	for i, a := range list {
		out[i].ReleaseArtifact = a
		digests, ids = append(digests, a.SHA256), append(ids, a.AssetID)
	}
	if len(list) == 0 {
		return out, nil
	}
	var blobs []Blob
	if err := tx.Tenant(tenantID).rows(&Blob{}).Clauses(lock...).Where("sha256 IN ?", digests).Order("sha256").Find(&blobs).Error; err != nil {
		return nil, err
	}
	var assets []Asset
	if err := tx.Tenant(tenantID).rows(&Asset{}).Clauses(lock...).Where("id IN ?", ids).Order("id").Find(&assets).Error; err != nil {
		return nil, err
	}
	for i := range out {
		if n, found := slices.BinarySearchFunc(blobs, out[i].SHA256, func(b Blob, s string) int { return strings.Compare(b.SHA256, s) }); found {
			out[i].Blob = &blobs[n]
		}
		if n, found := slices.BinarySearchFunc(assets, out[i].AssetID, func(a Asset, s string) int { return strings.Compare(a.ID, s) }); found {
			out[i].Asset = &assets[n]
		}
	}
	return out, nil
}

// Available reports whether the file may be read: nothing is wrong with its rows.
func (f ArtifactFacts) Available() bool {
	return f.Asset != nil && f.Blob != nil && f.Asset.SHA256 == f.SHA256 && f.Blob.Size == f.Size &&
		cleared(f.Asset.State, f.Blob.ScanStatus, f.Blob.Zone, f.Blob.Sweeping) && f.Blob.Damage == ""
}

// FileBefore is a file of a release that was published, and the manifest that its publisher uploaded for it.
type FileBefore struct {
	Name     string
	SHA256   string `gorm:"column:sha256"`
	Version  string
	Manifest string
}

// FilesBefore lists the files that have one of the names in other releases of a track that were ever published with a manifest of
// their publisher.
func (tx *Tx) FilesBefore(r ClientRelease, names []string) ([]FileBefore, error) {
	var out []FileBefore
	err := tx.g.Table("release_artifacts a").Select("a.name, a.sha256, r.version, r.manifest").
		Joins("JOIN client_releases r ON r.id = a.release_id").
		Where("a.name IN ? AND r.channel = ? AND r.platform = ? AND r.arch = ? AND r.published_at <> 0 AND r.id <> ?", names, r.Channel, r.Platform, r.Arch, r.ID).
		Where("EXISTS (SELECT 1 FROM release_artifacts m WHERE m.release_id = r.id AND m.kind = 'manifest')").
		Order("r.id, a.id").Scan(&out).Error
	return out, err
}

// PutDigests writes the digests of a file's pieces, also over those that are there.
func (tx *Tx) PutDigests(d *ReleaseDigests) error {
	return tx.g.Clauses(clause.OnConflict{UpdateAll: true}).Create(d).Error
}
