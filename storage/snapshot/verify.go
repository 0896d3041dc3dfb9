package snapshot

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// Verified is what a look at every byte of a snapshot found.
type Verified struct {
	Manifest
	// Damage lists what is wrong with the snapshot itself; one with damage cannot be restored.
	Damage []string `json:"damage"`
	// Drift counts, by kind, rows that were inconsistent in the database already when the snapshot was taken.
	Drift map[storage.DriftKind]int64 `json:"drift"`
}

// Whole reports whether the snapshot can be restored.
func (v Verified) Whole() bool { return len(v.Damage) == 0 }

// maxDamage bounds the list of a snapshot of which everything is gone.
const maxDamage = 100

// Verify reads a whole snapshot: every checksum, every count, every row, and whether rows speak of rows that are there.
// A manifest that cannot be believed is an error, a *Damage; so is a snapshot of a newer program (ErrNewer).
func (s *Store) Verify(ctx context.Context, id string) (Verified, error) {
	m, err := s.Manifest(ctx, id)
	if err != nil {
		return Verified{}, err
	}
	v := Verified{Manifest: m, Damage: []string{}, Drift: map[storage.DriftKind]int64{}}
	tables, err := m.readable()
	if err != nil {
		return v, err
	}
	c := newCross()
	for _, t := range m.Tables {
		var rows int64
		for _, p := range t.Parts {
			rows += p.Rows
			err := s.readPart(ctx, m.ID, tables[t.Name], p, m.current(), func(row any, _ int) error {
				c.see(row)
				return nil
			})
			if d, ok := errors.AsType[*Damage](err); ok {
				v.Damage = append(v.Damage, fmt.Sprintf("%s: %s", d.Part, d.Problem))
				err = nil
			}
			if err != nil {
				return v, err
			}
		}
		if rows != t.Rows {
			v.Damage = append(v.Damage, fmt.Sprintf("table %s: its parts have %d rows instead of %d", t.Name, rows, t.Rows))
		}
		if len(v.Damage) > maxDamage {
			break
		}
	}
	if v.Whole() { // with parts missing the references say nothing
		v.Drift = c.drift()
	}
	return v, nil
}

// ErrNewer says that the snapshot is of a newer program than this one.
var ErrNewer = errors.New("the snapshot was taken by a newer version of Gatehouse; restore it with that version or a later one")

// current reports whether the snapshot has the schema of this program.
func (m Manifest) current() bool { return m.Schema == meta.SchemaVersion() }

// readable returns the tables that this program has, by name, unless it cannot read the snapshot.
func (m Manifest) readable() (map[string]meta.Table, error) {
	if _, known := meta.SchemaNumber(m.Schema); !known || m.Format > Format {
		return nil, fmt.Errorf("%w (its schema is %s, this program's %s)", ErrNewer, m.Schema, meta.SchemaVersion())
	}
	list, err := meta.Tables()
	if err != nil {
		return nil, err
	}
	out := map[string]meta.Table{}
	for _, t := range list {
		out[t.Name] = t
	}
	there := map[string]bool{}
	for _, t := range m.Tables {
		if _, ok := out[t.Name]; !ok || there[t.Name] {
			return nil, &Damage{manifestName, fmt.Sprintf("it names the table %q, which is twice or unknown", t.Name)}
		}
		there[t.Name] = true
	}
	if m.current() && len(there) != len(list) {
		return nil, &Damage{manifestName, fmt.Sprintf("it has %d tables instead of %d", len(there), len(list))}
	}
	return out, nil
}

// cross checks that rows speak of rows that are there. It remembers 8 bytes of each key: two blobs that share them by
// chance are once in 37 million snapshots of a million blobs.
type cross struct {
	seed    maphash.Seed
	plans   map[string]bool
	tenants map[string]*sums
	refs    map[uint64]int64 // of each blob: what its row says, less the assets seen
	found   map[storage.DriftKind]int64
}

// sums is a tenant's ledger as its row says, less what was seen of it.
type sums struct{ bytes, files, reserved, reservations int64 }

func newCross() *cross {
	return &cross{
		seed: maphash.MakeSeed(), plans: map[string]bool{}, tenants: map[string]*sums{}, refs: map[uint64]int64{},
		found: map[storage.DriftKind]int64{},
	}
}

func (c *cross) blob(tenant, digest string) uint64 { return maphash.String(c.seed, tenant+"/"+digest) }

// of is the ledger of a tenant; one without a row gets one that nobody looks at.
func (c *cross) of(tenant string) *sums {
	if s, ok := c.tenants[tenant]; ok {
		return s
	}
	return &sums{}
}

// see takes a row; tables come in the order of THE list, so what a row speaks of was seen before it.
func (c *cross) see(row any) {
	switch r := row.(type) {
	case *meta.TenantRow:
		c.tenants[r.ID] = &sums{r.UsedBytes, r.UsedFiles, r.ReservedBytes, r.ReservedFiles}
	case *meta.Blob:
		c.refs[c.blob(r.TenantID, r.SHA256)] = r.Refs
		c.of(r.TenantID).bytes -= r.Size
	case *meta.Asset:
		if r.State == storage.AssetDeleted {
			return
		}
		c.of(r.TenantID).files--
		key := c.blob(r.TenantID, r.SHA256)
		if _, ok := c.refs[key]; !ok {
			c.found[storage.DriftAssetAlone]++
			return
		}
		c.refs[key]--
	case *meta.Variant:
		c.of(r.TenantID).bytes -= r.Size
		if _, ok := c.refs[c.blob(r.TenantID, r.SHA256)]; !ok {
			c.found[storage.DriftVariantAlone]++
		}
	case *meta.Reservation:
		s := c.of(r.TenantID)
		s.reserved -= r.Bytes
		s.reservations--
	}
}

func (c *cross) drift() map[storage.DriftKind]int64 {
	for _, left := range c.refs {
		if left != 0 {
			c.found[storage.DriftReferences]++
		}
	}
	for _, s := range c.tenants {
		if *s != (sums{}) {
			c.found[storage.DriftLedger]++
		}
	}
	return c.found
}
