package storage

import (
	"fmt"
	"maps"
	"slices"
)

// assetMoves is THE table of legal moves between asset states. "available" and "rejected" reach each other
// only by a rescan with a newer signature database; nothing leaves "deleted".
var assetMoves = map[AssetState][]AssetState{
	AssetQuarantined: {AssetAvailable, AssetRejected, AssetDeleted},
	AssetAvailable:   {AssetRejected, AssetDeleted},
	AssetRejected:    {AssetAvailable, AssetDeleted},
	AssetDeleted:     {},
}

// mediaMoves is THE table of legal moves between media statuses. To stay is no move. "none" follows a verdict that
// takes the blob back; "failed" runs again when an operator retries its task.
var mediaMoves = map[MediaStatus][]MediaStatus{
	MediaNone:    {MediaPending},
	MediaPending: {MediaRunning, MediaDone, MediaFailed, MediaNone},
	MediaRunning: {MediaDone, MediaFailed, MediaPending, MediaNone},
	MediaDone:    {MediaPending, MediaNone},
	MediaFailed:  {MediaRunning, MediaPending, MediaNone},
}

// CanMove reports whether an asset may go from one state to another.
func CanMove(from, to AssetState) bool { return slices.Contains(assetMoves[from], to) }

// CanMoveMedia reports whether a blob's media status may go from one value to another.
func CanMoveMedia(from, to MediaStatus) bool { return slices.Contains(mediaMoves[from], to) }

// SourcesOf lists the states from which an asset may move to the given one, sorted; a compare-and-set over rows
// uses it as its guard.
func SourcesOf(to AssetState) []AssetState { return sources(assetMoves, to) }

// SourcesOfMedia is SourcesOf for the media status of a blob.
func SourcesOfMedia(to MediaStatus) []MediaStatus { return sources(mediaMoves, to) }

func sources[S ~string](moves map[S][]S, to S) []S {
	var out []S
	for _, from := range slices.Sorted(maps.Keys(moves)) {
		if slices.Contains(moves[from], to) {
			out = append(out, from)
		}
	}
	return out
}

// StateOf is the state that a blob's scan status gives to the assets on it.
func StateOf(s ScanStatus) (AssetState, error) {
	switch s {
	case ScanPending:
		return AssetQuarantined, nil
	case ScanClean:
		return AssetAvailable, nil
	case ScanInfected, ScanUnscannable:
		return AssetRejected, nil
	}
	return "", fmt.Errorf("unknown scan status %q", s)
}
