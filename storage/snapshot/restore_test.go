package snapshot

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// TestEveryPair: a snapshot of each kind of database restores into each kind, exactly.
func TestEveryPair(t *testing.T) {
	for _, from := range kinds {
		t.Run("from "+from.name, func(t *testing.T) {
			zone := zonesOf(t).Snapshots
			source := open(t, from.url(t), true)
			fillOdd(t, source)
			m, err := storeOf(t, source, zone).Create(t.Context(), ReasonManual)
			require.NoError(t, err)
			want := dump(t, source, true)
			for _, to := range kinds {
				t.Run("to "+to.name, func(t *testing.T) {
					target := open(t, to.url(t), false)
					s := storeOf(t, target, zone)
					res, err := s.Restore(t.Context(), Latest, Options{Mode: IntoEmpty, Actor: audit.CLI})
					require.NoError(t, err)
					require.Equal(t, m.ID, res.ID)
					require.Empty(t, res.Before)
					require.Zero(t, res.Repaired)
					require.Equal(t, want, without(dump(t, target, false)))
					requireExact(t, target)
					requireNumbersGoOn(t, target)
					requireAppendOnly(t, target)
				})
			}
		})
	}
}

// requireNumbersGoOn: the next rows get numbers after those that were restored.
func requireNumbersGoOn(t *testing.T, db *meta.DB) {
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
		event := &meta.Event{TenantID: "t", AssetID: "a", Data: "{}"}
		require.NoError(t, tx.Create(event))
		require.EqualValues(t, 1000+oddTenants*oddRows, event.ID)
		var record int64
		_, err := tx.Scan(&record, "SELECT MAX(id) FROM audit_log WHERE action = 'snapshot.restore'")
		require.GreaterOrEqual(t, record, int64(2000+oddTenants*oddRows))
		return err
	}))
}

// requireAppendOnly: the log's triggers are in force after a restore.
func requireAppendOnly(t *testing.T, db *meta.DB) {
	for _, statement := range []string{"UPDATE audit_log SET code = 'x'", "DELETE FROM audit_log"} {
		_, err := db.Exec(t.Context(), statement)
		require.ErrorContains(t, err, "append-only")
	}
}

// TestReplace: what came after the snapshot goes, but is in the snapshot taken first, and the audit log keeps it.
func TestReplace(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			db := open(t, kind.url(t), true)
			s := storeOf(t, db, zonesOf(t).Snapshots)
			fillOdd(t, db)
			m, err := s.Create(t.Context(), ReasonManual)
			require.NoError(t, err)
			want := dump(t, db, true)
			late := &meta.AuditRecord{Action: "late", Data: "{}"}
			require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
				for _, row := range []any{late, &meta.Asset{ID: "late", TenantID: "tenant-0", SHA256: digestNo(0)}} {
					if err := tx.Create(row); err != nil {
						return err
					}
				}
				_, err := tx.Exec("DELETE FROM assets WHERE tenant_id = 'tenant-1'")
				return err
			}))
			before := dump(t, db, true)
			_, err = s.Restore(t.Context(), m.ID, Options{Mode: IntoEmpty, Actor: audit.CLI})
			require.ErrorContains(t, err, "--replace")
			require.Equal(t, before, dump(t, db, true), "refused: nothing has changed")

			res, err := s.Restore(t.Context(), m.ID, Options{Mode: Replace, Actor: audit.CLI})
			require.NoError(t, err)
			got := dump(t, db, true)
			require.Contains(t, lines(got["audit_log"]), `"action":"late"`)
			require.Contains(t, lines(got["audit_log"]), `"action":"snapshot.restore"`)
			got, audits := without(got), len(want["audit_log"])
			require.Len(t, got["audit_log"], audits+1, "only appended to")
			delete(got, "audit_log")
			same := map[string][]string{}
			for table := range got {
				same[table] = want[table]
			}
			require.Equal(t, same, got)
			requireExact(t, db)

			// The way back.
			require.NotEmpty(t, res.Before)
			res, err = s.Restore(t.Context(), res.Before, Options{Mode: Replace, Actor: audit.CLI})
			require.NoError(t, err)
			got = without(dump(t, db, true))
			require.Equal(t, before["assets"], got["assets"])
			require.Equal(t, before["audit_log"], got["audit_log"], "no record twice")
			require.Zero(t, res.Tables[10].Added)
			require.Equal(t, "audit_log", res.Tables[10].Name)
			requireAppendOnly(t, db)
		})
	}
}

