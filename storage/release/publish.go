package release

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/remedy"
)

// Switch examines a release and publishes it: a draft, or with Ask.Back one that was published before. It reads all files of the
// release, which may take minutes.
func Switch(ctx context.Context, db *meta.DB, zones *blob.Zones, by By, ask Ask) (meta.ClientRelease, error) {
	x, err := Examine(ctx, db, zones, ask)
	if err != nil {
		return meta.ClientRelease{}, err
	}
	if len(x.Problems) > 0 {
		if err := FollowUp(ctx, db, by, x); err != nil {
			return x.Release, err
		}
		return x.Release, NotPublishable(x.Problems)
	}
	var r meta.ClientRelease
	err = db.InTx(ctx, func(tx *meta.Tx) error {
		r, err = Publish(tx, by, x)
		return err
	})
	return r, followUp(ctx, db, by, x, err)
}

// followUp is FollowUp for a transaction that was refused for the problems that it has found.
func followUp(ctx context.Context, db *meta.DB, by By, x *Examined, err error) error {
	if err == nil || len(x.Problems) == 0 {
		return err
	}
	if ferr := FollowUp(ctx, db, by, x); ferr != nil {
		return errors.Join(err, ferr)
	}
	return err
}

// Publish makes an examined release the one of its track, in one transaction. The rows that its files stand on are locked and
// looked at again: what has changed since the bytes were read may be anything. The release, and the one that it replaces, must be
// as they were seen; who comes second is refused with RELEASE_PUBLISHED_CONFLICT.
func Publish(tx *meta.Tx, by By, x *Examined) (meta.ClientRelease, error) {
	var none meta.ClientRelease
	if len(x.Problems) > 0 {
		return none, NotPublishable(x.Problems)
	}
	if !x.hashed {
		return none, errors.New("a release is published whose bytes were not looked at")
	}
	if problems, err := x.again(tx); err != nil {
		return none, err
	} else if len(problems) > 0 {
		x.Problems = problems // for FollowUp
		return none, NotPublishable(problems)
	}
	for _, f := range x.Files {
		if err := tx.SetArtifactSHA512(f.ID, f.SHA512); err != nil {
			return none, fmt.Errorf("write the SHA-512 of %q: %w", f.Name, err)
		}
	}
	for _, d := range x.digests {
		if err := tx.PutDigests(&d); err != nil {
			return none, fmt.Errorf("write the digests of pieces: %w", err)
		}
	}
	r, err := x.swap(tx, by)
	if err != nil {
		return r, err
	}
	// Another release may have been published and taken back since the first look. None can be now: the track is this one's until
	// the commit.
	if problems, err := x.taken(tx); err != nil {
		return none, err
	} else if len(problems) > 0 {
		return none, NotPublishable(problems)
	}
	return r, nil
}

// again locks the rows that the files stand on and looks whether they are as they were.
func (x *Examined) again(tx *meta.Tx) ([]Problem, error) {
	var list []meta.ReleaseArtifact
	for _, f := range x.Files {
		list = append(list, f.ReleaseArtifact)
	}
	now, err := tx.LockArtifactFacts(PlatformTenant, list)
	if err != nil {
		return nil, fmt.Errorf("lock the assets of the release: %w", err)
	}
	scanning, err := currentSignatures(tx)
	if err != nil {
		return nil, err
	}
	out := standing(now, scanning)
	for i, f := range now {
		if f.Available() && f.Blob.Revision != x.Files[i].Blob.Revision {
			out = append(out, Problem{"asset_moved", f.Name,
				fmt.Sprintf("%q has changed while it was looked at; try again.", f.Name), fmt.Sprintf("检查期间 %q 发生了变化，请重试。", f.Name)})
		}
	}
	seen := Examined{}
	err = seen.served(tx)
	return append(out, seen.Problems...), err
}

// swap takes the track from the release that holds it, and gives it to the new one.
func (x *Examined) swap(tx *meta.Tx, by By) (meta.ClientRelease, error) {
	r, now := x.Release, meta.Now()
	if err := x.supersede(tx); err != nil {
		return r, err
	}
	skipped, err := x.skip(tx)
	if err != nil {
		return r, err
	}
	fallback, err := x.fallback(tx)
	if err != nil {
		return r, fmt.Errorf("read what devices outside the stage get: %w", err)
	}
	set := map[string]any{
		"state": Published, "published_key": TrackOf(r).Key(), "percentage": x.Ask.Percentage, "fallback_id": fallback, "manifest": x.manifest,
		"full_at": meta.Stamp(0), // a stamp of an earlier time would make another one the last that was for all
	}
	if r.PublishedAt == 0 {
		set["published_at"] = now
	}
	if x.Ask.Percentage == 100 {
		set["full_at"] = now
	}
	err = tx.ChangeRelease(r.ID, r.Revision, set)
	if errors.Is(err, meta.ErrChanged) || errors.Is(err, meta.ErrReleaseTaken) {
		return r, lost()
	}
	if err != nil {
		return r, fmt.Errorf("publish the release: %w", err)
	}
	after, err := tx.Release(r.ID)
	if err != nil {
		return r, fmt.Errorf("read the release: %w", err)
	}
	return after, record(tx, by, x.Ask.action(), r.ID, factsOf(r), factsOf(after),
		map[string]any{"replaces": x.currentID(), "skipped": skipped, "artifacts": x.named()})
}

