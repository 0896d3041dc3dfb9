package reconcile

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// live moves the yard's tenant somewhere else in its life.
func (y *yard) live(t *testing.T, state storage.TenantState, restore storage.TenantState, deleteAfter, updated meta.Stamp) {
	t.Helper()
	y.exec(t, `UPDATE tenants SET state = ?, restore_state = ?, delete_after = ?, updated_at = ? WHERE id = ?`,
		state, restore, deleteAfter, updated, y.tenant)
}

// A purge takes objects before rows: what it leaves on its way looks like the worst of losses.
func TestTenantThatIsPurgedHasNoFindingsAndTripsNoBrake(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.cfg.BrakeMin, y.cfg.BrakeShare = -1, 0
		now := meta.Now()
		for name, at := range map[string]struct {
			state, restore storage.TenantState
			after, updated meta.Stamp
		}{
			"its cooling-off is over":        {storage.TenantPendingDelete, storage.TenantActive, now.Add(-time.Minute), now},
			"its purge has begun":            {storage.TenantPendingDelete, "", now.Add(time.Hour), now}, // by a clock that is ahead
			"it is gone since the run began": {storage.TenantDeleted, "", now, now.Add(time.Hour)},
		} {
			z := newYard(t, y.db, diskZones(t))
			digest, key, _ := z.whole(t, "its object is gone")
			require.NoError(t, z.zones.Clean.Delete(ctx, key))
			z.whole(t, "its rows are gone")
			z.exec(t, `DELETE FROM assets WHERE sha256 = ?`, digestOf("its rows are gone"))
			z.exec(t, `DELETE FROM blobs WHERE sha256 = ?`, digestOf("its rows are gone"))
			z.exec(t, `UPDATE blobs SET refs = 3 WHERE sha256 = ?`, digest)
			z.cfg.BrakeMin, z.cfg.BrakeShare = -1, 0
			z.live(t, at.state, at.restore, at.after, at.updated)
			run := z.reconcile(t, meta.RunFull)
			require.Equal(t, meta.RunDone, run.State, name)
			require.Empty(t, z.found(t, run), name)
			require.Empty(t, z.found(t, z.reconcile(t, meta.RunLight)), name)
			z.dispose(t)
		}
	})
}

// Until then it can be restored, so what is lost of it counts.
func TestTenantThatCoolsOffIsLookedAt(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		_, key, _ := y.whole(t, "lost")
		require.NoError(t, y.zones.Clean.Delete(ctx, key))
		y.fitLedger(t)
		y.live(t, storage.TenantPendingDelete, storage.TenantActive, meta.Now().Add(time.Hour), meta.Now())
		run := y.reconcile(t, meta.RunFull)
		require.Equal(t, []string{"row_without_object clean -> mark_damaged"}, y.found(t, run))
		require.Zero(t, run.Repaired, "that it is marked repairs nothing")
		result, err := y.Show(ctx, run)
		require.NoError(t, err)
		require.EqualValues(t, 1, result.Marked)
		lost, err := y.Lost(ctx, run)
		require.NoError(t, err)
		require.EqualValues(t, 1, lost)
		run.Tenants = `["another"]`
		lost, err = y.Lost(ctx, run)
		require.NoError(t, err)
		require.Zero(t, lost, "none of the tenants that the run was confined to")
	})
}

func TestObjectsUnderATombstoneGoToTheTrash(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		for _, state := range []storage.TenantState{storage.TenantDeleted, storage.TenantFailed} {
			z := newYard(t, y.db, diskZones(t))
			key := z.object(t, storage.ZoneClean, "put by a worker that was late")
			z.live(t, state, "", 0, meta.Now().Add(-time.Hour))
			run := z.reconcile(t, meta.RunFull)
			require.Equal(t, []string{"object_without_row clean -> trash"}, z.found(t, run))
			require.EqualValues(t, 1, run.Repaired)
			require.False(t, z.has(t, storage.ZoneClean, key))
			require.True(t, z.has(t, storage.ZoneQuarantine, storage.TrashKey(storage.ZoneClean, key)))
			left, err := z.db.Tenant(ctx, z.tenant).Holdings()
			require.NoError(t, err)
			delete(left, "reconcile_findings")
			require.Empty(t, left, "no claim stays behind")
			z.dispose(t)
		}
	})
}

