package meta

import (
	"context"
	"slices"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// ServedArtifact is an artifact with everything that decides whether it may be read now. Where the asset, the blob or the
// tenant is not there, their fields are empty.
type ServedArtifact struct {
	ReleaseArtifact `gorm:"embedded"`
	// PublishedAt is when its release was first published.
	PublishedAt   Stamp
	TenantID      string
	TenantState   storage.TenantState
	AssetState    storage.AssetState
	Zone          storage.Zone
	ScanStatus    storage.ScanStatus
	Damage        storage.Damage
	Sweeping      bool
	BlobRevision  int64
	BlobCreatedAt Stamp
	// PieceBytes is zero when the digests of its pieces were never written.
	PieceBytes int64
}

// Cleared reports whether anybody may have the file, as far as its states say. Its bytes may be damaged all the same.
func (a ServedArtifact) Cleared() bool {
	return a.TenantState.Served() && cleared(a.AssetState, a.ScanStatus, a.Zone, a.Sweeping) && a.PieceBytes > 0
}

// cleared is what a file's asset, and the blob of that digest and size, must be for anybody to have it.
func cleared(asset storage.AssetState, scan storage.ScanStatus, zone storage.Zone, sweeping bool) bool {
	return asset == storage.AssetAvailable && scan == storage.ScanClean && zone == storage.ZoneClean && !sweeping
}

// Readable reports whether anybody may have the file, and its bytes are not known to be damaged.
func (a ServedArtifact) Readable() bool { return a.Cleared() && a.Damage == "" }

// Blob is the blob as it was read, as far as marking it needs to know.
func (a ServedArtifact) Blob() Blob {
	return Blob{TenantID: a.TenantID, SHA256: a.SHA256, Size: a.Size, Zone: a.Zone, Revision: a.BlobRevision, CreatedAt: a.BlobCreatedAt}
}

// ServedRelease is a release with its artifacts.
type ServedRelease struct {
	ClientRelease
	Artifacts []ServedArtifact
}

// ServedReleases lists the releases that hold their tracks, and those that devices outside their stages get, in three queries.
// Artifacts count only as assets of the owner.
func (db *DB) ServedReleases(ctx context.Context, owner string) ([]ServedRelease, error) {
	g := db.g.WithContext(ctx)
	var list, behind []ClientRelease
	if err := g.Where("published_key IS NOT NULL").Find(&list).Error; err != nil {
		return nil, err
	}
	var fallbacks []string
	for _, r := range list {
		if r.FallbackID != "" {
			fallbacks = append(fallbacks, r.FallbackID)
		}
	}
	for ids := range slices.Chunk(fallbacks, idsAtOnce) {
		var some []ClientRelease
		if err := g.Where("id IN ?", ids).Find(&some).Error; err != nil {
			return nil, err
		}
		behind = append(behind, some...)
	}
	list = append(list, behind...)
	out, place := make([]ServedRelease, len(list)), map[string]int{}
	ids := make([]string, len(list))
	for i, r := range list {
		out[i].ClientRelease, place[r.ID], ids[i] = r, i, r.ID
	}
	for some := range slices.Chunk(ids, idsAtOnce) {
		var artifacts []ServedArtifact
		if err := servedArtifacts(g, owner).Where("a.release_id IN ?", some).Scan(&artifacts).Error; err != nil {
			return nil, err
		}
		for _, a := range artifacts {
			r := &out[place[a.ReleaseID]]
			r.Artifacts = append(r.Artifacts, a)
		}
	}
	return out, nil
}

// idsAtOnce bounds a list of parameters; MySQL and SQLite take many more.
const idsAtOnce = 500

// servedArtifacts joins to artifacts (a) of releases (r) what decides whether they may be read.
func servedArtifacts(g *gorm.DB, owner string) *gorm.DB {
	return g.Table("release_artifacts a").
		Select(`a.*, r.published_at, s.tenant_id, t.state AS tenant_state, s.state AS asset_state, b.zone, b.scan_status, b.damage, b.sweeping,
			b.revision AS blob_revision, b.created_at AS blob_created_at, d.piece_bytes`).
		Joins("JOIN client_releases r ON r.id = a.release_id").
		Joins("LEFT JOIN assets s ON s.id = a.asset_id AND s.tenant_id = ? AND s.sha256 = a.sha256", owner).
		Joins("LEFT JOIN blobs b ON b.tenant_id = s.tenant_id AND b.sha256 = s.sha256 AND b.size = a.size").
		Joins("LEFT JOIN tenants t ON t.id = s.tenant_id").
		Joins("LEFT JOIN release_digests d ON d.sha256 = a.sha256")
}

// ReleaseFile reads the artifact of that name of a release that was ever published, by the key of its version.
func (db *DB) ReleaseFile(ctx context.Context, owner, versionKey, name string) (ServedArtifact, error) {
	return theOne(servedArtifacts(db.g.WithContext(ctx), owner).Where("r.version_key = ?", versionKey), name)
}

// ReleaseFileOfTrack reads the artifact of that name of the release of a track that was published last among those that have
// one.
func (db *DB) ReleaseFileOfTrack(ctx context.Context, owner, channel, platform, arch, name string) (ServedArtifact, error) {
	q := servedArtifacts(db.g.WithContext(ctx), owner).Where("r.channel = ? AND r.platform = ? AND r.arch = ?", channel, platform, arch)
	return theOne(q.Order("r.published_at DESC, r.id DESC"), name)
}

func theOne(q *gorm.DB, name string) (ServedArtifact, error) {
	var found []ServedArtifact
	err := q.Where("a.name = ? AND r.published_at <> 0", name).Limit(1).Scan(&found).Error
	switch {
	case err != nil:
		return ServedArtifact{}, err
	case len(found) == 0 || found[0].Name != name: // MySQL compares without the spaces at the end
		return ServedArtifact{}, storage.ErrNotFound
	}
	return found[0], nil
}

// ReleasePieces reads the digests of a file's pieces.
func (db *DB) ReleasePieces(ctx context.Context, sha256 string) (ReleaseDigests, error) {
	var d ReleaseDigests
	err := db.g.WithContext(ctx).Where("sha256 = ?", sha256).Take(&d).Error
	return d, notFound(err)
}
