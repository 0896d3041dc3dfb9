package snapshot

import (
	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// Counts is what people tell snapshots apart by: which one is from before a loss. Manifests of older programs have none.
type Counts struct {
	// Tenants that are not over, and Files that were not deleted.
	Tenants int64 `json:"tenants"`
	Files   int64 `json:"files"`
	// Lost counts signs that rows had been lost when it was taken: rows that speak of one that is not there, and files that
	// a tenant's ledger has and that have no row.
	Lost int64 `json:"lost"`
}

// tally counts while a snapshot is taken.
type tally struct {
	*cross
	n Counts
	// purging are tenants whose rows are just being removed: those that are missing were not lost.
	purging map[string]bool
}

func (t *tally) see(table string, row any) {
	t.cross.see(table, row)
	switch r := row.(type) {
	case *meta.TenantRow:
		if !r.State.Over() {
			t.n.Tenants++
		}
		if r.Purging() {
			t.purging[r.ID] = true
		}
	case *meta.Asset:
		if r.State != storage.AssetDeleted {
			t.n.Files++
		}
	}
}

// counts is the sum; it ends the tally.
func (t *tally) counts() *Counts {
	t.n.Lost = t.found[storage.DriftAssetAlone] + t.found[storage.DriftVariantAlone]
	for _, l := range t.lost {
		t.n.Lost += l.rows
	}
	for id, s := range t.tenants {
		if !t.purging[id] {
			t.n.Lost += max(s.files, 0)
		}
	}
	return &t.n
}

// LostRows reports whether rows had been lost when the snapshot was taken, as far as it knows itself.
func (m Manifest) LostRows() bool { return m.Counts != nil && m.Counts.Lost > 0 }
