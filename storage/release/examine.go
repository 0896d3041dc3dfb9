package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/release/manifest"
)

// Ask is what is asked for: a release to become the published one of its track.
type Ask struct {
	ReleaseID string
	// Percentage of the devices that get it, 0 to 100.
	Percentage int
	// Replaces is what the asker saw as published, "" for nothing; nil: whatever it is.
	Replaces *string
	// Revision is that of the release and its files as the asker saw them; nil: whatever they are.
	Revision *int64
	// Back says that it is a rollback: to a release that was published before.
	Back bool
}

// Examined is what was found out about a release that is to be published. It holds for the rows as they were: Publish
// looks again.
type Examined struct {
	Ask     Ask
	Release meta.ClientRelease
	// Current holds the track; nil when nothing does.
	Current *meta.ClientRelease
	Files   []meta.ArtifactFacts
	// Problems say why it cannot be published; Publish refuses while there are any.
	Problems []Problem

	hashed   bool
	digests  []meta.ReleaseDigests
	uploaded []byte
	manifest string
	damaged  []found
}

// Look examines by the rows alone. What is found wrong is in Problems; a refusal is for what cannot even be asked.
func Look(ctx context.Context, db *meta.DB, ask Ask) (*Examined, error) {
	if ask.Percentage < 0 || ask.Percentage > 100 {
		return nil, badPercentage()
	}
	x := &Examined{}
	err := db.InTx(ctx, func(tx *meta.Tx) error {
		*x = Examined{Ask: ask}
		if err := x.read(tx); err != nil {
			return err
		}
		now, err := currentSignatures(tx)
		if err != nil {
			return err
		}
		x.Problems = composition(x.Release.Platform, x.Files)
		if !ask.Back {
			x.Problems = append(x.Problems, order(x.Release, x.Current)...)
		}
		taken, err := x.taken(tx)
		if err != nil {
			return err
		}
		x.Problems = append(append(x.Problems, taken...), standing(x.Files, now)...)
		return x.served(tx)
	})
	return x, err
}

// Examine rehearses, then examines the bytes of all files, which may take minutes. They are not looked at when the rehearsal
// already says no.
func Examine(ctx context.Context, db *meta.DB, zones *blob.Zones, ask Ask) (*Examined, error) {
	x, err := Rehearse(ctx, db, zones, ask)
	if err != nil || len(x.Problems) > 0 {
		return x, err
	}
	if err := x.hash(ctx, zones); err != nil {
		return x, err
	}
	x.hashed = true
	if len(x.Problems) == 0 {
		x.describe()
	}
	return x, nil
}

func (x *Examined) read(tx *meta.Tx) error {
	var err error
	if x.Release, err = read(tx, x.Ask.ReleaseID); err != nil {
		return err
	}
	if err := x.may(); err != nil {
		return err
	}
	if x.Ask.Revision != nil && *x.Ask.Revision != x.Release.Revision {
		return conflict("revision", "The release or its files are not as you saw them: read it again.", "该版本或其文件已与您看到的不同，请重新读取。")
	}
	current, held, err := tx.ReleaseHolding(TrackOf(x.Release).Key())
	if err != nil {
		return fmt.Errorf("read what is published: %w", err)
	}
	if held {
		x.Current = &current
	}
	if x.Ask.Replaces != nil && *x.Ask.Replaces != x.currentID() {
		return conflict("replaces", "Another release is published in this track than the one you saw.", "该轨道当前发布的版本与您看到的不同。")
	}
	list, err := tx.Artifacts(x.Release.ID)
	if err != nil {
		return fmt.Errorf("read the files of the release: %w", err)
	}
	x.Files, err = tx.ArtifactFacts(PlatformTenant, list)
	if err != nil {
		return fmt.Errorf("read the assets of the release: %w", err)
	}
	return nil
}

func (x *Examined) currentID() string {
	if x.Current == nil {
		return ""
	}
	return x.Current.ID
}

