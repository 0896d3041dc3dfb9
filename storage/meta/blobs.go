package meta

import (
	"errors"
	"fmt"
	"maps"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"gatehouse/storage"
)

// revisionUp is the SQL of every compare-and-set: the revision moves with the row.
var revisionUp = gorm.Expr("revision + 1")

// ErrChanged is what a compare-and-set returns when somebody else moved the row first. InTx runs the
// transaction again, which reads the row anew.
var ErrChanged = errors.New("the row was changed by somebody else")

// ErrSweeping says that the blob is being removed right now: wait and store the bytes again.
var ErrSweeping = errors.New("the blob is being swept")

// Blob reads a blob's row.
func (t Tenant) Blob(sha256 string) (Blob, error) {
	var b Blob
	r := t.rows(&Blob{}).Where("sha256 = ?", sha256).Limit(1).Find(&b)
	if r.Error == nil && r.RowsAffected == 0 {
		return b, storage.ErrNotFound
	}
	return b, r.Error
}

// CreateBlob inserts a blob with one reference; it reports false when the digest is there already.
func (t Tenant) CreateBlob(b *Blob) (bool, error) {
	b.TenantID = t.id
	return insertNew(t.g, t.dialect, b)
}

// insertNew inserts a row and reports false, without an error, when its key is there already.
func insertNew(g *gorm.DB, d Dialect, row any) (bool, error) {
	if d == MySQL {
		// MySQL counts an untouched row of ON DUPLICATE KEY as one, and INSERT IGNORE hides other errors; a
		// duplicate key does not end its transaction, so the plain insert may try.
		err := g.Create(row).Error
		if errors.Is(err, gorm.ErrDuplicatedKey) {
			return false, nil
		}
		return err == nil, err
	}
	r := g.Clauses(clause.OnConflict{DoNothing: true}).Create(row)
	return r.RowsAffected == 1, r.Error
}

// SetVerdict writes a verdict, and the zone and media status it leads to, by compare-and-set on the revision. One about
// the blob's very bytes ends its damage.
func (t Tenant) SetVerdict(sha256 string, revision int64, v storage.Verdict, zone storage.Zone, media storage.MediaStatus) error {
	set := map[string]any{
		"zone": zone, "scan_status": v.Status, "scan_signature": v.Signature, "scan_engine": v.Engine,
		"scan_database": v.Database, "scan_bytes": v.BytesScanned, "scan_digest": v.Digest,
		"scanned_at": StampOf(v.ScannedAt),
	}
	maps.Copy(set, evidence(sha256, v))
	return t.changeBlob(sha256, revision, media, set)
}

// SetMedia moves a blob's media status by compare-and-set, where the table of moves allows it. problem is why there
// are no variants, nil unless the status is failed.
func (t Tenant) SetMedia(sha256 string, revision int64, status storage.MediaStatus, progress float64, problem *storage.Reason) error {
	set := map[string]any{"media_progress": progress, "media_error": "", "media_reason": ""}
	if problem != nil {
		set["media_error"], set["media_reason"] = problem.English, problem.Slug
	}
	return t.changeBlob(sha256, revision, status, set)
}

// SetMediaFacts writes what a media job found out about the blob; it stays running. A size of 0 leaves the one there is.
func (t Tenant) SetMediaFacts(sha256 string, revision int64, f storage.MediaFacts) error {
	set := map[string]any{
		"dominant_color": f.DominantColor, "thumb_hash": f.ThumbHash, "duration_ms": f.Duration.Milliseconds(), "fps": f.FPS,
		"video_codec": f.VideoCodec, "audio_codec": f.AudioCodec,
	}
	if f.Width > 0 && f.Height > 0 {
		set["width"], set["height"] = f.Width, f.Height
	}
	return t.changeBlob(sha256, revision, storage.MediaRunning, set)
}

// changeBlob is the compare-and-set of a blob's row. ErrChanged when the row has moved on; another error when the
// media status may not go where it should.
func (t Tenant) changeBlob(sha256 string, revision int64, media storage.MediaStatus, set map[string]any) error {
	set["media_status"], set["revision"], set["updated_at"] = media, revisionUp, Now()
	r := t.rows(&Blob{}).Where("sha256 = ? AND revision = ? AND sweeping = ?", sha256, revision, false).
		Where("media_status IN ?", append(storage.SourcesOfMedia(media), media)).Updates(set)
	if r.Error != nil || r.RowsAffected == 1 {
		return r.Error
	}
	b, err := t.Blob(sha256)
	switch {
	case err != nil && !errors.Is(err, storage.ErrNotFound):
		return err
	case err == nil && b.Revision == revision && !b.Sweeping:
		return fmt.Errorf("the media status of a blob may not go from %s to %s", b.MediaStatus, media)
	}
	return ErrChanged
}

// SetSHA512 notes the SHA-512 of a blob that came in without. It is a fact about the bytes: the revision, which is about what
// was decided of them, stays.
func (t Tenant) SetSHA512(sha256, sha512 string) error {
	return t.rows(&Blob{}).Where("sha256 = ? AND sha512 = ''", sha256).Update("sha512", sha512).Error
}

// Variant reads one variant of a blob.
func (t Tenant) Variant(sha256, preset string) (Variant, error) {
	var v Variant
	err := t.rows(&Variant{}).Where("sha256 = ? AND preset = ?", sha256, preset).Take(&v).Error
	return v, notFound(err)
}

// Variants lists a blob's variants.
func (t Tenant) Variants(sha256 string) ([]Variant, error) {
	var vs []Variant
	return vs, t.rows(&Variant{}).Where("sha256 = ?", sha256).Order("width, preset").Find(&vs).Error
}

// CreateVariant inserts a variant; it reports false when the preset is there already.
func (t Tenant) CreateVariant(v *Variant) (bool, error) {
	v.TenantID = t.id
	return insertNew(t.g, t.dialect, v)
}

// LockBlob reads a blob's row and keeps everybody else from changing it until the commit.
func (t Tenant) LockBlob(sha256 string) (Blob, error) {
	r := t.rows(&Blob{}).Where("sha256 = ?", sha256).UpdateColumn("revision", revisionUp)
	if r.Error != nil {
		return Blob{}, r.Error
	}
	return t.Blob(sha256)
}

// BlobIfAny is Blob without the error for a row that is not there.
func (t Tenant) BlobIfAny(sha256 string) (Blob, bool, error) {
	b, err := t.Blob(sha256)
	if errors.Is(err, storage.ErrNotFound) {
		return Blob{}, false, nil
	}
	return b, err == nil, err
}

// BlobsIn reads the rows of those of the digests that the tenant has, by digest; also of those being swept.
func (t Tenant) BlobsIn(digests []string) (map[string]Blob, error) {
	var list []Blob
	if err := t.rows(&Blob{}).Where("sha256 IN ?", digests).Find(&list).Error; err != nil {
		return nil, err
	}
	out := make(map[string]Blob, len(list))
	for _, b := range list {
		out[b.SHA256] = b
	}
	return out, nil
}
