package snapshot

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

func read(t testing.TB, zone blob.Bucket, key string) []byte {
	t.Helper()
	body, _, err := zone.Open(t.Context(), key, 0, -1)
	require.NoError(t, err)
	data, err := io.ReadAll(body)
	require.NoError(t, errors.Join(err, body.Close()))
	return data
}

func write(t testing.TB, zone blob.Bucket, key string, data []byte) {
	t.Helper()
	require.NoError(t, zone.Put(t.Context(), key, bytes.NewReader(data), int64(len(data)), blob.PutOptions{}))
}

// TestDamageIsFound: flipped bits, cut and missing parts and manifests are found by verify and refused by restore, which
// leaves the target as it was.
func TestDamageIsFound(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	tenantWith(t, db, "t", 10)
	s := storeOf(t, db, zonesOf(t).Snapshots)
	m, err := s.Create(t.Context(), ReasonManual)
	require.NoError(t, err)
	before := dump(t, db, false)
	for _, key := range keysIn(t, s.Zone) {
		whole := read(t, s.Zone, key)
		for name, damaged := range map[string][]byte{
			"flipped": append(append([]byte{}, whole[:len(whole)/2]...), append([]byte{whole[len(whole)/2] ^ 0x10}, whole[len(whole)/2+1:]...)...),
			"first":   append([]byte{whole[0] ^ 1}, whole[1:]...),
			"cut":     whole[:len(whole)-1],
			"half":    whole[:len(whole)/2],
			"empty":   {},
			"longer":  append(append([]byte{}, whole...), 'x'),
			"twice":   append(append([]byte{}, whole...), whole...),
			"missing": nil,
		} {
			if damaged == nil {
				require.NoError(t, s.Zone.Delete(t.Context(), key))
			} else {
				write(t, s.Zone, key, damaged)
			}
			v, err := s.Verify(t.Context(), m.ID)
			if strings.HasSuffix(key, manifestName) {
				d, damage := errors.AsType[*Damage](err)
				require.True(t, damage || name == "missing" && errors.Is(err, ErrNotFound), "%s %s: %v %v", name, key, d, err)
			} else {
				require.NoError(t, err)
				require.Len(t, v.Damage, 1, "%s %s", name, key)
				require.Contains(t, v.Damage[0], key[len(m.ID)+1:])
			}
			for _, mode := range []Mode{Replace, Fill} {
				_, err = s.Restore(t.Context(), m.ID, Options{Mode: mode, Actor: audit.CLI})
				require.Error(t, err, "%s %s", name, key)
			}
			write(t, s.Zone, key, whole)
		}
	}
	require.Equal(t, before, dump(t, db, false))
	v, err := s.Verify(t.Context(), m.ID)
	require.NoError(t, err)
	require.True(t, v.Whole())
	list, err := s.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1, "no snapshot of its own was taken by a refused restore")
}

// TestDamageIsBounded: of a snapshot whose parts are all gone the first are listed, also when they are of one table.
func TestDamageIsBounded(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	tenantWith(t, db, "t", 3*maxDamage)
	s := storeOf(t, db, zonesOf(t).Snapshots)
	s.PartBytes = 1 // a row each
	m, err := s.Create(t.Context(), ReasonManual)
	require.NoError(t, err)
	for _, key := range keysIn(t, s.Zone) {
		if !strings.HasSuffix(key, manifestName) {
			require.NoError(t, s.Zone.Delete(t.Context(), key))
		}
	}
	v, err := s.Verify(t.Context(), m.ID)
	require.NoError(t, err)
	require.Len(t, v.Damage, maxDamage+1)
	require.Contains(t, v.Damage[maxDamage], "perhaps more")
}

// TestDamagedManifestIsListed: a folder whose manifest cannot be believed is told, and stands in nobody's way.
func TestDamagedManifestIsListed(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	s := storeOf(t, db, zonesOf(t).Snapshots)
	good, err := s.Create(t.Context(), ReasonManual)
	require.NoError(t, err)
	bad, err := s.Create(t.Context(), ReasonManual)
	require.NoError(t, err)
	write(t, s.Zone, bad.ID+"/"+manifestName, []byte("{"))
	list, err := s.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Empty(t, list[0].Problem)
	require.NotEmpty(t, list[1].Problem)
	latest, err := s.Manifest(t.Context(), Latest)
	require.NoError(t, err)
	require.Equal(t, good.ID, latest.ID)
}

// TestDriftIsTold: what was inconsistent in the database already is counted, and does not hinder a restore.
func TestDriftIsTold(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	tenantWith(t, db, "t", 10)
	tenantWith(t, db, "u", 10)
	exec(t, db, "DELETE FROM blobs WHERE tenant_id = 't' AND sha256 < '"+digestNo(3)+"'",
		"UPDATE blobs SET refs = 7 WHERE tenant_id = 'u' AND sha256 = '"+digestNo(3)+"'")
	s := storeOf(t, db, zonesOf(t).Snapshots)
	m, err := s.Create(t.Context(), ReasonManual)
	require.NoError(t, err)
	v, err := s.Verify(t.Context(), m.ID)
	require.NoError(t, err)
	require.True(t, v.Whole())
	require.Equal(t, map[storage.DriftKind]int64{
		storage.DriftAssetAlone: 3, storage.DriftVariantAlone: 3, storage.DriftReferences: 1, storage.DriftLedger: 1,
	}, v.Drift)
	_, err = s.Restore(t.Context(), m.ID, Options{Mode: Replace, Actor: audit.CLI})
	require.NoError(t, err)
	requireExact(t, db)
}

