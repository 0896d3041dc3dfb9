package release

import (
	"errors"
	"fmt"
	"slices"

	"gatehouse/storage/meta"
)

// Candidate is what decides whether a device gets a release.
type Candidate struct {
	State State
	// Percentage of the devices that get it.
	Percentage int
	// Full: it was once for all devices.
	Full bool
	// Available: every artifact may be read now, and its bytes are not known to be damaged.
	Available bool
}

// Choice is what a device gets.
type Choice int

// The choices.
const (
	Nothing Choice = iota
	Current
	Fallback
)

// Choose decides what a device gets: the release that holds the track, if it is published, whole, and the device is in its
// stage; else the last one that was for all, if there is one, and it is whole and was neither taken back nor put away; else nothing. The device is
// any id that it keeps; it may be empty.
func Choose(current, fallback Candidate, device string) Choice {
	switch {
	case current.State == Published && current.Available && InStage(device, current.Percentage):
		return Current
	case current.State.Holds() && fallback.Full && fallback.Available && fallback.State == Superseded:
		return Fallback
	}
	return Nothing
}

// Flaw says why nobody can be offered a release, whatever the state of its files; nil: it can be. No publication leaves such a row.
func Flaw(r *meta.ServedRelease) error {
	if _, ok := ParseVersion(r.Version); !ok {
		return fmt.Errorf("its version is none: %q", r.Version)
	}
	if _, ok := ParseVersion(r.MinVersion); !ok && r.MinVersion != "" {
		return fmt.Errorf("its least version is none: %q", r.MinVersion)
	}
	switch {
	case r.PublishedAt == 0:
		return errors.New("it was never published")
	case !slices.ContainsFunc(r.Artifacts, func(a meta.ServedArtifact) bool { return Kind(a.Kind) == Installer }):
		return errors.New("it has no installer")
	case r.Manifest == "":
		return errors.New("it has no manifest")
	}
	return nil
}
