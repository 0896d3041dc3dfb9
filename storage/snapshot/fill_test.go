package snapshot

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/reconcile"
)

// tenantWith creates a tenant with its plan and n assets, each on a blob with a variant, and an exact ledger.
func tenantWith(t testing.TB, db *meta.DB, id string, n int) {
	t.Helper()
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
		rows := []any{
			&meta.Plan{Name: "plan-" + id, StorageBytes: 1 << 40, Spec: "{}"},
			&meta.TenantRow{ID: id, Name: "name-" + id, Plan: "plan-" + id, State: storage.TenantActive, UsedBytes: int64(n) * 11, UsedFiles: int64(n)},
			&meta.APIKey{ID: "key-" + id, TenantID: id, Hash: "hash-" + id},
		}
		for i := range n {
			rows = append(rows, cleanAsset(id, i), cleanBlob(id, i),
				&meta.Variant{TenantID: id, SHA256: digestNo(i), Preset: "w640", Size: 1})
		}
		for _, row := range rows {
			if err := tx.Create(row); err != nil {
				return err
			}
		}
		return nil
	}))
	requireExact(t, db)
}

func cleanAsset(tenant string, i int) *meta.Asset {
	return &meta.Asset{ID: fmt.Sprintf("%s-%03d", tenant, i), TenantID: tenant, SHA256: digestNo(i), Size: 10, State: storage.AssetAvailable}
}

func cleanBlob(tenant string, i int) *meta.Blob {
	return &meta.Blob{
		TenantID: tenant, SHA256: digestNo(i), Size: 10, Refs: 1, Zone: storage.ZoneClean,
		ScanStatus: storage.ScanClean, MediaStatus: storage.MediaDone,
	}
}

func exec(t testing.TB, db *meta.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := db.Exec(context.Background(), s)
		require.NoError(t, err, s)
	}
}

// TestFillAfterTheIncident: rows of 32 of 36 assets are deleted behind the system's back; they come back, and what
// happened since the snapshot stays.
func TestFillAfterTheIncident(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			db := open(t, kind.url(t), true)
			s := storeOf(t, db, zonesOf(t).Snapshots)
			tenantWith(t, db, "t", 36)
			m, err := s.Create(t.Context(), ReasonDaily)
			require.NoError(t, err)

			// Since: a new asset, one that its owner deleted, one renamed.
			require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
				if err := tx.Create(cleanAsset("t", 900)); err != nil {
					return err
				}
				return tx.Create(cleanBlob("t", 900))
			}))
			exec(t, db, "UPDATE assets SET state = 'deleted', deleted_at = 5 WHERE id = 't-033'",
				"UPDATE blobs SET refs = 0, unreferenced_at = 5 WHERE sha256 = '"+digestNo(33)+"'",
				"UPDATE assets SET name = 'renamed' WHERE id = 't-034'",
				"UPDATE tenants SET used_bytes = used_bytes + 10, quota_override = 77")
			requireRefs(t, db)
			// The incident.
			for _, table := range []string{"assets", "blobs", "variants"} {
				exec(t, db, "DELETE FROM "+table+" WHERE sha256 < '"+digestNo(32)+"'")
			}
			drift, err := db.LedgerDrift(t.Context(), nil)
			require.NoError(t, err)
			require.Len(t, drift, 1)

			res, err := s.Restore(t.Context(), m.ID, Options{Mode: Fill, Actor: audit.CLI})
			require.NoError(t, err)
			require.NotEmpty(t, res.Before)
			require.Empty(t, res.Tenants)
			require.Equal(t, []RestoredTable{
				{"plans", 0, 1, 0}, {"tenants", 0, 1, 0}, {"api_keys", 0, 1, 0}, {"assets", 32, 4, 0}, {"blobs", 32, 4, 0}, {"variants", 32, 4, 0},
			}, res.Tables)
			requireExact(t, db)
			requireRefs(t, db)
			rows := dump(t, db, true)
			require.Len(t, rows["assets"], 37)
			require.Len(t, rows["blobs"], 37)
			tenant, err := db.Tenant(t.Context(), "t").Row()
			require.NoError(t, err)
			require.EqualValues(t, 77, *tenant.QuotaOverride)
			for id, want := range map[string]storage.AssetState{"t-000": storage.AssetAvailable, "t-033": storage.AssetDeleted, "t-900": storage.AssetAvailable} {
				require.Contains(t, lines(rows["assets"]), fmt.Sprintf(`"id":%q`, id))
				a, err := db.Tenant(t.Context(), "t").Asset(id)
				if want == storage.AssetDeleted {
					require.ErrorIs(t, err, storage.ErrNotFound, "deleted by its owner, and stays so")
					continue
				}
				require.NoError(t, err)
				require.Equal(t, want, a.State)
			}
			require.Contains(t, lines(rows["assets"]), "renamed")

			// A second one finds nothing to do.
			require.False(t, res.Nothing())
			res, err = s.Restore(t.Context(), m.ID, Options{Mode: Fill, Actor: audit.CLI})
			require.NoError(t, err)
			require.True(t, res.Nothing())
		})
	}
}