// TestLatestTwice: who restores the latest snapshot twice gets the same state twice, and not the one that he wanted to leave.
func TestLatestTwice(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	s := storeOf(t, db, zonesOf(t).Snapshots)
	tenantWith(t, db, "t", 10)
	m, err := s.Create(t.Context(), ReasonDaily)
	require.NoError(t, err)
	exec(t, db, "DELETE FROM assets")
	for _, mode := range []Mode{Replace, Replace, Fill} {
		res, err := s.Restore(t.Context(), Latest, Options{Mode: mode, Actor: audit.CLI})
		require.NoError(t, err)
		require.Equal(t, m.ID, res.ID)
		require.NotEmpty(t, res.Before)
		require.Len(t, dump(t, db, true)["assets"], 10)
	}
	// With none but those, latest is nothing; by its id every one can be restored.
	require.NoError(t, s.drop(t.Context(), m.ID))
	_, err = s.Restore(t.Context(), Latest, Options{Mode: Replace, Actor: audit.CLI})
	require.ErrorIs(t, err, ErrNotFound)
	require.ErrorContains(t, err, "by its id")
	list, err := s.List(t.Context())
	require.NoError(t, err)
	_, err = s.Restore(t.Context(), list[0].ID, Options{Mode: Replace, Actor: audit.CLI})
	require.NoError(t, err)
	require.Empty(t, dump(t, db, true)["assets"])
}

func lines(list []string) (out string) {
	for _, l := range list {
		out += l
	}
	return out
}

// TestForeignAuditLog: records of another database's log get numbers of their own, once.
func TestForeignAuditLog(t *testing.T) {
	zone := zonesOf(t).Snapshots
	source, target := open(t, kinds[0].url(t), true), open(t, kinds[0].url(t), true)
	fillOdd(t, source)
	m, err := storeOf(t, source, zone).Create(t.Context(), ReasonManual)
	require.NoError(t, err)
	require.NoError(t, target.InTx(t.Context(), func(tx *meta.Tx) error {
		return tx.Create(&meta.AuditRecord{ID: 2005, Action: "own", Data: "{}"})
	}))
	s := storeOf(t, target, zone)
	for range 2 {
		_, err := s.Restore(t.Context(), m.ID, Options{Mode: Replace, Actor: audit.CLI})
		require.NoError(t, err)
		require.Len(t, without(dump(t, target, false))["audit_log"], oddTenants*oddRows+1)
	}
}

// TestWhileRunning: a restore under programs that work is refused, or asked for.
func TestWhileRunning(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	s := storeOf(t, db, zonesOf(t).Snapshots)
	m, err := s.Create(t.Context(), ReasonManual)
	require.NoError(t, err)
	stop, err := db.KeepAlive(t.Context(), "gateway", slog.New(slog.NewTextHandler(io.Discard, nil)))
	require.NoError(t, err)
	_, err = s.Restore(t.Context(), m.ID, Options{Mode: IntoEmpty})
	require.ErrorContains(t, err, "gateway.")
	_, err = s.Restore(t.Context(), m.ID, Options{Mode: IntoEmpty, WhileRunning: true})
	require.NoError(t, err)
	alive, err := db.Alive(t.Context())
	require.NoError(t, err)
	require.Len(t, alive, 1, "its sign of life stays")
	stop()
	_, err = s.Restore(t.Context(), m.ID, Options{Mode: IntoEmpty})
	require.NoError(t, err)
}