// skip makes the releases between what one goes back from and what one goes back to nobody's fallback any more, and gives their ids:
// whoever goes back over a version does not want devices to have it.
func (x *Examined) skip(tx *meta.Tx) ([]string, error) {
	if !x.Ask.Back {
		return nil, nil
	}
	to, _ := ParseVersion(x.Release.Version) // what is stored was parsed
	list, err := tx.FullReleases(x.Release.Channel, x.Release.Platform, x.Release.Arch, string(Superseded))
	if err != nil {
		return nil, fmt.Errorf("read what one goes back over: %w", err)
	}
	var skipped []string
	for _, r := range list {
		if v, ok := ParseVersion(r.Version); r.ID == x.Release.ID || ok && v.Compare(to) <= 0 {
			continue
		}
		err := tx.ChangeRelease(r.ID, r.Revision, map[string]any{"full_at": 0})
		if errors.Is(err, meta.ErrChanged) {
			return nil, lost()
		}
		if err != nil {
			return nil, fmt.Errorf("pass over a release: %w", err)
		}
		skipped = append(skipped, r.ID)
	}
	return skipped, nil
}

func (x *Examined) supersede(tx *meta.Tx) error {
	if x.Current == nil {
		return nil
	}
	set := map[string]any{"state": Superseded, "published_key": nil}
	if !x.forward() || State(x.Current.State) == Paused || x.Current.Percentage < 100 {
		set["full_at"] = 0 // what one goes back from, or has stopped or held back, is nobody's fallback
	}
	err := tx.ChangeRelease(x.Current.ID, x.Current.Revision, set)
	if errors.Is(err, meta.ErrChanged) {
		return lost()
	}
	if err != nil {
		return fmt.Errorf("supersede what is published: %w", err)
	}
	return nil
}

// forward reports whether the release is later than what holds the track: always, but for most rollbacks.
func (x *Examined) forward() bool {
	if !x.Ask.Back {
		return true
	}
	if x.Current == nil {
		return false
	}
	to, _ := ParseVersion(x.Release.Version) // what is stored was parsed
	from, ok := ParseVersion(x.Current.Version)
	return ok && to.Compare(from) > 0
}

// fallback is what devices outside the stage get: the last release that was for all before this one. It is locked, so that it is not
// archived at the same time.
func (x *Examined) fallback(tx *meta.Tx) (string, error) {
	r := x.Release
	if x.forward() {
		last, found, err := tx.LastFullRelease(r.Channel, r.Platform, r.Arch, string(Superseded))
		if err != nil || !found || last.ID == r.ID {
			return "", err
		}
		return last.ID, nil
	}
	if r.FallbackID == "" {
		return "", nil
	}
	last, err := tx.LockRelease(r.FallbackID)
	if err != nil || State(last.State) != Superseded || last.FullAt == 0 {
		return "", err
	}
	return last.ID, nil
}

func (a Ask) action() string {
	if a.Back {
		return "release.rollback"
	}
	return "release.publish"
}

func (x *Examined) named() []map[string]any {
	var out []map[string]any
	for _, f := range x.Files {
		out = append(out, map[string]any{"name": f.Name, "kind": f.Kind, "asset": f.AssetID, "sha256": f.SHA256, "sha512": f.SHA512})
	}
	return out
}

func lost() error {
	return conflict("published_meanwhile", "Somebody else has changed this release, or what is published in its track, meanwhile.", "在此期间，其他人修改了该版本或该轨道已发布的版本。")
}

// FollowUp does what an examination that has found problems asks for: files whose verdict is too old are scanned again, and damage
// is written down, as other readers do.
func FollowUp(ctx context.Context, db *meta.DB, by By, x *Examined) error {
	err := db.InTx(ctx, func(tx *meta.Tx) error {
		for _, p := range x.Problems {
			if err := x.rescan(tx, by, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, d := range x.damaged {
		// Not marked: a scan has moved the blob, or somebody has written it down.
		if _, err := remedy.MarkDamaged(ctx, db, by.Actor, d.blob, d.damage); err != nil {
			return fmt.Errorf("mark the damage: %w", err)
		}
	}
	return nil
}

func (x *Examined) rescan(tx *meta.Tx, by By, p Problem) error {
	if p.Slug != slugStale {
		return nil
	}
	for _, f := range x.Files {
		if f.Name != p.Artifact {
			continue
		}
		_, err := remedy.Do(tx, remedy.By{Actor: by.Actor, Reason: "a release of it is to be published"}, remedy.Rescan, PlatformTenant, f.AssetID)
		if storage.CodeOf(err) == storage.CodeConflict || storage.CodeOf(err) == storage.CodeNotFound {
			return nil // infected, deleted or lost since: the next look says so
		}
		if err != nil {
			return fmt.Errorf("ask for a rescan of %q: %w", f.Name, err)
		}
	}
	return nil
}