// The probes of the zone check are objects without rows, for a moment.
func TestTenantThatIsBeingMadeHasNoFindings(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		for _, zone := range bothZones {
			y.put(t, zone, y.tenant+"/probe", "probe")
		}
		y.live(t, storage.TenantProvisioning, "", 0, meta.Now())
		require.Empty(t, y.found(t, y.reconcile(t, meta.RunFull)))
		require.True(t, y.has(t, storage.ZoneClean, y.tenant+"/probe"))
	})
}

// What was planned before the purge began is not done any more: a repair must not put anything where the purge has been.
func TestRepairOfATenantWhosePurgeHasBegunDoesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.cfg.BrakeMin, y.cfg.BrakeShare = -1, 0
		y.object(t, storage.ZoneClean, "an orphan")
		digest, _, _ := y.whole(t, "its row is lost")
		y.exec(t, `DELETE FROM blobs WHERE sha256 = ?`, digest)
		y.fitLedger(t)
		held := y.reconcile(t, meta.RunFull)
		require.Equal(t, meta.RunHeld, held.State)
		y.live(t, storage.TenantPendingDelete, "", meta.Now(), meta.Now())
		list, err := y.db.Findings(ctx, held.ID, meta.FindingFilter{}, "", 100)
		require.NoError(t, err)
		require.NotEmpty(t, list)
		for _, f := range list {
			state, err := y.repair(ctx, nil, f)
			require.NoError(t, err)
			require.Equal(t, meta.FindingGone, state, f.Repair)
		}
		require.Zero(t, count(t, y.zones.Quarantine), "nothing lies in the trash")
	})
}

// The purge begins, and ends, while a repair is on its way: its last transaction notices.
func TestRepairThatAPurgeOvertakesWritesNoRow(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		digest, _, _ := y.whole(t, "its row is lost")
		y.exec(t, `DELETE FROM blobs WHERE sha256 = ?`, digest)
		y.live(t, storage.TenantDeleted, "", meta.Now(), meta.Now())
		m := &mending{Reconciler: y.Reconciler, f: meta.ReconcileFinding{ID: meta.NewID(), TenantID: y.tenant, SHA256: digest, Repair: storage.RepairRow}}
		_, err := remakeRow(ctx, m)
		var none *gone
		require.ErrorAs(t, err, &none)
		_, known, err := y.db.Tenant(ctx, y.tenant).BlobIfAny(digest)
		require.NoError(t, err)
		require.False(t, known)
	})
}

// The purge begins while a repair copies: what it may have missed is taken back.
func TestCopyThatAPurgeOvertakesIsTakenBack(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.object(t, storage.ZoneClean, "an orphan")
		digest, _, _ := y.whole(t, "its row is lost")
		y.exec(t, `DELETE FROM blobs WHERE sha256 = ?`, digest)
		unexplained, _, _ := y.whole(t, "its asset is lost")
		y.exec(t, `DELETE FROM assets WHERE sha256 = ?`, unexplained)
		y.exec(t, `UPDATE blobs SET refs = 0, unreferenced_at = 1 WHERE sha256 = ?`, unexplained)
		quarantine := y.zones.Quarantine
		y.zones.Quarantine = &faulty{Bucket: quarantine, copied: func() { y.live(t, storage.TenantPendingDelete, "", meta.Now(), meta.Now()) }}
		for _, f := range []meta.ReconcileFinding{
			{Kind: storage.DriftOrphan, Repair: storage.RepairTrash, Zone: storage.ZoneClean, SHA256: digestOf("an orphan"), ObjectKey: storage.BlobKey(y.tenant, digestOf("an orphan"))},
			{Kind: storage.DriftAssetAlone, Repair: storage.RepairRow, SHA256: digest},
		} {
			y.live(t, storage.TenantActive, "", 0, meta.Now())
			y.mend(t, y.finding(t, f.Kind, f.Repair, f), meta.FindingGone)
			require.Zero(t, count(t, quarantine), f.Repair)
		}
		y.live(t, storage.TenantActive, "", 0, meta.Now())
		require.Zero(t, y.sweep(t).Blobs, "it is the purge's")
		require.Zero(t, count(t, quarantine), "swept")
	})
}

