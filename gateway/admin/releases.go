package admin

import (
	"context"
	"fmt"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

// ClientRelease is a version of a desktop application for one track.
type ClientRelease struct {
	ID string `json:"id"`
	release.Track
	Version    string        `json:"version"`
	State      release.State `json:"state"`
	Percentage int           `json:"percentage" doc:"How many of a hundred devices get it."`
	Forced     bool          `json:"forced" doc:"Clients must update."`
	MinVersion string        `json:"min_required_version" doc:"Clients below it must update; empty: none."`
	Notes      string        `json:"notes" doc:"Markdown."`
	// FallbackID is the release that devices outside the stage get.
	FallbackID string     `json:"fallback_id" doc:"The release that devices outside the stage get, and all while it is paused; empty: none."`
	CreatedBy  string     `json:"created_by"`
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
	Published  *time.Time `json:"published_at" doc:"When it was first published."`
	FullAt     *time.Time `json:"full_at" doc:"When it was last given to all devices; null: it never was, was taken back, or had been superseded when a snapshot was restored."`
	Revision   int64      `json:"revision" doc:"Changes whenever the release or its files do; give it to publish what you have seen and nothing else."`
	Adoption   Adoption   `json:"adoption"`
}

// Adoption is how many devices have a release.
type Adoption struct {
	Devices int64 `json:"devices" doc:"Devices that run it and had sent a heartbeat within 24 hours when they were counted."`
	// Share is of the devices of the track that were active then.
	Share     float64    `json:"share" doc:"Their share of the active devices of the track, 0 to 1."`
	CountedAt *time.Time `json:"counted_at" doc:"When devices were counted last; null when they never were."`
}

// ReleaseFile is a file of a release, with what is known of its asset.
type ReleaseFile struct {
	ID        string       `json:"id"`
	Kind      release.Kind `json:"kind"`
	Name      string       `json:"name"`
	AssetID   string       `json:"asset_id"`
	SHA256    string       `json:"sha256" doc:"In hex."`
	SHA512    string       `json:"sha512" doc:"In hex; manifests have it in Base64."`
	Size      int64        `json:"size"`
	MediaType string       `json:"media_type"`
	State     string       `json:"state" doc:"That of the asset; empty when it is lost."`
	Scan      string       `json:"scan" doc:"The verdict about it."`
	Available bool         `json:"available" doc:"Nothing is wrong with it, and it may be served."`
	// Damage is empty when none is known.
	Damage    storage.Damage `json:"damage" doc:"What is wrong with the stored bytes: missing, size or digest; empty when nothing is known."`
	CreatedAt time.Time      `json:"created_at"`
}

// ClientReleaseDetail is a release with its files.
type ClientReleaseDetail struct {
	ClientRelease
	Artifacts []ReleaseFile `json:"artifacts"`
	Manifest  string        `json:"manifest" doc:"What electron-updater reads; empty until the release is published."`
}

// adoption is the newest count of devices, of the tracks that are shown.
type adoption struct {
	at     *time.Time
	tracks map[release.Track]int64
	// of has them by the version without its build metadata, which does not tell versions apart.
	of map[string]int64
}

// adoption reads the count for releases that are shown.
func (a Admin) adoption(ctx context.Context, shown ...meta.ClientRelease) (adoption, error) {
	out := adoption{tracks: map[release.Track]int64{}, of: map[string]int64{}}
	hour, at, err := a.counted(ctx)
	if out.at = at; err != nil || at == nil {
		return out, err
	}
	counts, err := a.DB.AdoptionIn(ctx, hour, shown)
	if err != nil {
		return out, fmt.Errorf("read the count of devices: %w", err)
	}
	for _, c := range counts {
		t := release.Track{Channel: c.Channel, Platform: c.Platform, Arch: c.Arch}
		out.tracks[t] += c.Devices
		if v, ok := release.ParseVersion(c.Version); ok {
			out.of[t.Versioned(v)] += c.Devices
		}
	}
	return out, nil
}

func (d adoption) release(r meta.ClientRelease) ClientRelease {
	t := release.TrackOf(r)
	out := ClientRelease{
		ID: r.ID, Track: t, Version: r.Version, State: release.State(r.State), Percentage: r.Percentage, Forced: r.Forced, MinVersion: r.MinVersion,
		Notes: r.Notes, FallbackID: r.FallbackID, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt.Time(), UpdatedAt: r.UpdatedAt.Time(),
		Published: r.PublishedAt.TimeIfSet(), FullAt: r.FullAt.TimeIfSet(), Revision: r.Revision, Adoption: Adoption{CountedAt: d.at},
	}
	if v, ok := release.ParseVersion(r.Version); ok {
		out.Adoption.Devices = d.of[t.Versioned(v)]
	}
	if all := d.tracks[t]; all > 0 {
		out.Adoption.Share = float64(out.Adoption.Devices) / float64(all)
	}
	return out
}

// ClientReleases lists releases, the newest first: at most limit of those older than the one whose id is before.
func (a Admin) ClientReleases(ctx context.Context, f meta.ReleaseFilter, before string, limit int) ([]ClientRelease, error) {
	err := firstOf(oneOf("platform", f.Platform, release.Platforms), oneOf("arch", f.Arch, release.Archs), oneOf("state", release.State(f.State), release.States))
	if err != nil {
		return nil, err
	}
	list, err := a.DB.Releases(ctx, f, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list releases: %w", err)
	}
	counted, err := a.adoption(ctx, list...)
	if err != nil {
		return nil, err
	}
	out := make([]ClientRelease, len(list))
	for i, r := range list {
		out[i] = counted.release(r)
	}
	return out, nil
}

// ShowClientRelease shows a release with its files.
func (a Admin) ShowClientRelease(ctx context.Context, id string) (ClientReleaseDetail, error) {
	r, files, err := release.Show(ctx, a.DB, id)
	if err != nil {
		return ClientReleaseDetail{}, err
	}
	counted, err := a.adoption(ctx, r)
	if err != nil {
		return ClientReleaseDetail{}, err
	}
	out := ClientReleaseDetail{ClientRelease: counted.release(r), Artifacts: []ReleaseFile{}, Manifest: r.Manifest}
	for _, f := range files {
		out.Artifacts = append(out.Artifacts, releaseFile(f))
	}
	return out, nil
}

func releaseFile(f meta.ArtifactFacts) ReleaseFile {
	out := ReleaseFile{
		ID: f.ID, Kind: release.Kind(f.Kind), Name: f.Name, AssetID: f.AssetID, SHA256: f.SHA256, SHA512: f.SHA512, Size: f.Size,
		MediaType: f.MediaType, Available: f.Available(), CreatedAt: f.CreatedAt.Time(),
	}
	if f.Asset != nil {
		out.State = string(f.Asset.State)
	}
	if f.Blob != nil {
		out.Scan, out.Damage = string(f.Blob.ScanStatus), f.Blob.Damage
	}
	return out
}
