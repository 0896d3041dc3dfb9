package release

import (
	"context"
	"fmt"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// SetPercentage changes how many devices get the release. More get it only while its files may be served; their bytes are not
// read, each piece is checked when it is served.
func SetPercentage(ctx context.Context, db *meta.DB, by By, id string, percentage int) (meta.ClientRelease, error) {
	if percentage < 0 || percentage > 100 {
		return meta.ClientRelease{}, badPercentage()
	}
	return steer(ctx, db, by, "release.percentage", id, func(r meta.ClientRelease) (map[string]any, bool, error) {
		if !State(r.State).Holds() {
			return nil, false, notPublished(r)
		}
		set := map[string]any{"percentage": percentage}
		if percentage == 100 && r.FullAt == 0 {
			set["full_at"] = meta.Now()
		}
		return set, percentage > r.Percentage, nil
	})
}

// Pause stops a release: nobody gets it who does not have it, and it holds its track.
func Pause(ctx context.Context, db *meta.DB, by By, id string) (meta.ClientRelease, error) {
	return steer(ctx, db, by, "release.pause", id, func(r meta.ClientRelease) (map[string]any, bool, error) {
		if State(r.State) != Published {
			return nil, false, notPublished(r)
		}
		return map[string]any{"state": Paused}, false, nil
	})
}

// Resume lets a paused release go on, while its files may be served.
func Resume(ctx context.Context, db *meta.DB, by By, id string) (meta.ClientRelease, error) {
	return steer(ctx, db, by, "release.resume", id, func(r meta.ClientRelease) (map[string]any, bool, error) {
		if State(r.State) != Paused {
			return nil, false, refuse(storage.CodeConflict, "release_not_paused",
				fmt.Sprintf("This release is %s, and not paused.", r.State), fmt.Sprintf("该版本的状态为 %s，并未暂停。", r.State))
		}
		return map[string]any{"state": Published}, true, nil
	})
}

// Unpublish takes a release back: its track has none then, and it is nobody's fallback. Of one that is superseded, devices outside
// the stage of the next get none any more.
func Unpublish(ctx context.Context, db *meta.DB, by By, id string) (meta.ClientRelease, error) {
	return steer(ctx, db, by, "release.unpublish", id, func(r meta.ClientRelease) (map[string]any, bool, error) {
		if !CanMove(State(r.State), Unpublished) {
			return nil, false, notPublished(r)
		}
		return map[string]any{"state": Unpublished, "published_key": nil, "full_at": 0}, false, nil
	})
}

// Force says whether clients must update, all of them or those below a version; empty is none.
func Force(ctx context.Context, db *meta.DB, by By, id string, forced bool, minVersion string) (meta.ClientRelease, error) {
	return steer(ctx, db, by, "release.force", id, func(r meta.ClientRelease) (map[string]any, bool, error) {
		if s := State(r.State); !s.Holds() && s != Draft && s != Superseded { // which devices may still fall back on
			return nil, false, notPublished(r)
		}
		own, ok := ParseVersion(r.Version)
		if !ok {
			return nil, false, storage.Refuse(storage.CodeReleaseVersionInvalid, nil)
		}
		least, err := leastVersion(minVersion, own)
		if err != nil {
			return nil, false, err
		}
		return map[string]any{"forced": forced, "min_version": least}, false, nil
	})
}

// leastVersion gives the least version that clients of a release must have as it is stored; empty is none.
func leastVersion(minVersion string, own Version) (string, error) {
	if minVersion == "" {
		return "", nil
	}
	v, ok := ParseVersion(minVersion)
	if !ok {
		return "", storage.Refuse(storage.CodeReleaseVersionInvalid, nil)
	}
	if v.Compare(own) > 0 {
		return "", refuse(storage.CodeReleaseVersionInvalid, "min_version_later",
			fmt.Sprintf("The least version must not be later than that of the release, %s: clients could never reach it.", own.Full()),
			fmt.Sprintf("最低版本不得高于该发布版本 %s，否则客户端永远无法满足要求。", own.Full()))
	}
	return v.Full(), nil
}

// Archive puts a release away for good. A draft that was never published gives its version back. What devices fall back on stays.
func Archive(ctx context.Context, db *meta.DB, by By, id string) (meta.ClientRelease, error) {
	var r meta.ClientRelease
	err := db.InTx(ctx, func(tx *meta.Tx) error {
		var err error
		if r, err = read(tx, id); err != nil {
			return err
		}
		if !CanMove(State(r.State), Archived) {
			return refuse(storage.CodeConflict, "release_held",
				fmt.Sprintf("This release is %s; it cannot be archived.", r.State), fmt.Sprintf("该版本的状态为 %s，无法归档。", r.State))
		}
		set := map[string]any{"state": Archived}
		if r.PublishedAt == 0 {
			set["version_key"] = nil
		}
		if r, err = move(tx, by, "release.archive", r, set, nil); err != nil {
			return err
		}
		// Its row is locked by now: a publication that wants it as its fallback waits, and then takes another.
		users, err := tx.FallingBackOn(id)
		if err != nil {
			return fmt.Errorf("look who falls back on the release: %w", err)
		}
		if len(users) > 0 {
			return refuse(storage.CodeConflict, "release_fallback",
				"Devices outside the stage of the published release get this one; it can be archived when the next release is published.",
				"当前发布版本分阶段范围之外的设备仍在使用此版本；在下一个版本发布之后才能归档。")
		}
		return nil
	})
	return r, err
}

// steer changes a release that clients may be given, as the function says. When it also says that more devices get it then, the
// files must stand as for a publication, by their rows.
func steer(ctx context.Context, db *meta.DB, by By, action, id string, to func(meta.ClientRelease) (map[string]any, bool, error)) (meta.ClientRelease, error) {
	var x Examined
	err := db.InTx(ctx, func(tx *meta.Tx) error {
		x = Examined{}
		var err error
		if x.Release, err = read(tx, id); err != nil {
			return err
		}
		set, more, err := to(x.Release)
		if err != nil {
			return err
		}
		if more {
			if err := x.stand(tx); err != nil {
				return err
			}
		}
		x.Release, err = move(tx, by, action, x.Release, set, nil)
		return err
	})
	return x.Release, followUp(ctx, db, by, &x, err)
}

// stand locks the rows that the release stands on, and refuses when something is wrong with them.
func (x *Examined) stand(tx *meta.Tx) error {
	list, err := tx.Artifacts(x.Release.ID)
	if err != nil {
		return fmt.Errorf("read the files of the release: %w", err)
	}
	if x.Files, err = tx.LockArtifactFacts(PlatformTenant, list); err != nil {
		return fmt.Errorf("lock the assets of the release: %w", err)
	}
	now, err := currentSignatures(tx)
	if err != nil {
		return err
	}
	x.Problems = standing(x.Files, now)
	if err := x.served(tx); err != nil {
		return err
	}
	if len(x.Problems) > 0 {
		return NotPublishable(x.Problems)
	}
	return nil
}

func notPublished(r meta.ClientRelease) error {
	return refuse(storage.CodeConflict, "release_not_published",
		fmt.Sprintf("This release is %s, and not published.", r.State), fmt.Sprintf("该版本的状态为 %s，并未发布。", r.State))
}