func count(t *testing.T, b blob.Bucket) int {
	t.Helper()
	n := 0
	for _, err := range b.List(ctx, "", "") {
		require.NoError(t, err)
		n++
	}
	return n
}

// A tenant whose own row is lost, or its plan's, is found by both kinds of run, and nothing is made up for it.
func TestRecordsWithoutTheirTenantAndTenantsWithoutTheirPlan(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		planless, kept := *y, *y
		planless.tenant, kept.tenant = metatest.Tenant(t, y.db, 1<<20), metatest.Tenant(t, y.db, 1<<20)
		for _, z := range []*yard{y, &planless, &kept} {
			z.whole(t, "of "+z.tenant)
			z.fitLedger(t)
		}
		require.Empty(t, y.found(t, y.reconcile(t, meta.RunLight)))
		y.exec(t, `DELETE FROM tenants WHERE id = ?`, y.tenant)
		y.exec(t, `DELETE FROM plans WHERE name = ?`, "plan-"+planless.tenant)
		want := []string{"records_without_tenant -> ", "tenant_without_plan -> "}
		run := y.reconcile(t, meta.RunLight)
		require.Equal(t, want, y.found(t, run))
		run = y.reconcile(t, meta.RunLight)
		require.Equal(t, want, y.found(t, run), "for as long as nobody has mended it")
		list, err := y.db.Findings(ctx, run.ID, meta.FindingFilter{Kind: storage.DriftTenant}, "", 10)
		require.NoError(t, err)
		require.Equal(t, y.tenant, list[0].TenantID)
		require.JSONEq(t, `{"records": {"assets": 1, "blobs": 1, "variants": 1}}`, list[0].Detail)

		run = y.reconcile(t, meta.RunFull)
		require.Equal(t, want, y.found(t, run))
		require.Equal(t, meta.RunDone, run.State)
		require.Zero(t, run.Planned)
		key := storage.BlobKey(y.tenant, digestOf("of "+y.tenant))
		require.True(t, y.has(t, storage.ZoneClean, key), "it stays for the day on which the row comes back")

		y.exec(t, `UPDATE tenants SET state = ? WHERE id = ?`, storage.TenantFailed, planless.tenant)
		require.Equal(t, []string{want[0], want[0]}, y.found(t, y.reconcile(t, meta.RunFull)), "a tenant that is over needs no plan, but has no files")
	})
}

// A worker died while it moved an object of a tenant that never was: its claim is no record of a tenant.
func TestClaimOnAStrangersObjectIsNoRecordOfATenant(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.tenant = meta.NewID()
		f := y.orphan(t, storage.ZoneClean, "nobody's")
		require.NoError(t, (&mending{Reconciler: y.Reconciler, f: f}).claimDigest(ctx))
		require.NotContains(t, y.found(t, y.dry(t)), "records_without_tenant -> ")
	})
}

// The rows of many tenants are lost, more than a batch.
func TestManyTenantsThatAreLostComeInPages(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.cfg.batch = 2
		for range 5 {
			z := *y
			z.tenant = metatest.Tenant(t, y.db, 1<<20)
			z.upload(t, "something")
			z.fitLedger(t)
		}
		y.exec(t, `DELETE FROM plans`)
		require.Len(t, y.found(t, y.reconcile(t, meta.RunFull)), 6+5, "plans, and scans that nobody queued")
		y.exec(t, `DELETE FROM tenants`)
		require.Len(t, y.found(t, y.reconcile(t, meta.RunFull)), 5)
	})
}

// Somebody wrote into a tenant's row that it is over: its files are there, and only people can say what is true.
func TestTenantThatIsOverAndHasFilesIsFound(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.whole(t, "still here")
		y.fitLedger(t)
		for _, state := range []storage.TenantState{storage.TenantDeleted, storage.TenantFailed} {
			y.live(t, state, "", 0, meta.Now().Add(-time.Hour))
			run := y.reconcile(t, meta.RunFull)
			require.Equal(t, []string{"records_without_tenant -> "}, y.found(t, run), state)
			list, err := y.db.Findings(ctx, run.ID, meta.FindingFilter{}, "", 10)
			require.NoError(t, err)
			require.JSONEq(t, `{"state": "`+string(state)+`", "records": {"assets": 1, "blobs": 1}}`, list[0].Detail)
		}
	})
}