// requireRefs: the references of every blob are its living assets.
func requireRefs(t testing.TB, db *meta.DB) {
	t.Helper()
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
		var wrong []string
		_, err := tx.Scan(&wrong, `SELECT sha256 FROM blobs WHERE refs <> (SELECT COUNT(*) FROM assets a
			WHERE a.tenant_id = blobs.tenant_id AND a.sha256 = blobs.sha256 AND a.state <> 'deleted')
			OR (refs > 0 AND unreferenced_at <> 0)`)
		require.Empty(t, wrong)
		return err
	}))
}

// TestFillChooses: what comes back and what does not, case by case.
func TestFillChooses(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	s := storeOf(t, db, zonesOf(t).Snapshots)
	for _, id := range []string{"purged", "purging", "renamed", "gone", "kept", "before", "begun"} {
		tenantWith(t, db, id, 2)
	}
	exec(t, db, "UPDATE tenants SET state = 'deleted' WHERE id = 'before'", "UPDATE tenants SET state = 'pending_delete' WHERE id = 'begun'")
	exec(t, db, "UPDATE blobs SET scan_status = 'pending', zone = 'quarantine' WHERE tenant_id = 'kept'",
		"UPDATE assets SET state = 'quarantined' WHERE tenant_id = 'kept'")
	m, err := s.Create(t.Context(), ReasonDaily)
	require.NoError(t, err)
	exec(t, db,
		"DELETE FROM tenants WHERE id IN ('renamed', 'gone')", "DELETE FROM plans WHERE name = 'plan-gone'",
		"DELETE FROM api_keys", "DELETE FROM assets WHERE id <> 'kept-001'", "DELETE FROM variants",
		"DELETE FROM blobs WHERE NOT (tenant_id = 'kept')",
		// Scanned since the snapshot, one of them being swept now.
		"UPDATE blobs SET scan_status = 'infected' WHERE sha256 = '"+digestNo(0)+"'",
		"UPDATE assets SET state = 'deleted' WHERE id = 'kept-001'",
		"UPDATE blobs SET sweeping = 1, refs = 0 WHERE sha256 = '"+digestNo(1)+"'",
		"UPDATE tenants SET state = 'deleted', name = 'over' WHERE id = 'purged'",
		"UPDATE tenants SET state = 'pending_delete' WHERE id = 'purging'",
		"INSERT INTO tenants (id, name, plan, state, created_at, updated_at) VALUES ('other', 'name-renamed', 'plan-kept', 'active', 1, 1)")
	res, err := s.Restore(t.Context(), m.ID, Options{Mode: Fill, Actor: audit.CLI})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{
		"purged (over): it was deleted after the snapshot", "purging (name-purging): it was deleted after the snapshot",
		"renamed (name-renamed): another tenant has its name now",
	}, res.Tenants, "and none that was over in the snapshot already")
	rows := dump(t, db, true)
	for table, want := range map[string]map[string]int{
		"tenants":  {"purged": 1, "purging": 1, "renamed": 0, "gone": 1, "kept": 1},
		"plans":    {"plan-gone": 1},
		"api_keys": {"key-purged": 0, "key-purging": 0, "key-renamed": 0, "key-gone": 1, "key-kept": 1},
		"assets": {
			"gone-000": 1, "gone-001": 1, "purged-000": 0, "purging-000": 0, "renamed-000": 0, "kept-000": 1, "kept-001": 1,
		},
	} {
		for id, n := range want {
			count := 0
			for _, line := range rows[table] {
				if strings.Contains(line, `"id":"`+id+`"`) || strings.Contains(line, `"name":"`+id+`"`) {
					count++
				}
			}
			require.Equal(t, n, count, "%s in %s", id, table)
		}
	}
	infected, err := db.Tenant(t.Context(), "kept").Asset("kept-000")
	require.NoError(t, err)
	require.Equal(t, storage.AssetRejected, infected.State, "its blob was found infected since")
	require.Zero(t, res.Removing, "what is being removed was deleted by its owner")
	for _, tenant := range []string{"purged", "purging", "renamed"} {
		require.NotContains(t, lines(rows["blobs"]), `"tenant_id":"`+tenant+`"`)
		require.NotContains(t, lines(rows["variants"]), `"tenant_id":"`+tenant+`"`)
	}
	requireRefs(t, db)
	drift, err := db.LedgerDrift(t.Context(), []string{"gone", "kept"})
	require.NoError(t, err)
	require.Empty(t, drift)
}

