package snapshot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// exportAsIs writes the snapshot that a program of the database's own, older schema would have taken: its tables, with
// the columns that they had.
func exportAsIs(t testing.TB, s *Store) Manifest {
	t.Helper()
	m := Manifest{Format: Format, ID: newID(meta.Now().Time()), Dialect: s.DB.Dialect(), CreatedAt: meta.Now().Time(), Reason: ReasonManual}
	tables, err := meta.Tables()
	require.NoError(t, err)
	require.NoError(t, s.DB.InTx(t.Context(), func(tx *meta.Tx) error {
		if _, err := tx.Scan(&m.Schema, "SELECT MAX(id) FROM migrations"); err != nil {
			return err
		}
		for _, table := range tables {
			there := 0
			if _, err := tx.Scan(&there, "SELECT COUNT(*) FROM sqlite_master WHERE name = ?", table.Name); err != nil {
				return err
			}
			if there == 0 {
				continue
			}
			var rows []map[string]any
			if _, err := tx.Scan(&rows, "SELECT * FROM "+table.Name); err != nil {
				return err
			}
			out := Table{Name: table.Name, Rows: int64(len(rows))}
			p, err := newPartWriter(s.SpoolDir)
			require.NoError(t, err)
			for _, row := range rows {
				if n, ok := row["id"].(int64); ok && table.Name != "audit_state" { // whose one row the database does not number
					out.MaxSerial = max(out.MaxSerial, n)
				}
				if n, ok := row["sweeping"].(int64); ok {
					row["sweeping"] = n != 0
				}
				line, err := json.Marshal(row)
				require.NoError(t, err)
				require.NoError(t, p.write(append(line, '\n')))
			}
			part, err := p.store(t.Context(), s.Zone, m.ID+"/"+table.Name)
			require.NoError(t, err)
			part.Name = table.Name
			out.Parts = []Part{part}
			m.Tables = append(m.Tables, out)
		}
		return nil
	}))
	file, err := seal(m)
	require.NoError(t, err)
	require.NoError(t, s.Zone.Put(t.Context(), m.ID+"/"+manifestName, bytes.NewReader(file), int64(len(file)), blob.PutOptions{}))
	return m
}

var updated = regexp.MustCompile(`"updated_at":\d+`)

// untouched hides when a tenant was changed last: a sum that an older schema did not have is computed now.
func untouched(rows map[string][]string) map[string][]string {
	for i, line := range rows["tenants"] {
		rows["tenants"][i] = updated.ReplaceAllString(line, "")
	}
	return rows
}

// forgetArchives removes the archives of the audit log, past their triggers: with one there is no way back to an older schema.
func forgetArchives(t *testing.T, db *meta.DB) {
	t.Helper()
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
		var triggers []struct{ Name, SQL string }
		if _, err := tx.Scan(&triggers, "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_archives'"); err != nil {
			return err
		}
		var all []string
		for _, x := range triggers {
			all = append(all, "DROP TRIGGER "+x.Name)
		}
		all = append(all, "DELETE FROM audit_archives")
		for _, x := range triggers {
			all = append(all, x.SQL)
		}
		for _, statement := range all {
			if _, err := tx.Exec(statement); err != nil {
				return err
			}
		}
		return nil
	}))
}

// TestOlderSchemas: a snapshot of an older schema (every second one, for time) is restored into each kind of database as what the migrations make
// of the database that it was taken from.
func TestOlderSchemas(t *testing.T) {
	source := open(t, kinds[0].url(t), true)
	fillOdd(t, source)
	forgetArchives(t, source)
	s := storeOf(t, source, zonesOf(t).Snapshots)
	newest, err := source.Applied(t.Context())
	require.NoError(t, err)
	for version := newest - 1; version >= 1; version -= 2 {
		for range newest - version { // the source is at the newest schema: back to this one
			require.NoError(t, source.RollbackLast(t.Context()))
		}
		m := exportAsIs(t, s)
		require.False(t, m.current())
		require.NoError(t, source.Migrate(t.Context()))
		want := dump(t, source, true)
		for _, kind := range kinds {
			t.Run(fmt.Sprint(m.Schema, " to ", kind.name), func(t *testing.T) {
				target := open(t, kind.url(t), false)
				res, err := storeOf(t, target, s.Zone).Restore(t.Context(), m.ID, Options{Mode: IntoEmpty, Actor: audit.CLI})
				require.NoError(t, err)
				require.Len(t, res.Tables, len(m.Tables))
				require.Equal(t, untouched(want), untouched(without(dump(t, target, false))))
				requireExact(t, target)
			})
		}
	}
}
