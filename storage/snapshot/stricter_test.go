package snapshot

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// moved writes down what was done to a tenant, as the commands do.
func moved(t testing.TB, db *meta.DB, id, action string, before, after storage.TenantState) {
	t.Helper()
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
		return audit.Write(tx, audit.Entry{
			Actor: audit.CLI, TenantID: id, Action: "tenant." + action, Target: id, Result: audit.OK,
			Data: map[string]any{"before": before, "after": after, "reason": "why"},
		})
	}))
}

// TestShutAgain: what was shut since the snapshot is not open after a restore; what was opened since is not opened.
func TestShutAgain(t *testing.T) {
	const active, suspended, pending = storage.TenantActive, storage.TenantSuspended, storage.TenantPendingDelete
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			db := open(t, kind.url(t), true)
			s := storeOf(t, db, zonesOf(t).Snapshots)
			s.CoolingOff = time.Hour
			for _, id := range []string{"as-it-was", "suspended", "resumed", "deleted", "returned", "purged", "open-since"} {
				tenantWith(t, db, id, 1)
			}
			exec(t, db, "UPDATE tenants SET state = 'suspended' WHERE id = 'open-since'")
			m, err := s.Create(t.Context(), ReasonManual)
			require.NoError(t, err)

			moved(t, db, "suspended", "suspend", active, suspended)
			moved(t, db, "resumed", "suspend", active, suspended)
			moved(t, db, "resumed", "resume", suspended, active)
			moved(t, db, "deleted", "delete", suspended, pending)
			moved(t, db, "returned", "delete", suspended, pending)
			moved(t, db, "returned", "restore", pending, suspended)
			moved(t, db, "purged", "delete", active, pending)
			moved(t, db, "purged", "purge_begin", "", "")
			moved(t, db, "purged", "purge", "", "")
			moved(t, db, "open-since", "resume", suspended, active)
			moved(t, db, "came-since", "suspend", active, suspended)
			require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
				return audit.Write(tx, audit.Entry{Actor: audit.CLI, TenantID: "as-it-was", Action: "key.revoke", Target: "key-as-it-was", Result: audit.OK})
			}))

			res, err := s.Restore(t.Context(), m.ID, Options{Mode: Replace, Actor: audit.CLI})
			require.NoError(t, err)
			require.Equal(t, []string{
				"key key-as-it-was of tenant as-it-was: revoked",
				"tenant deleted (name-deleted): pending_delete", "tenant purged (name-purged): pending_delete",
				"tenant returned (name-returned): suspended", "tenant suspended (name-suspended): suspended",
			}, res.Stricter)
			require.Len(t, res.Pending, 2)
			for id, want := range map[string][2]storage.TenantState{
				"as-it-was": {active}, "suspended": {suspended}, "resumed": {active}, "deleted": {pending, suspended},
				"returned": {suspended}, "purged": {pending, active}, "open-since": {suspended},
			} {
				row, err := db.Tenant(t.Context(), id).Row()
				require.NoError(t, err)
				require.Equal(t, want, [2]storage.TenantState{row.State, row.RestoreState}, id)
				require.Equal(t, want[0] == pending, row.DeleteAfter > meta.Now(), id)
				keys, err := db.Tenant(t.Context(), id).Keys()
				require.NoError(t, err)
				require.Equal(t, id == "as-it-was", keys[0].RevokedAt != 0, id)
			}
		})
	}
}

// forge changes a manifest as nobody but an attacker or a bug would, with a checksum that is right, under an id.
func forge(t testing.TB, s *Store, m Manifest, id string, change func(*Manifest)) {
	t.Helper()
	for _, key := range keysIn(t, s.Zone) {
		if name, ok := strings.CutPrefix(key, m.ID+"/"); ok && id != m.ID {
			write(t, s.Zone, id+"/"+name, read(t, s.Zone, key))
		}
	}
	m.ID = id
	change(&m)
	file, err := seal(m)
	require.NoError(t, err)
	write(t, s.Zone, id+"/"+manifestName, file)
}

// TestShutAgainAfterTheFuture: of a snapshot that a clock took that was ahead nobody knows what came after it.
func TestShutAgainAfterTheFuture(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	s := storeOf(t, db, zonesOf(t).Snapshots)
	tenantWith(t, db, "t", 1)
	m, err := s.Create(t.Context(), ReasonManual)
	require.NoError(t, err)
	ahead := time.Now().Add(24 * time.Hour)
	id := newID(ahead)
	forge(t, s, m, id, func(m *Manifest) { m.CreatedAt = ahead })
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
		return audit.Write(tx, audit.Entry{Actor: audit.CLI, TenantID: "t", Action: "key.revoke", Target: "key-t", Result: audit.OK})
	}))
	res, err := s.Restore(t.Context(), id, Options{Mode: Replace, Actor: audit.CLI})
	require.NoError(t, err)
	require.Equal(t, []string{"key key-t of tenant t: revoked"}, res.Stricter)
}

// TestManifestIsNotBelieved: its time is that of its id, and its numbers are those of the rows.
func TestManifestIsNotBelieved(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	fillOdd(t, db)
	s := storeOf(t, db, zonesOf(t).Snapshots)
	m, err := s.Create(t.Context(), ReasonManual)
	require.NoError(t, err)
	for _, by := range []time.Duration{-time.Hour, time.Minute} {
		forge(t, s, m, m.ID, func(m *Manifest) { m.CreatedAt = m.CreatedAt.Add(by) })
		_, err = s.Verify(t.Context(), m.ID)
		require.ErrorContains(t, err, "its time is not that of its id")
	}
	for _, serial := range []int64{0, 1, math.MaxInt64} {
		forge(t, s, m, m.ID, func(m *Manifest) {
			m.Tables = slices.Clone(m.Tables)
			i := slices.IndexFunc(m.Tables, func(t Table) bool { return t.Name == "audit_log" })
			m.Tables[i].MaxSerial = serial
		})
		v, err := s.Verify(t.Context(), m.ID)
		require.NoError(t, err)
		require.Len(t, v.Damage, 1)
		require.Contains(t, v.Damage[0], "table audit_log: the largest number of its rows")
	}
}