// TestFillLeavesOutTheUnwanted: a blob without a living asset stays away, and so does what hangs on it.
func TestFillLeavesOutTheUnwanted(t *testing.T) {
	db := open(t, kinds[0].url(t), true)
	s := storeOf(t, db, zonesOf(t).Snapshots)
	tenantWith(t, db, "t", 3)
	m, err := s.Create(t.Context(), ReasonDaily)
	require.NoError(t, err)
	// 000 was deleted by its owner and swept since; of 001 only the rows beneath are lost.
	exec(t, db, "UPDATE assets SET state = 'deleted' WHERE id = 't-000'", "DELETE FROM blobs WHERE sha256 <> '"+digestNo(2)+"'",
		"DELETE FROM variants WHERE sha256 <> '"+digestNo(2)+"'")
	res, err := s.Restore(t.Context(), m.ID, Options{Mode: Fill, Actor: audit.CLI})
	require.NoError(t, err)
	require.Equal(t, RestoredTable{"blobs", 1, 1, 1}, res.Tables[4])
	require.Equal(t, RestoredTable{"variants", 1, 1, 1}, res.Tables[5])
	requireExact(t, db)
	requireRefs(t, db)
}

// TestFillVariants: variants whose rows were lost while the blob's row remained come back, but not those that were
// withdrawn because the blob was found bad since.
func TestFillVariants(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		s := storeOf(t, db, zonesOf(t).Snapshots)
		tenantWith(t, db, "t", 4)
		m, err := s.Create(t.Context(), ReasonDaily)
		require.NoError(t, err)
		bad := " WHERE sha256 = '" + digestNo(3) + "'"
		exec(t, db, "UPDATE blobs SET scan_status = 'infected', zone = 'quarantine', media_status = 'none'"+bad,
			"UPDATE assets SET state = 'rejected'"+bad, "DELETE FROM variants",
			"UPDATE tenants SET used_bytes = 40")
		requireExact(t, db)
		res, err := s.Restore(t.Context(), m.ID, Options{Mode: Fill, Actor: audit.CLI})
		require.NoError(t, err)
		require.Equal(t, RestoredTable{"variants", 3, 0, 1}, res.Tables[5])
		require.NotContains(t, lines(dump(t, db, true)["variants"]), digestNo(3))
		requireExact(t, db)
	})
}

// TestFillGivesGraceTime: a blob whose last asset's row was lost waits for its removal from the fill on, whatever its
// owner deleted before.
func TestFillGivesGraceTime(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		s := storeOf(t, db, zonesOf(t).Snapshots)
		tenantWith(t, db, "t", 1)
		m, err := s.Create(t.Context(), ReasonDaily)
		require.NoError(t, err)
		// Newer than the snapshot: a blob with two assets, one of them deleted by its owner, the other one's row lost.
		two := cleanBlob("t", 7)
		two.Refs = 2
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
			other := cleanAsset("t", 7)
			other.ID = "other"
			for _, row := range []any{two, cleanAsset("t", 7), other} {
				if err := tx.Create(row); err != nil {
					return err
				}
			}
			_, err := tx.Tenant("t").DeleteAsset("t-007")
			return err
		}))
		long := meta.Now()
		exec(t, db, "DELETE FROM assets WHERE id IN ('other', 't-000')")
		_, err = s.Restore(t.Context(), m.ID, Options{Mode: Fill, Actor: audit.CLI})
		require.NoError(t, err)
		requireRefs(t, db)
		b, err := db.Tenant(t.Context(), "t").Blob(two.SHA256)
		require.NoError(t, err)
		require.Zero(t, b.Refs)
		require.Greater(t, b.UnreferencedAt, long)
		deleted, err := db.Tenant(t.Context(), "t").LeftByDeletion(b)
		require.NoError(t, err)
		require.False(t, deleted)
	})
}

