package release

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

// offers are the two releases that devices of a track may get.
type offers struct{ current, fallback offer }

// offer is a release with its answers. What it cannot be is decided when it is made: one that is not whole is not available.
type offer struct {
	release.Candidate
	version release.Version
	// least may go on without this update; older versions must not.
	least    release.Version
	hasLeast bool
	forced   bool

	manifest []byte
	etag     string
	// The answers of updates/latest.
	none, update, forcedUpdate []byte
}

// to chooses for a device; nil is nothing.
func (o *offers) to(device string) *offer {
	if o == nil {
		return nil
	}
	switch release.Choose(o.current.Candidate, o.fallback.Candidate, device) {
	case release.Current:
		return &o.current
	case release.Fallback:
		return &o.fallback
	}
	return nil
}

// answer is that of updates/latest to a device that has a version.
func (o *offer) answer(has release.Version) []byte {
	switch {
	case o.version.Compare(has) <= 0:
		return o.none
	case o.forced || (o.hasLeast && has.Compare(o.least) < 0):
		return o.forcedUpdate
	}
	return o.update
}

// Latest is the answer of updates/latest when there is an update.
type Latest struct {
	HasUpdate     bool   `json:"has_update"`
	LatestVersion string `json:"latest_version"`
	ForceUpdate   bool   `json:"force_update"`
	// MinRequiredVersion is null when any version may go on.
	MinRequiredVersion *string `json:"min_required_version"`
	DownloadURL        string  `json:"download_url"`
	// PortableURL and its checksum are null when there is no portable form.
	PortableURL            *string `json:"portable_url"`
	ChecksumSHA256         string  `json:"checksum_sha256"`
	PortableChecksumSHA256 *string `json:"portable_checksum_sha256"`
	FileSizeBytes          int64   `json:"file_size_bytes"`
	ReleaseNotes           string  `json:"release_notes"`
	ReleaseDate            string  `json:"release_date"`
}

// NoUpdate is the answer of updates/latest when there is none; LatestVersion is null when nothing at all is published for the
// device.
type NoUpdate struct {
	HasUpdate     bool    `json:"has_update"`
	LatestVersion *string `json:"latest_version"`
}

// offerOf makes the answers of a release. What is wrong with its row is told once, and it is offered to nobody.
func (a *API) offerOf(r *meta.ServedRelease) offer {
	o := offer{Candidate: release.Candidate{State: release.State(r.State), Percentage: r.Percentage, Full: r.FullAt != 0}}
	err := release.Flaw(r)
	if err == nil {
		err = o.fill(r, a.PublicURL)
	}
	if err != nil {
		if a.flawed.First(fmt.Sprintf("%s/%d", r.ID, r.Revision)) {
			a.Log.Error("a release cannot be offered", "release", r.ID, "error", err)
		}
		return o
	}
	o.Available = whole(r)
	return o
}

// whole reports whether all files of the release may be read.
func whole(r *meta.ServedRelease) bool {
	for _, a := range r.Artifacts {
		if !a.Readable() {
			return false
		}
	}
	return true
}

// fill makes the answers of a release without a flaw.
func (o *offer) fill(r *meta.ServedRelease, publicURL string) error {
	o.version, _ = release.ParseVersion(r.Version)
	o.forced = r.Forced
	latest := Latest{
		HasUpdate: true, LatestVersion: r.Version, ReleaseNotes: r.Notes, ReleaseDate: r.PublishedAt.Time().Format(time.RFC3339),
	}
	if r.MinVersion != "" {
		o.least, o.hasLeast = release.ParseVersion(r.MinVersion)
		latest.MinRequiredVersion = &r.MinVersion
	}
	for i := range r.Artifacts {
		a := &r.Artifacts[i]
		address := fileURL(publicURL, r.ClientRelease, a.Name)
		switch release.Kind(a.Kind) {
		case release.Installer:
			latest.DownloadURL, latest.ChecksumSHA256, latest.FileSizeBytes = address, a.SHA256, a.Size
		case release.Portable:
			latest.PortableURL, latest.PortableChecksumSHA256 = &address, &a.SHA256
		case release.Blockmap, release.Manifest: // the feed's
		}
	}
	sum := sha256.Sum256([]byte(r.Manifest))
	o.manifest, o.etag = []byte(r.Manifest), `"`+hex.EncodeToString(sum[:])+`"`
	var err error
	if o.none, err = encode(NoUpdate{LatestVersion: &r.Version}); err != nil {
		return err
	}
	if o.update, err = encode(latest); err != nil {
		return err
	}
	latest.ForceUpdate = true
	o.forcedUpdate, err = encode(latest)
	return err
}

// fileURL is where a file of a release is read.
func fileURL(publicURL string, r meta.ClientRelease, name string) string {
	return strings.TrimSuffix(publicURL, "/") + Prefix + "feed/" + r.Channel + "/" + r.Platform + "/" + r.Arch + "/" +
		url.PathEscape(r.Version) + "/" + url.PathEscape(name)
}

// encode leaves <, > and & as they are, as all answers do.
func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
