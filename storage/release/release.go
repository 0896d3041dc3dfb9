package release

import (
	"slices"

	"gatehouse/storage"
)

// PlatformTenant is the tenant that owns the artifacts of all releases.
const PlatformTenant = storage.PlatformTenant

// State is where a release is in its life.
type State string

// The states. A paused release holds its track: nobody gets it who does not have it, and nothing else is published there.
const (
	Draft       State = "draft"
	Published   State = "published"
	Paused      State = "paused"
	Superseded  State = "superseded"  // by the next one, or by a rollback
	Unpublished State = "unpublished" // taken back
	Archived    State = "archived"
)

// States lists them all.
var States = []State{Draft, Published, Paused, Superseded, Unpublished, Archived}

// moves is THE table of legal moves. From superseded and unpublished only a rollback leads back. What is superseded may still be
// what devices outside a stage get, and can be taken back from them.
var moves = map[State][]State{
	Draft:       {Published, Archived},
	Published:   {Paused, Superseded, Unpublished},
	Paused:      {Published, Superseded, Unpublished},
	Superseded:  {Published, Unpublished, Archived},
	Unpublished: {Published, Archived},
	Archived:    {},
}

// CanMove reports whether a release may go from one state to another.
func CanMove(from, to State) bool { return slices.Contains(moves[from], to) }

// Holds reports whether a release of this state holds its track.
func (s State) Holds() bool { return s == Published || s == Paused }

// Kind is what a file of a release is for.
type Kind string

// The kinds. A release has one installer, at most one portable and one manifest, and a blockmap for either of the first two.
const (
	Installer Kind = "installer"
	Portable  Kind = "portable"
	Blockmap  Kind = "blockmap"
	Manifest  Kind = "manifest"
)

// Kinds lists them all.
var Kinds = []Kind{Installer, Portable, Blockmap, Manifest}

// PieceBytes is how much of a file is checked at once while it is served. A client of differential updates asks for pieces of
// some ten KiB, and for each of them whole pieces are read and hashed; a smaller one makes the lists of digests longer, 300 KiB for
// an installer of 600 MiB.
const PieceBytes = 64 << 10