// TestLostTenant: a database that has lost rows of tenants and plans can be snapshotted and restored all the same, and
// verify says so.
func TestLostTenant(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		tenantWith(t, db, id, 2)
	}
	exec(t, db, "DELETE FROM tenants WHERE id < 'e'", "DELETE FROM plans WHERE name = 'plan-e'",
		// Nothing lost: a plan that was removed since its last tenant is over, and claims on orphans.
		"INSERT INTO tenants (id, name, plan, state, created_at, updated_at) VALUES ('f', 'f', 'removed', 'deleted', 1, 1), ('g', 'g', 'removed', 'failed', 1, 1)")
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
		_, err := tx.ClaimOrphan("never was", digestNo(0))
		return err
	}))
	s := storeOf(t, db, zonesOf(t).Snapshots)
	m, err := s.Create(t.Context(), ReasonManual)
	require.NoError(t, err)
	v, err := s.Verify(t.Context(), m.ID)
	require.NoError(t, err)
	require.True(t, v.Whole())
	require.Equal(t, []string{
		"rows of api_keys with a tenant that the snapshot does not have: 4 (a, b, c and others)",
		"rows of assets with a tenant that the snapshot does not have: 8 (a, b, c and others)",
		"rows of blobs with a tenant that the snapshot does not have: 8 (a, b, c and others)",
		"rows of tenants with a plan that the snapshot does not have: 1 (plan-e)",
		"rows of variants with a tenant that the snapshot does not have: 8 (a, b, c and others)",
	}, v.Warnings)
	want := dump(t, db, true)
	res, err := s.Restore(t.Context(), m.ID, Options{Mode: Replace, Actor: audit.CLI})
	require.NoError(t, err)
	require.Equal(t, v.Warnings, res.Warnings)
	require.Equal(t, want["assets"], dump(t, db, true)["assets"])
}

// TestPartsThatLie: parts whose checksums are right, and which have more rows than the manifest says, or rows twice.
func TestPartsThatLie(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	s := storeOf(t, db, zonesOf(t).Snapshots)
	m, err := s.Create(t.Context(), ReasonManual)
	require.NoError(t, err)
	tables, err := meta.Tables()
	require.NoError(t, err)
	line, err := tables[0].Encode(&meta.Plan{Name: "a"})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		lines, rows, seen int64
		damage            string
	}{
		"more":  {50_000, 3, 3, "it has more than 3 rows"},
		"twice": {3, 3, 3, "table plans: rows with the key of another one: 2"},
	} {
		p, err := newPartWriter(s.SpoolDir)
		require.NoError(t, err)
		for range c.lines {
			require.NoError(t, p.write(line))
		}
		part, err := p.store(t.Context(), s.Zone, m.ID+"/lie.jsonl.zst")
		require.NoError(t, err)
		part.Name, part.Rows = "lie.jsonl.zst", c.rows
		var seen int64
		err = s.readPart(t.Context(), m.ID, tables[0], part, true, func(any, int) error { seen++; return nil })
		require.Equal(t, c.seen, seen, name)
		require.Equal(t, name == "more", err != nil)
		rewrite(t, s, m, func(m *Manifest) { m.Tables[0].Rows, m.Tables[0].Parts = c.rows, []Part{part} })
		v, err := s.Verify(t.Context(), m.ID)
		require.NoError(t, err)
		require.Contains(t, strings.Join(v.Damage, "\n"), c.damage, name)
		_, err = s.Restore(t.Context(), m.ID, Options{Mode: IntoEmpty})
		require.ErrorContains(t, err, c.damage)
	}
}

// rewrite makes another snapshot of one: change gets each row as what it is in JSON and may drop columns.
func rewrite(t testing.TB, s *Store, m Manifest, change func(*Manifest)) {
	t.Helper()
	change(&m)
	file, err := seal(m)
	require.NoError(t, err)
	write(t, s.Zone, m.ID+"/"+manifestName, file)
}

// TestNewerSchema: a snapshot of a newer program is refused.
func TestNewerSchema(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			source := open(t, kinds[0].url(t), true)
			tenantWith(t, source, "t", 5)
			target := open(t, kind.url(t), false)
			s := storeOf(t, source, zonesOf(t).Snapshots)
			m, err := s.Create(t.Context(), ReasonManual)
			require.NoError(t, err)
			into := storeOf(t, target, s.Zone)
			for _, newer := range []func(*Manifest){
				func(m *Manifest) { m.Schema = "0999_from_the_future" }, func(m *Manifest) { m.Format = Format + 1 },
			} {
				rewrite(t, s, m, newer)
				_, err = into.Restore(t.Context(), m.ID, Options{Mode: IntoEmpty})
				require.ErrorIs(t, err, ErrNewer)
				require.Error(t, target.SchemaCurrent(t.Context()), "the target was not even migrated")
			}
		})
	}
}

// FuzzLines: no part, however damaged, does more than be refused.
func FuzzLines(f *testing.F) {
	tables, err := meta.Tables()
	if err != nil {
		f.Fatal(err)
	}
	p, err := newPartWriter(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	line, err := tables[0].Encode(&meta.Plan{Name: "a\xff"})
	if err != nil {
		f.Fatal(err)
	}
	if err := errors.Join(p.write(line), p.pack.Close()); err != nil {
		f.Fatal(err)
	}
	whole := make([]byte, 4096)
	n, err := p.file.ReadAt(whole, 0)
	if !errors.Is(err, io.EOF) {
		f.Fatal(err)
	}
	f.Add(whole[:n])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, part []byte) {
		_, err := readLines(bytes.NewReader(part), tables[0], 1000, true, func(row any, _ int) error {
			require.IsType(t, &meta.Plan{}, row)
			return nil
		})
		if _, damage := errors.AsType[*Damage](err); err != nil && !damage {
			t.Fatal(err)
		}
	})
}
