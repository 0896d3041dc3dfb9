package snapshot

import (
	"fmt"

	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

// release stops a release that holds its track: it may have been taken back since the snapshot, and so may what devices fell back
// on. None of the others is a fallback before somebody has gone back to it.
func (s settling) release(r *meta.ClientRelease) {
	if !release.State(r.State).Holds() {
		r.FullAt = 0
		return
	}
	r.State, r.FallbackID, r.UpdatedAt = string(release.Paused), "", s.now
	r.Revision++
}

// paused names the releases that came back and hold their tracks.
func (r *restore) paused() error {
	if r.mode == Fill { // which leaves releases as they are
		return nil
	}
	var list []meta.ClientRelease
	_, err := r.tx.Scan(&list, "SELECT id, channel, platform, arch, version FROM client_releases WHERE state = ? ORDER BY channel, platform, arch, id", release.Paused)
	if err != nil {
		return fmt.Errorf("look for releases that are paused: %w", err)
	}
	for _, p := range list {
		r.out.Paused = append(r.out.Paused, fmt.Sprintf("%s of %s (%s)", p.Version, release.TrackOf(p).Key(), p.ID))
	}
	return nil
}
