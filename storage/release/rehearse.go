package release

import (
	"context"
	"slices"

	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/release/manifest"
)

// Rehearse examines the rows, and the manifest by the digests that are recorded: the one that would be made, or the bytes of the
// uploaded one, which are few. The bytes of the other files are not looked at. It changes nothing.
func Rehearse(ctx context.Context, db *meta.DB, zones *blob.Zones, ask Ask) (*Examined, error) {
	x, err := Look(ctx, db, ask)
	if err == nil {
		err = x.rehearse(ctx, zones)
	}
	return x, err
}

// rehearse says nothing about a manifest as long as what it needs is not there; the rows say so then.
func (x *Examined) rehearse(ctx context.Context, zones *blob.Zones) error {
	if x.Ask.Back { // which is given out as it was
		return nil
	}
	of := func(kind Kind) int {
		return slices.IndexFunc(x.Files, func(f meta.ArtifactFacts) bool { return Kind(f.Kind) == kind })
	}
	unsummed := slices.ContainsFunc(x.Files, func(f meta.ArtifactFacts) bool { return f.SHA512 == "" })
	if of(Installer) < 0 || unsummed {
		return nil
	}
	if n := of(Manifest); n >= 0 {
		if f := x.Files[n]; !f.Available() || f.Size > manifest.MaxBytes {
			return nil
		}
		s, whole, err := x.sum(ctx, zones, x.Files[n])
		if err != nil || !whole {
			return err
		}
		x.uploaded = s.head
	}
	x.describe()
	return nil
}