// TestFillCancelsRuns: what a reconciliation found before rows came back is of another time; it is ended as by hand. Where
// nothing came back, nothing is ended.
func TestFillCancelsRuns(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		s := storeOf(t, db, zonesOf(t).Snapshots)
		tenantWith(t, db, "t", 2)
		m, err := s.Create(t.Context(), ReasonDaily)
		require.NoError(t, err)
		states := map[string]string{"held": meta.RunHeld, "running": meta.RunRunning, "done": meta.RunDone}
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
			for id, state := range states {
				if err := tx.CreateRun(&meta.ReconcileRun{ID: id, Kind: meta.RunFull, State: state, Tenants: "[]"}); err != nil {
					return err
				}
			}
			_, err := tx.Enqueue(reconcile.Task("running"))
			return err
		}))
		fill := func(cancelled ...string) {
			res, err := s.Restore(t.Context(), m.ID, Options{Mode: Fill, Actor: audit.CLI})
			require.NoError(t, err)
			require.ElementsMatch(t, cancelled, res.Cancelled)
			for id, state := range states {
				run, err := db.RunBy(t.Context(), id)
				require.NoError(t, err)
				if len(cancelled) > 0 && id != "done" {
					state = meta.RunCancelled
					require.Equal(t, runEnded, run.Problem)
				}
				require.Equal(t, state, run.State, id)
			}
			rows := dump(t, db, false)
			require.Equal(t, len(cancelled), strings.Count(lines(rows["audit_log"]), `"action":"reconcile.cancel"`))
			require.Equal(t, len(cancelled) == 0, strings.Contains(lines(rows["tasks"]), `"state":"queued"`))
		}
		fill()
		exec(t, db, "DELETE FROM assets WHERE id = 't-000'")
		fill("held (full, held)", "running (full, running)")
	})
}

// TestFillAndClaims: a claim on an orphan, left by a program that died, keeps nothing away; what a living one claims, or
// is being removed as a blob, is left out and counted.
func TestFillAndClaims(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		s := storeOf(t, db, zonesOf(t).Snapshots)
		tenantWith(t, db, "t", 4)
		m, err := s.Create(t.Context(), ReasonDaily)
		require.NoError(t, err)
		lose := func() {
			exec(t, db, "DELETE FROM assets WHERE id <> 't-003'", "DELETE FROM blobs WHERE sha256 <> '"+digestNo(3)+"'",
				"DELETE FROM variants WHERE sha256 <> '"+digestNo(3)+"'")
			require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
				claimed, err := tx.ClaimOrphan("t", digestNo(0))
				require.True(t, claimed)
				if err != nil {
					return err
				}
				swept := cleanBlob("t", 1)
				swept.Category, swept.Refs, swept.Sweeping = "image", 0, true
				return tx.Create(swept)
			}))
		}
		fill := func(o Options, removing int64, tables ...RestoredTable) {
			o.Mode, o.Actor = Fill, audit.CLI
			res, err := s.Restore(t.Context(), m.ID, o)
			require.NoError(t, err)
			require.Equal(t, removing, res.Removing)
			require.Equal(t, tables, res.Tables[3:])
			requireRefs(t, db)
			requireExact(t, db)
		}
		lose()
		stop, err := db.KeepAlive(t.Context(), "worker", slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		fill(Options{WhileRunning: true}, 2, RestoredTable{"assets", 1, 1, 2}, RestoredTable{"blobs", 1, 3, 0}, RestoredTable{"variants", 1, 1, 2})
		stop()
		lose()
		fill(Options{}, 1, RestoredTable{"assets", 2, 1, 1}, RestoredTable{"blobs", 2, 2, 0}, RestoredTable{"variants", 2, 1, 1})
		b, err := db.Tenant(t.Context(), "t").Blob(digestNo(0))
		require.NoError(t, err)
		require.False(t, b.Sweeping)
	})
}
