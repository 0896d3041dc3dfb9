package snapshot

import (
	"context"
	"errors"
	"fmt"

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
	// Warnings are of the same kind and weigh more: rows whose tenant or plan the database had lost. They are restored as
	// they are, and nobody can reach them until the lost row is back.
	Warnings []string `json:"warnings"`
}

// Whole reports whether the snapshot can be restored.
func (v Verified) Whole() bool { return len(v.Damage) == 0 }

// maxDamage bounds the list of a snapshot of which everything is gone.
const maxDamage = 100

// Verify reads a whole snapshot: every checksum, every count, every row, whether a
// key is there twice, and whether rows speak of rows that are there.
// A manifest that cannot be believed is an error, a *Damage; so is a snapshot of a newer program (ErrNewer).
func (s *Store) Verify(ctx context.Context, id string) (Verified, error) {
	m, err := s.Manifest(ctx, id)
	if err != nil {
		return Verified{}, err
	}
	v := Verified{Manifest: m, Damage: []string{}, Drift: map[storage.DriftKind]int64{}, Warnings: []string{}}
	tables, err := m.readable()
	if err != nil {
		return v, err
	}
	c := newCross()
	for _, t := range m.Tables {
		if err := s.verifyTable(ctx, &v, t, tables[t.Name], c); err != nil {
			return v, err
		}
		if len(v.Damage) >= maxDamage {
			v.Damage = append(v.Damage, "and perhaps more: nothing behind that was looked at")
			break
		}
	}
	if v.Whole() { // with parts missing the references say nothing
		v.Drift, v.Warnings = c.drift(), c.warnings()
	}
	return v, nil
}

// verifyTable reads the parts of one table, until the list of damage is full.
func (s *Store) verifyTable(ctx context.Context, v *Verified, t Table, table meta.Table, c *cross) error {
	var rows, maxSerial int64
	seen := keys{seed: c.seed, table: table}
	for _, p := range t.Parts {
		rows += p.Rows
		err := s.readPart(ctx, v.ID, table, p, v.current(), func(row any, _ int) error {
			seen.add(row)
			c.see(t.Name, row)
			if n, ok := table.Serial(row); ok {
				maxSerial = max(maxSerial, n)
			}
			return nil
		})
		if d, ok := errors.AsType[*Damage](err); ok {
			v.Damage = append(v.Damage, fmt.Sprintf("%s: %s", d.Part, d.Problem))
			err = nil
		}
		if err != nil || len(v.Damage) >= maxDamage {
			return err
		}
	}
	if rows != t.Rows {
		v.Damage = append(v.Damage, fmt.Sprintf("table %s: its parts have %d rows instead of %d", t.Name, rows, t.Rows))
	}
	if v.Whole() && maxSerial != t.MaxSerial { // with rows missing it says nothing
		v.Damage = append(v.Damage, fmt.Sprintf("table %s: the largest number of its rows is %d instead of %d", t.Name, maxSerial, t.MaxSerial))
	}
	if n := seen.twice(); n > 0 {
		v.Damage = append(v.Damage, fmt.Sprintf("table %s: rows with the key of another one: %d", t.Name, n))
	}
	return nil
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