// may refuses what the table of moves does not allow, and a rollback of what never was published.
func (x *Examined) may() error {
	state := State(x.Release.State)
	switch {
	case state.Holds():
		return refuse(storage.CodeConflict, "release_published",
			fmt.Sprintf("This release is %s already.", state), fmt.Sprintf("该版本的状态已经是 %s。", state))
	case x.Ask.Back && state == Archived && x.Release.PublishedAt != 0:
		return refuse(storage.CodeConflict, "release_archived",
			"This release is archived, which is for good: it is not published again. Make a later version of it.",
			"该版本已归档且不可恢复，不能再次发布。请以更高的版本号重新发布。")
	case x.Ask.Back && (!CanMove(state, Published) || x.Release.PublishedAt == 0):
		return refuse(storage.CodeConflict, "release_never_published",
			fmt.Sprintf("One can go back to a release that was published before; this one is %s.", state),
			fmt.Sprintf("只能回滚到曾经发布过的版本；该版本的状态为 %s。", state))
	case !x.Ask.Back && state != Draft:
		return refuse(storage.CodeConflict, "release_not_draft",
			fmt.Sprintf("This release is %s; only a draft is published. To go back to it, roll back.", state),
			fmt.Sprintf("该版本的状态为 %s；只有草稿可以发布。如需恢复该版本，请使用回滚。", state))
	}
	return nil
}

// served adds a problem when the platform's tenant is not one whose files are served.
func (x *Examined) served(tx *meta.Tx) error {
	t, err := tx.Tenant(PlatformTenant).Row()
	if errors.Is(err, storage.ErrNotFound) || err == nil && !t.State.Served() {
		x.Problems = append(x.Problems, Problem{Slug: "tenant_not_served",
			English: "The files of the platform's tenant are not served.", Chinese: "平台租户的文件当前不提供下载。"})
		return nil
	}
	return err
}

// describe makes the manifest, or holds the uploaded one against the files.
func (x *Examined) describe() {
	if x.Ask.Back {
		x.manifest = x.Release.Manifest // what clients were given before, byte for byte
		return
	}
	if n := slices.IndexFunc(x.Files, func(f meta.ArtifactFacts) bool { return Kind(f.Kind) == Manifest }); n >= 0 {
		x.judge(x.Files[n].Name)
		return
	}
	info, problems := manifest.For(x.Release.Platform, x.Release.Version, time.Now().UTC(), x.manifestFiles())
	if len(problems) > 0 {
		x.doubt("", problems)
		return
	}
	info.ReleaseNotes = x.Release.Notes
	made, err := manifest.Make(info)
	if err != nil { // by what is in it
		x.Problems = append(x.Problems, Problem{Slug: "manifest_not_made",
			English: fmt.Sprintf("No manifest can be made of the notes and files of the release: %s.", err),
			Chinese: fmt.Sprintf("无法根据该版本的说明和文件生成清单：%s。", err)})
		return
	}
	x.manifest = string(made)
}

// judge holds the uploaded manifest against the release.
func (x *Examined) judge(name string) {
	info, err := manifest.Parse(x.uploaded)
	if err == nil && bytes.IndexByte(x.uploaded, 0) >= 0 {
		err = fmt.Errorf("%w: it holds a NUL", manifest.ErrInvalid) // which no text column takes
	}
	if err != nil {
		x.Problems = append(x.Problems, Problem{"manifest_invalid", name,
			fmt.Sprintf("%q is no manifest that electron-updater and this program read alike: %s.", name, err),
			fmt.Sprintf("%q 不是 electron-updater 与本程序都能一致读取的清单：%s。", name, err)})
		return
	}
	var files []manifest.Artifact
	for _, f := range x.Files {
		if Kind(f.Kind) != Manifest {
			files = append(files, manifest.Artifact{Name: f.Name, SHA512Hex: f.SHA512, Size: f.Size})
		}
	}
	x.doubt(name, info.Check(x.Release.Version, files))
	x.manifest = string(x.uploaded)
}

func (x *Examined) doubt(name string, problems []manifest.Problem) {
	for _, p := range problems {
		x.Problems = append(x.Problems, Problem{p.Slug, name, p.English, p.Chinese})
	}
}

// manifestFiles are the files that a manifest can be made of.
func (x *Examined) manifestFiles() manifest.Artifacts {
	var out manifest.Artifacts
	for _, f := range x.Files {
		a := manifest.Artifact{Name: f.Name, SHA512Hex: f.SHA512, Size: f.Size}
		switch Kind(f.Kind) {
		case Installer:
			out.Installer = a
		case Portable:
			out.Portable = a
		case Blockmap:
			out.Blockmaps = append(out.Blockmaps, a)
		case Manifest:
		}
	}
	return out
}

func badPercentage() error {
	return refuse(storage.CodeMalformedRequest, "percentage", "The percentage must be a whole number from 0 to 100.", "percentage 必须是 0 到 100 之间的整数。")
}

func conflict(slug, english, chinese string) error {
	return refuse(storage.CodeReleasePublishedConflict, slug, english, chinese)
}
