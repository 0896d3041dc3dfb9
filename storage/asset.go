package storage

import "time"

// AssetState answers "may I use it".
type AssetState string

// The states of an asset; moves.go says which may follow which.
const (
	AssetQuarantined AssetState = "quarantined"
	AssetAvailable   AssetState = "available"
	AssetRejected    AssetState = "rejected"
	AssetDeleted     AssetState = "deleted"
)

// ScanStatus answers why an asset is in its state.
type ScanStatus string

// The scan statuses of a blob.
const (
	ScanPending     ScanStatus = "pending"
	ScanClean       ScanStatus = "clean"
	ScanInfected    ScanStatus = "infected"
	ScanUnscannable ScanStatus = "unscannable"
)

// MediaStatus answers "is it web-ready".
type MediaStatus string

// The media statuses of a blob.
const (
	MediaNone    MediaStatus = "none"
	MediaPending MediaStatus = "pending"
	MediaRunning MediaStatus = "running"
	MediaDone    MediaStatus = "done"
	MediaFailed  MediaStatus = "failed"
)

// Zone is where a blob lies.
type Zone string

// The zones. Only the scan job moves a blob into ZoneClean.
const (
	ZoneQuarantine Zone = "quarantine"
	ZoneClean      Zone = "clean"
)

// Other is the zone of the two that z is not: where a blob's object lies astray.
func (z Zone) Other() Zone {
	if z == ZoneClean {
		return ZoneQuarantine
	}
	return ZoneClean
}

// Verdict is the result of one scan with its evidence. A verdict of ScanClean is valid only when
// BytesScanned equals the blob's size and Digest equals its SHA-256 (invariant 3).
type Verdict struct {
	Status ScanStatus
	// Signature is the name of what was found, empty when clean.
	Signature string
	// Engine is what clamd says of itself: name and version.
	Engine string
	// Database is the fingerprint of the signature database the verdict rests on.
	Database string
	// BytesScanned is how many bytes were handed to the scanner.
	BytesScanned int64
	// Digest is the lower-case hex SHA-256 of those bytes.
	Digest    string
	ScannedAt time.Time
}

// Holds reports whether the verdict is evidence about the blob of that size and digest.
func (v Verdict) Holds(size int64, sha256 string) bool {
	return v.BytesScanned == size && v.Digest == sha256 && v.Engine != "" && v.Database != ""
}