// TestRefusedLeavesTheSchema: a restore that is refused has not brought the database up to date either.
func TestRefusedLeavesTheSchema(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		s := storeOf(t, db, zonesOf(t).Snapshots)
		tenantWith(t, db, "t", 3)
		m, err := s.Create(t.Context(), ReasonManual)
		require.NoError(t, err)
		require.NoError(t, db.RollbackLast(t.Context()))
		before, err := db.Applied(t.Context())
		require.NoError(t, err)
		_, err = s.Restore(t.Context(), m.ID, Options{Mode: IntoEmpty, Actor: audit.CLI})
		require.ErrorContains(t, err, "not empty")
		after, err := db.Applied(t.Context())
		require.NoError(t, err)
		require.Equal(t, before, after)
		res, err := s.Restore(t.Context(), m.ID, Options{Mode: Fill, Actor: audit.CLI})
		require.NoError(t, err)
		require.NoError(t, db.SchemaCurrent(t.Context()))
		// The log tells of a snapshot that was taken, and of none where none was.
		require.Equal(t, 1, strings.Count(lines(dump(t, db, false)["audit_log"]), `"action":"snapshot.create","target":"`+res.Before))
		empty := open(t, kinds[0].url(t), false)
		_, err = storeOf(t, empty, s.Zone).Restore(t.Context(), m.ID, Options{Mode: IntoEmpty, Actor: audit.CLI})
		require.NoError(t, err)
		log := lines(dump(t, empty, false)["audit_log"])
		require.NotContains(t, log, "snapshot.create")
		require.Contains(t, log, "snapshot.restore")
		last, err := LastTaken(t.Context(), empty)
		require.NoError(t, err)
		require.Equal(t, m.ID, last.ID)
	})
}

// TestStartedMeanwhile: a program whose first sign of life comes after the look for them is found all the same.
func TestStartedMeanwhile(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		s := storeOf(t, one, zonesOf(t).Snapshots)
		tenantWith(t, one, "t", 3)
		m, err := s.Create(t.Context(), ReasonManual)
		require.NoError(t, err)
		restored := make(chan error, 1)
		require.NoError(t, two.InTx(t.Context(), func(tx *meta.Tx) error {
			if _, err := tx.Exec("INSERT INTO facts (name, value, updated_at) VALUES ('alive.gateway.x/1', '', ?)", meta.Now()); err != nil {
				return err
			}
			go func() {
				_, err := s.Restore(context.Background(), m.ID, Options{Mode: Replace, Actor: audit.CLI})
				restored <- err
			}()
			for range 500 { // time for the restore to look, and to wait for this transaction
				n := 0
				if _, err := tx.Scan(&n, "SELECT COUNT(*) FROM facts"); err != nil {
					return err
				}
			}
			return nil
		}))
		require.ErrorContains(t, <-restored, "gateway.x/1")
		list, err := s.List(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 1, "refused before a snapshot was taken")
	})
}

// TestPendingDelete: a tenant whose deletion may have been taken back since cools off anew, and is named; Fill names none
// that was there.
func TestPendingDelete(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	s := storeOf(t, db, zonesOf(t).Snapshots)
	s.CoolingOff = time.Hour
	tenantWith(t, db, "t", 1)
	exec(t, db, "UPDATE tenants SET state = 'pending_delete', restore_state = 'active', delete_after = 5")
	m, err := s.Create(t.Context(), ReasonManual)
	require.NoError(t, err)
	res, err := s.Restore(t.Context(), m.ID, Options{Mode: Fill, Actor: audit.CLI})
	require.NoError(t, err)
	require.Empty(t, res.Pending)
	res, err = s.Restore(t.Context(), m.ID, Options{Mode: Replace, Actor: audit.CLI})
	require.NoError(t, err)
	require.Len(t, res.Pending, 1)
	require.Contains(t, res.Pending[0], "t (name-t): it is purged after ")
	due, err := db.PurgeDue(t.Context(), meta.Now().Add(59*time.Minute), 10)
	require.NoError(t, err)
	require.Empty(t, due)
}

// TestTextsThatDoNotFit: SQLite holds bytes that the others refuse; a move must not fail for them.
func TestTextsThatDoNotFit(t *testing.T) {
	zone := zonesOf(t).Snapshots
	source := open(t, kinds[0].url(t), true)
	require.NoError(t, source.InTx(t.Context(), func(tx *meta.Tx) error {
		return tx.Create(&meta.Task{ID: "x", Kind: storage.TaskScan, State: storage.TaskDead, LastError: "bad \xff\x00 bytes"})
	}))
	_, err := storeOf(t, source, zone).Create(t.Context(), ReasonManual)
	require.NoError(t, err)
	for i, want := range []string{"bad \xff\x00 bytes", "bad \uFFFD bytes", "bad \uFFFD\x00 bytes"} {
		target := open(t, kinds[i].url(t), false)
		res, err := storeOf(t, target, zone).Restore(t.Context(), Latest, Options{Mode: IntoEmpty})
		require.NoError(t, err)
		require.EqualValues(t, min(i, 1), res.Repaired)
		task, err := target.TaskBy(t.Context(), "x")
		require.NoError(t, err)
		require.Equal(t, want, task.LastError)
	}
}
