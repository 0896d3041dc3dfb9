package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// log is an audit log with its sealer, whose clock the test sets.
type log struct {
	*audit.Sealer
	t   *testing.T
	at  time.Time
	dir string
}

func testKey(t testing.TB) *audit.Key {
	key, err := audit.ParseKey(strings.Repeat("5a", 32))
	require.NoError(t, err)
	return key
}

func newLog(t *testing.T, db *meta.DB) *log {
	l := &log{t: t, at: time.Now(), dir: filepath.Join(t.TempDir(), "store")}
	zones, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: l.dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	l.Sealer = &audit.Sealer{DB: db, Zone: zones.Audit, Key: testKey(t), SpoolDir: t.TempDir(), Now: func() time.Time { return l.at }}
	return l
}

func (l *log) write(n int) {
	l.t.Helper()
	for i := range n {
		require.NoError(l.t, l.DB.InTx(l.t.Context(), func(tx *meta.Tx) error {
			return audit.Write(tx, audit.Entry{
				Actor:    audit.Actor{Kind: audit.KindOperator, ID: "o", Role: "ops", RequestID: "r", Address: "::1", UserAgent: "u"},
				TenantID: "t", Action: "a.b", Target: fmt.Sprint("x", i), Result: audit.Refused, Code: "C", Data: map[string]any{"i": i, "text": "<&> \u2028 é"},
			})
		}))
	}
}

// seal seals, a while later, with a checkpoint.
func (l *log) seal() {
	l.t.Helper()
	l.at = l.at.Add(2 * time.Minute)
	_, err := l.Seal(l.t.Context())
	require.NoError(l.t, err)
}

func (l *log) verifier() audit.Verifier {
	return audit.Verifier{DB: l.DB, Zone: l.Zone, Public: l.Key.Public(), Key: l.Key}
}

func (l *log) verify() audit.Verdict {
	l.t.Helper()
	v, err := l.verifier().Verify(l.t.Context())
	require.NoError(l.t, err)
	return v
}

func (l *log) whole() audit.Verdict {
	l.t.Helper()
	v := l.verify()
	require.True(l.t, v.Whole, "%v", v)
	return v
}

// exec is what somebody does who owns the database.
func (l *log) exec(statements ...string) {
	l.t.Helper()
	require.NoError(l.t, l.DB.InTx(l.t.Context(), func(tx *meta.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	}))
}

// dropTriggers drops every trigger of the audit tables.
func (l *log) dropTriggers() {
	l.t.Helper()
	for _, table := range []string{"audit_log", "audit_seals", "audit_checkpoints", "audit_archives", "audit_chains"} {
		switch l.DB.Dialect() {
		case meta.Postgres:
			l.exec("ALTER TABLE " + table + " DISABLE TRIGGER USER")
		case meta.SQLite:
			l.exec("DROP TRIGGER "+table+"_no_update", "DROP TRIGGER "+table+"_no_delete", "DROP TRIGGER "+table+"_no_replace")
		case meta.MySQL:
			l.exec("DROP TRIGGER "+table+"_no_update", "DROP TRIGGER "+table+"_no_delete")
		}
	}
}

// id is the record at a place.
func (l *log) id(seq int64) (id int64) {
	l.t.Helper()
	s, err := l.DB.AuditSealAt(l.t.Context(), seq)
	require.NoError(l.t, err)
	return s.RecordID
}

func (l *log) bad(kind string, seq, id int64) {
	l.t.Helper()
	v := l.verify()
	require.NotNil(l.t, v.Problem, "%v", v)
	require.Equal(l.t, fmt.Sprintf("%s %d %d", kind, seq, id), fmt.Sprintf("%s %d %d", v.Problem.Kind, v.Problem.Seq, v.Problem.RecordID), v.Problem.Sentence)
	require.False(l.t, v.Whole)
}

