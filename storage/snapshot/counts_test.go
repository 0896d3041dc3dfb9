package snapshot

import (
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/meta"
)

// TestCounts: the manifest tells a snapshot from before a loss from one after it.
func TestCounts(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	tenantWith(t, db, "t", 10)
	tenantWith(t, db, "u", 3)
	exec(t, db, "UPDATE assets SET state = 'deleted' WHERE id = 't-009'", "UPDATE blobs SET refs = 0 WHERE tenant_id = 't' AND sha256 = '"+digestNo(9)+"'",
		"UPDATE tenants SET used_files = 9 WHERE id = 't'",
		"INSERT INTO tenants (id, name, plan, state, created_at, updated_at) VALUES ('over', 'over', 'removed', 'deleted', 1, 1)")
	s := storeOf(t, db, zonesOf(t).Snapshots)
	counts := func(want Counts, statements ...string) {
		exec(t, db, statements...)
		m, err := s.Create(t.Context(), ReasonDaily)
		require.NoError(t, err)
		read, err := s.Manifest(t.Context(), m.ID)
		require.NoError(t, err)
		require.Equal(t, &want, read.Counts)
		require.Equal(t, want.Lost > 0, read.LostRows())
	}
	counts(Counts{Tenants: 2, Files: 12})
	counts(Counts{Tenants: 2, Files: 12}, // a purge has begun: what it has removed so far was not lost
		"UPDATE tenants SET used_files = 50, state = 'pending_delete', restore_state = '' WHERE id = 't'")
	exec(t, db, "UPDATE tenants SET used_files = 9, state = 'active' WHERE id = 't'")
	counts(Counts{Tenants: 2, Files: 8, Lost: 4}, // with all that hangs on them
		"DELETE FROM assets WHERE tenant_id = 't' AND sha256 < '"+digestNo(4)+"'", "DELETE FROM blobs WHERE tenant_id = 't' AND sha256 < '"+digestNo(4)+"'",
		"DELETE FROM variants WHERE tenant_id = 't' AND sha256 < '"+digestNo(4)+"'")
	counts(Counts{Tenants: 1, Files: 8, Lost: 4 + 10}, "DELETE FROM tenants WHERE id = 'u'") // a key, and 3 of each of the others
	require.False(t, Manifest{Schema: meta.SchemaVersion()}.LostRows(), "of an older program")
}
