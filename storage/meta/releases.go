package meta

import (
	"context"
	"errors"

	"gorm.io/gorm"
)

// ErrReleaseTaken says that another release has the version or holds the track, or that the release has a file of that name already;
// the transaction must end.
var ErrReleaseTaken = errors.New("another release has it")

func releaseTaken(err error) error {
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return ErrReleaseTaken
	}
	return err
}

// CreateRelease inserts a release; ErrReleaseTaken when its version is used in its track.
func (tx *Tx) CreateRelease(r *ClientRelease) error { return releaseTaken(tx.g.Create(r).Error) }

// Release reads a release.
func (tx *Tx) Release(id string) (ClientRelease, error) {
	var r ClientRelease
	err := tx.g.Take(&r, "id = ?", id).Error
	return r, notFound(err)
}

// LockRelease reads a release and keeps everybody else from changing it until the commit.
func (tx *Tx) LockRelease(id string) (ClientRelease, error) {
	var r ClientRelease
	err := tx.g.Clauses(tx.forUpdate()...).Take(&r, "id = ?", id).Error
	return r, notFound(err)
}

// ReleaseHolding reads the release that holds the track of that key; false when none does.
func (tx *Tx) ReleaseHolding(trackKey string) (ClientRelease, bool, error) {
	var r ClientRelease
	q := tx.g.Limit(1).Find(&r, "published_key = ?", trackKey)
	return r, q.Error == nil && q.RowsAffected == 1, q.Error
}

// ChangeRelease changes columns of a release by compare-and-set on its revision: ErrChanged when it has moved since,
// ErrReleaseTaken when another one has the version, or holds the track.
func (tx *Tx) ChangeRelease(id string, revision int64, set map[string]any) error {
	set["revision"], set["updated_at"] = revisionUp, Now()
	q := tx.g.Model(&ClientRelease{}).Where("id = ? AND revision = ?", id, revision).Updates(set)
	if q.Error == nil && q.RowsAffected == 0 {
		return ErrChanged
	}
	return releaseTaken(q.Error)
}

// LastFullRelease locks and reads the release of a track and a state that was for all devices last and was not taken back. False when
// there is none.
func (tx *Tx) LastFullRelease(channel, platform, arch, state string) (ClientRelease, bool, error) {
	var r ClientRelease
	q := tx.g.Clauses(tx.forUpdate()...).
		Where("channel = ? AND platform = ? AND arch = ? AND full_at > 0 AND state = ?", channel, platform, arch, state).
		Order("full_at DESC, id DESC").Limit(1).Find(&r)
	return r, q.Error == nil && q.RowsAffected == 1, q.Error
}

// FullReleases lists the releases of a track and a state that were for all devices and were not taken back.
func (tx *Tx) FullReleases(channel, platform, arch, state string) ([]ClientRelease, error) {
	var out []ClientRelease
	return out, tx.g.Omit("manifest", "notes").
		Where("channel = ? AND platform = ? AND arch = ? AND full_at > 0 AND state = ?", channel, platform, arch, state).Order("id").Find(&out).Error
}

// FallingBackOn lists the ids of releases that hold a track and whose fallback is the given one.
func (tx *Tx) FallingBackOn(id string) ([]string, error) {
	var out []string
	return out, tx.g.Model(&ClientRelease{}).Where("fallback_id = ? AND published_key IS NOT NULL", id).Order("id").Pluck("id", &out).Error
}

// ReleaseFilter narrows a list; empty fields do not.
type ReleaseFilter struct {
	Channel, Platform, Arch, State string
}

// Releases lists releases, the newest first: at most limit of those older than the one whose id is before, which may be empty.
// Their manifests are left out: each may have 256 KiB.
func (db *DB) Releases(ctx context.Context, f ReleaseFilter, before string, limit int) ([]ClientRelease, error) {
	q := db.g.WithContext(ctx).Omit("manifest")
	for column, value := range map[string]string{"channel": f.Channel, "platform": f.Platform, "arch": f.Arch, "state": f.State} {
		if value != "" {
			q = q.Where(column+" = ?", value)
		}
	}
	if before != "" {
		q = q.Where("id < ?", before)
	}
	var out []ClientRelease
	return out, q.Order("id DESC").Limit(limit).Find(&out).Error
}