// settled is a log of 60 records under three checkpoints whose watermark covers all of them.
func settled(t *testing.T, db *meta.DB) *log {
	l := newLog(t, db)
	for i := range 3 {
		l.write(20)
		if i == 0 { // from here on numbers are beyond 1000: those in between are free
			l.exec(insertRecord(1000))
			if db.Dialect() == meta.Postgres {
				l.exec("SELECT setval(pg_get_serial_sequence('audit_log', 'id'), 1000)")
			}
		}
		l.seal()
	}
	for range 4 { // until what was seen first was seen long ago
		l.seal()
	}
	l.seal()
	require.EqualValues(t, 61, l.whole().Records)
	return l
}

func TestTriggersRefuse(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		l := newLog(t, db)
		l.write(5)
		l.seal()
		l.exec(`INSERT INTO audit_archives (first_seq, last_seq, object, bytes, sha256, hash, at) VALUES (100, 200, 'x', 1, 'x', 'x', 1)`)
		for _, table := range []string{"audit_log", "audit_seals", "audit_checkpoints", "audit_archives", "audit_chains"} {
			column := map[string]string{"audit_log": "action", "audit_archives": "object", "audit_chains": "reason"}[table]
			if column == "" {
				column = "hash"
			}
			attacks := []string{"DELETE FROM " + table, "UPDATE " + table + " SET " + column + " = 'x'"}
			if db.Dialect() != meta.Postgres {
				attacks = append(attacks, "REPLACE INTO "+table+" SELECT * FROM "+table)
			} else {
				attacks = append(attacks, "TRUNCATE "+table)
			}
			for _, attack := range attacks {
				_, err := db.Exec(t.Context(), attack)
				require.ErrorContains(t, err, "append-only", attack)
			}
		}
		require.NoError(t, db.RollbackLast(t.Context()))
		_, err := db.Exec(t.Context(), "DELETE FROM audit_log")
		require.ErrorContains(t, err, "append-only")
		require.NoError(t, db.Migrate(t.Context()))
	})
}

func TestTamperingIsFoundAndNamed(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		l := settled(t, db)
		l.dropTriggers()
		id := l.id(30)
		t.Run("changed", func(t *testing.T) {
			for column, other := range map[string]string{
				"at": "at + 1", "actor_kind": "'x'", "actor_id": "'x'", "actor_role": "'x'", "tenant_id": "'x'", "action": "'x'", "target": "'x'",
				"result": "'x'", "code": "'x'", "request_id": "'x'", "address": "'x'", "user_agent": "'x'", "data": "'{}'",
			} {
				l.undoing(fmt.Sprintf("UPDATE audit_log SET %s = %s WHERE id = %d", column, other, id), func() { l.bad(audit.Changed, 30, id) })
			}
		})
		seal := func(seq int64, what string) string {
			return fmt.Sprintf("UPDATE audit_seals SET %s WHERE seq = %d", what, seq)
		}
		for name, c := range map[string]struct {
			kind       string
			seq, id    int64
			statements []string
		}{
			"seal changed":         {audit.Changed, 30, id, []string{seal(30, "sealed_at = sealed_at + 1")}},
			"record removed":       {audit.Removed, 30, id, []string{fmt.Sprintf("DELETE FROM audit_log WHERE id = %d", id)}},
			"record, seal removed": {audit.Removed, 30, 0, []string{fmt.Sprintf("DELETE FROM audit_log WHERE id = %d", id), "DELETE FROM audit_seals WHERE seq = 30"}},
			"removed, moved up": {audit.Removed, 30, 0, append([]string{fmt.Sprintf("DELETE FROM audit_log WHERE id = %d", id), "DELETE FROM audit_seals WHERE seq = 30"},
				shift(31, 61, -1)...)},
			"contents exchanged": {audit.Reordered, 30, id, []string{
				fmt.Sprintf("UPDATE audit_log SET id = 1000000 WHERE id = %d", id), fmt.Sprintf("UPDATE audit_log SET id = %d WHERE id = %d", id, l.id(40)),
				fmt.Sprintf("UPDATE audit_log SET id = %d WHERE id = 1000000", l.id(40))}},
			"seals exchanged":      {audit.Reordered, 30, id, []string{seal(30, "seq = 1000000"), seal(40, "seq = 30"), seal(1000000, "seq = 40")}},
			"neighbours exchanged": {audit.Reordered, 30, id, []string{seal(30, "seq = 1000000"), seal(31, "seq = 30"), seal(1000000, "seq = 31")}},
			"names exchanged": {audit.Reordered, 30, id, []string{seal(30, "record_id = 1000000"), seal(40, fmt.Sprintf("record_id = %d", id)),
				seal(30, fmt.Sprintf("record_id = %d", l.id(40)))}},
			"tail": {audit.CutOff, 41, 0, []string{fmt.Sprintf("DELETE FROM audit_log WHERE id > %d", l.id(40)), "DELETE FROM audit_seals WHERE seq > 40"}},
			"tail with all that the database knows of it": {audit.CutOff, 41, 0, []string{fmt.Sprintf("DELETE FROM audit_log WHERE id > %d", l.id(40)),
				"DELETE FROM audit_seals WHERE seq > 40", "DELETE FROM audit_checkpoints WHERE seq > 40",
				"UPDATE audit_state SET seq = 40, hash = (SELECT hash FROM audit_seals WHERE seq = 40)"}},
			"everything":           {audit.CutOff, 1, 0, []string{"DELETE FROM audit_log", "DELETE FROM audit_seals", "DELETE FROM audit_checkpoints", "DELETE FROM audit_chains", "DELETE FROM audit_state"}},
			"forged checkpoint":    {audit.ForgedCheckpoint, 41, 0, []string{"UPDATE audit_checkpoints SET signature = 'AAAA' WHERE seq = 41"}},
			"inserted in front":    {audit.Inserted, 0, -5, []string{insertRecord(-5)}},
			"inserted into a gap":  {audit.Inserted, 0, 500, []string{insertRecord(500)}},
			"head removed":         {audit.Removed, 61, 0, []string{"DELETE FROM audit_state"}},
			"inserted, moved down": {audit.Inserted, 30, 500, append(append([]string{insertRecord(500)}, back(61, 30)...), forged(30, 500, "x"))},
		} {
			t.Run(name, func(t *testing.T) { l.undoing("", func() { l.bad(c.kind, c.seq, c.id) }, c.statements...) })
		}
		l.whole()
	})
}

