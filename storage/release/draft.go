package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// MaxNotes is how long the notes of a release may be, in bytes.
const MaxNotes = 64 << 10

// By is who does it, and why.
type By struct {
	Actor  audit.Actor
	Reason string
}

// Content is what a release is made of beside its files.
type Content struct {
	Track
	Version string
	Notes   string
}

// check gives the version as it is stored.
func (d Content) check() (Version, error) {
	v, ok := ParseVersion(d.Version)
	switch {
	case !d.Valid():
		return v, refuse(storage.CodeMalformedRequest, "track",
			"There is no such track: the channel is a word of small letters, digits and hyphens, the platform win32, darwin or linux, the architecture x64, x86 or arm64.",
			"没有这样的发布轨道：channel 须由小写字母、数字和连字符组成，platform 须为 win32、darwin 或 linux，arch 须为 x64、x86 或 arm64。")
	case !ok:
		return v, storage.Refuse(storage.CodeReleaseVersionInvalid, nil)
	case len(d.Notes) > MaxNotes || !utf8.ValidString(d.Notes) || strings.ContainsFunc(d.Notes, strange):
		return v, refuse(storage.CodeMalformedRequest, "notes",
			"The notes must be valid text of at most 64 KiB, without control characters other than tabs and line breaks (CR, LF).",
			"发布说明必须是不超过 64 KiB 的有效文本，且除制表符和换行符（CR、LF）外不得包含控制字符。")
	}
	return v, nil
}

// strange are letters that no notes have: no database, client or reader of YAML takes them all, and a manifest writes each as many.
func strange(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\r' && r != '\n' }

// Create makes a draft.
func Create(tx *meta.Tx, by By, d Content) (meta.ClientRelease, error) {
	v, err := d.check()
	if err != nil {
		return meta.ClientRelease{}, err
	}
	now, key := meta.Now(), d.Versioned(v)
	r := meta.ClientRelease{
		ID: meta.NewID(), Channel: d.Channel, Platform: d.Platform, Arch: d.Arch, Version: v.Full(), VersionKey: &key, State: string(Draft),
		Notes: d.Notes, CreatedBy: by.Actor.ID, CreatedAt: now, UpdatedAt: now,
	}
	if err := tx.CreateRelease(&r); errors.Is(err, meta.ErrReleaseTaken) {
		return r, versionUsed()
	} else if err != nil {
		return r, fmt.Errorf("create the release: %w", err)
	}
	return r, record(tx, by, "release.create", r.ID, nil, factsOf(r), nil)
}

// Edit changes a draft as the function says.
func Edit(tx *meta.Tx, by By, id string, change func(*Content)) (meta.ClientRelease, error) {
	r, err := draft(tx, id)
	if err != nil {
		return r, err
	}
	d := Content{Track: TrackOf(r), Version: r.Version, Notes: r.Notes}
	change(&d)
	v, err := d.check()
	if err != nil {
		return r, err
	}
	if _, err := leastVersion(r.MinVersion, v); err != nil {
		return r, err
	}
	return move(tx, by, "release.edit", r, map[string]any{
		"channel": d.Channel, "platform": d.Platform, "arch": d.Arch, "version": v.Full(), "version_key": d.Versioned(v), "notes": d.Notes,
	}, nil)
}

// TrackOf is the track of a release.
func TrackOf(r meta.ClientRelease) Track {
	return Track{Channel: r.Channel, Platform: r.Platform, Arch: r.Arch}
}

// read reads a release.
func read(tx *meta.Tx, id string) (meta.ClientRelease, error) {
	r, err := tx.Release(id)
	if errors.Is(err, storage.ErrNotFound) {
		return r, Unknown(id)
	}
	if err != nil {
		return r, fmt.Errorf("read the release: %w", err)
	}
	return r, nil
}

// draft reads a release that must be a draft.
func draft(tx *meta.Tx, id string) (meta.ClientRelease, error) {
	r, err := read(tx, id)
	if err == nil && State(r.State) != Draft {
		err = refuse(storage.CodeConflict, "release_not_draft",
			fmt.Sprintf("This release is %s; only a draft can be changed.", r.State), fmt.Sprintf("该版本的状态为 %s；只有草稿可以修改。", r.State))
	}
	return r, err
}

// move changes a release by compare-and-set on what was read of it, records what was before and what is after, and gives the
// release as it is now.
func move(tx *meta.Tx, by By, action string, r meta.ClientRelease, set, more map[string]any) (meta.ClientRelease, error) {
	if err := tx.ChangeRelease(r.ID, r.Revision, set); errors.Is(err, meta.ErrReleaseTaken) {
		return r, versionUsed()
	} else if err != nil {
		return r, fmt.Errorf("change the release: %w", err)
	}
	now, err := tx.Release(r.ID)
	if err != nil {
		return r, fmt.Errorf("read the release: %w", err)
	}
	return now, record(tx, by, action, r.ID, factsOf(r), factsOf(now), more)
}

// factsOf are the facts that the audit log keeps of a release. Notes are long: their digest tells whether they changed.
func factsOf(r meta.ClientRelease) map[string]any {
	notes := sha256.Sum256([]byte(r.Notes))
	return map[string]any{
		"track": TrackOf(r).Key(), "version": r.Version, "state": r.State, "percentage": r.Percentage, "forced": r.Forced,
		"min_version": r.MinVersion, "fallback": r.FallbackID, "notes_sha256": hex.EncodeToString(notes[:]),
	}
}

func record(tx *meta.Tx, by By, action, target string, before, after any, more map[string]any) error {
	data := map[string]any{"before": before, "after": after}
	if by.Reason != "" {
		data["reason"] = by.Reason
	}
	for name, value := range more {
		data[name] = value
	}
	return audit.Write(tx, audit.Entry{Actor: by.Actor, TenantID: PlatformTenant, Action: action, Target: target, Result: audit.OK, Data: data})
}

// Unknown is the refusal of an id that no release has.
func Unknown(id string) error {
	return refuse(storage.CodeNotFound, "release_unknown", fmt.Sprintf("There is no release with the id %q.", id), fmt.Sprintf("没有标识为 %q 的发布版本。", id))
}

func versionUsed() error {
	return refuse(storage.CodeConflict, "version_used",
		"This track has a release of that version already; a version is used once.", "该轨道已有此版本号的发布版本；每个版本号只能使用一次。")
}

func refuse(code storage.Code, slug, english, chinese string) error {
	return storage.Refuse(code, nil).Because(storage.Reason{Slug: slug, English: english, Chinese: chinese})
}

// Show reads a release and its files.
func Show(ctx context.Context, db *meta.DB, id string) (meta.ClientRelease, []meta.ArtifactFacts, error) {
	var r meta.ClientRelease
	var files []meta.ArtifactFacts
	err := db.InTx(ctx, func(tx *meta.Tx) error {
		var err error
		if r, err = read(tx, id); err != nil {
			return err
		}
		list, err := tx.Artifacts(id)
		if err != nil {
			return fmt.Errorf("read the files of the release: %w", err)
		}
		if files, err = tx.ArtifactFacts(PlatformTenant, list); err != nil {
			return fmt.Errorf("read the assets of the release: %w", err)
		}
		return nil
	})
	return r, files, err
}