// shift moves seals by one, in an order in which none gets in another's way.
func shift(from, to, by int64) (out []string) {
	for seq := from; seq <= to; seq++ {
		out = append(out, fmt.Sprintf("UPDATE audit_seals SET seq = %d WHERE seq = %d", seq+by, seq))
	}
	return out
}

// back is shift by one to the end.
func back(from, to int64) (out []string) {
	for seq := from; seq >= to; seq-- {
		out = append(out, fmt.Sprintf("UPDATE audit_seals SET seq = %d WHERE seq = %d", seq+1, seq))
	}
	return out
}

func forged(seq, id int64, hash string) string {
	return fmt.Sprintf("INSERT INTO audit_seals (seq, record_id, hash, mac, sealed_at) VALUES (%d, %d, '%s', 'x', 1)", seq, id, hash)
}

func insertRecord(id int64) string {
	return fmt.Sprintf(`INSERT INTO audit_log (id, at, actor_kind, actor_id, actor_role, tenant_id, action, target, result, code, request_id, address, user_agent, data)
		VALUES (%d, 1, 'cli', '', '', '', 'a', 'b', 'ok', '', '', '', '', '{}')`, id)
}

// undoing changes the database, looks, and changes it back.
func (l *log) undoing(one string, look func(), more ...string) {
	l.t.Helper()
	backup := map[string][][]byte{}
	tables, err := meta.Tables()
	require.NoError(l.t, err)
	var ours []meta.Table
	for _, table := range tables {
		if strings.HasPrefix(table.Name, "audit_") {
			ours = append(ours, table)
		}
	}
	require.NoError(l.t, l.DB.ReadAll(l.t.Context(), func(r *meta.Reader) error {
		for _, table := range ours {
			err := r.Each(table, func(row any) error {
				raw, err := table.Encode(row)
				backup[table.Name] = append(backup[table.Name], bytes.Clone(raw))
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	}))
	if one != "" {
		more = append(more, one)
	}
	l.exec(more...)
	look()
	require.NoError(l.t, l.DB.InTx(context.Background(), func(tx *meta.Tx) error {
		for _, table := range ours {
			if _, err := tx.Exec("DELETE FROM " + table.Name); err != nil {
				return err
			}
			var rows []any
			for _, raw := range backup[table.Name] {
				row, err := table.Decode(raw, true)
				if err != nil {
					return err
				}
				rows = append(rows, row)
			}
			if len(rows) > 0 {
				if err := tx.InsertRows(table, rows); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

// forge makes the chain anew from a place on, as anybody can who has no key.
func (l *log) forge(from int64) {
	l.t.Helper()
	before, err := l.DB.AuditSealAt(l.t.Context(), from-1)
	require.NoError(l.t, err)
	prev := before.Hash
	links, err := l.DB.AuditLinks(l.t.Context(), from-1, 1000)
	require.NoError(l.t, err)
	for _, k := range links {
		prev = audit.SealHash(prev, k.Seal.Seq, k.Seal.SealedAt, k.Record)
		l.exec(fmt.Sprintf("UPDATE audit_seals SET hash = '%s' WHERE seq = %d", prev, k.Seal.Seq))
	}
	l.exec(fmt.Sprintf("UPDATE audit_state SET seq = (SELECT MAX(seq) FROM audit_seals), hash = '%s'", prev))
}

func TestForgedSeals(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		l := settled(t, db)
		l.dropTriggers()
		id := l.id(30)
		l.undoing(fmt.Sprintf("UPDATE audit_log SET target = 'other' WHERE id = %d", id), func() {
			l.forge(30)
			l.bad(audit.Changed, 30, id)
			// Without the key a chain that was made anew is seen at the next checkpoint.
			v, err := audit.Verifier{DB: db, Zone: l.Zone, Public: l.Key.Public()}.Verify(t.Context())
			require.NoError(t, err)
			require.Equal(t, audit.Changed, v.Problem.Kind)
			require.EqualValues(t, 41, v.Problem.Seq)
			require.Contains(t, v.Problem.Sentence, "behind place 21")
		})
		l.undoing("", func() { // put to the end, and the sealer goes on behind it
			l.forge(62)
			l.bad(audit.Inserted, 62, 2000)
			l.write(1)
			l.refuses("place 62, record 2000")
			l.bad(audit.Inserted, 62, 2000)
		}, insertRecord(2000), forged(62, 2000, "x"))
	})
}

// TestInsertedRecordIsNotSealedSilently: whoever puts the watermark back has the record sealed, but a checkpoint has signed
// the watermark.
func TestInsertedRecordIsNotSealedSilently(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		l := settled(t, db)
		l.write(1)
		l.seal()
		l.exec(insertRecord(500))
		l.seal()
		l.bad(audit.Inserted, 0, 500)
		l.exec("UPDATE audit_state SET watermark = 0")
		l.seal()
		l.bad(audit.Inserted, 63, 500)
	})
}

// Objects that nobody knows must not keep a verification from ending, nor hide what lies behind them.
func TestAlienObjectsAmongCheckpoints(t *testing.T) {
	l := newLog(t, metatest.SQLite(t))
	l.write(3)
	l.seal()
	chain := l.whole().ChainID
	put := func(key string) {
		require.NoError(t, l.Zone.Put(t.Context(), key, strings.NewReader("x"), 1, blob.PutOptions{}))
	}
	for _, key := range []string{chain + "/zzz", chain + "/0", "alien", "other/zzz"} {
		put("checkpoints/" + key)
	}
	v := l.whole()
	require.Len(t, v.Notes, 1)
	require.Contains(t, v.Notes[0], "4 objects")
	put("checkpoints/01234567") // sorts right in front of the folder of a chain that the database does not know
	put("checkpoints/01234567-89ab/" + fmt.Sprintf("%020d-%064d.json", 1, 0))
	l.bad(audit.ForgedCheckpoint, 1, 0)
}

// refuses is seal where the log is not what the key has sealed: nothing is signed, and it is told.
func (l *log) refuses(why string) {
	l.t.Helper()
	l.at = l.at.Add(2 * time.Minute)
	was, err := l.Latest(l.t.Context())
	require.NoError(l.t, err)
	alarms := l.Alarms()
	_, err = l.Seal(l.t.Context())
	require.ErrorContains(l.t, err, why)
	require.Greater(l.t, l.Alarms(), alarms)
	now, err := l.Latest(l.t.Context())
	require.NoError(l.t, err)
	require.Equal(l.t, was, now)
}

// Rows that the key has not signed keep nobody from signing, wherever they say that they are.
func TestSealerBelievesItsOwnCheckpointsOnly(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		l := newLog(t, db)
		l.write(3)
		l.seal()
		l.exec(fmt.Sprintf("INSERT INTO audit_checkpoints (seq, chain_id, hash, watermark, at, signature) VALUES (1000000, 'x', 'x', 0, %d, 'x')", meta.StampOf(l.at.Add(time.Hour))))
		l.write(3)
		l.seal()
		require.Positive(t, l.Alarms())
		rows, err := audit.CheckpointsOf(t.Context(), db, 1000000, 10)
		require.NoError(t, err)
		require.EqualValues(t, 6, rows[0].Seq)
		l.Sealer = &audit.Sealer{DB: db, Zone: l.Zone, Key: l.Key, Now: l.Now} // of which nobody has told it
		l.write(1)
		_, err = l.Seal(t.Context())
		require.NoError(t, err)
		rows, err = audit.CheckpointsOf(t.Context(), db, 1000000, 10)
		require.NoError(t, err)
		require.EqualValues(t, 6, rows[0].Seq, "a minute has not passed since its own last one")
		l.bad(audit.CutOff, 8, 0)
	})
}

// What was rewritten since the last checkpoint is not signed, and verify names it.
func TestSealerSignsNoForgedSeals(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		l := newLog(t, db)
		l.write(3)
		l.seal()
		l.write(5)
		_, err := l.Seal(t.Context()) // no checkpoint yet
		require.NoError(t, err)
		l.dropTriggers()
		id := l.id(5)
		l.undoing(fmt.Sprintf("UPDATE audit_log SET target = 'other' WHERE id = %d", id), func() {
			l.refuses(fmt.Sprintf("place 5, record %d", id)) // without seals made anew
			l.forge(5)
			l.refuses(fmt.Sprintf("place 5, record %d", id))
			l.write(1)
			l.refuses(fmt.Sprintf("place 5, record %d", id))
			l.bad(audit.Changed, 5, id)
		})
		l.undoing("UPDATE audit_state SET hash = 'x'", func() {
			l.write(1)
			l.refuses("the head of the chain")
		})
		l.seal()
		l.whole()
	})
}

// A log without its checkpoints, on one side or on both, is told.
func TestCheckpointsAreMissed(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		l := newLog(t, db)
		l.at = l.at.Add(-time.Hour)
		for range 3 {
			l.write(2)
			l.seal()
		}
		require.Empty(t, l.whole().Notes)
		l.dropTriggers()
		l.undoing("DELETE FROM audit_checkpoints WHERE seq < 6", func() {
			require.Equal(t, []string{"2 checkpoints are in the store, and not in the database, the first at place 2."}, l.whole().Notes)
		})
		var keys []string
		for o, err := range l.Zone.List(t.Context(), "checkpoints/", "") {
			require.NoError(t, err)
			keys = append(keys, o.Key)
		}
		require.Len(t, keys, 3)
		for _, key := range keys {
			require.NoError(t, l.Zone.Delete(t.Context(), key))
		}
		require.Equal(t, []string{"3 checkpoints are in the database, and not in the store, the first at place 2."}, l.whole().Notes)
		l.undoing("DELETE FROM audit_checkpoints WHERE seq > 2", func() { l.bad(audit.Unsigned, 3, 0) })
		l.undoing("DELETE FROM audit_checkpoints", func() { l.bad(audit.Unsigned, 1, 0) })
	})
}
