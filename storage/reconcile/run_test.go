package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// A wrong count of references must not cost anybody a file before the next run finds it.
func TestSweepLeavesABlobWithAssetsWhateverItsCountSays(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		digest, key, _ := y.whole(t, "still wanted")
		y.exec(t, `UPDATE blobs SET refs = 0, unreferenced_at = 1 WHERE sha256 = ?`, digest)
		require.Zero(t, y.sweep(t).Blobs)
		require.True(t, y.has(t, storage.ZoneClean, key))
	})
}

// Every attempt is killed after its first transaction, so a run sees a kill between any two of its batches.
func TestRunThatIsKilledAtEveryBatchFindsEverythingOnce(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.cfg.batch = 2
		for n := range 6 {
			y.whole(t, fmt.Sprint("whole ", n))
			y.object(t, storage.ZoneClean, fmt.Sprint("orphan ", n))
			_, key, _ := y.whole(t, fmt.Sprint("lost ", n))
			require.NoError(t, y.zones.Clean.Delete(ctx, key))
			y.put(t, storage.ZoneQuarantine, fmt.Sprintf("%s-%d", y.tenant, n), "between the tenant's keys")
		}
		y.put(t, storage.ZoneClean, "zz/foreign", "behind everything")
		y.fitLedger(t)
		for n := range 6 { // more than a first page, and a batch of the second
			y.exec(t, `UPDATE blobs SET refs = refs + 1 WHERE sha256 = ?`, digestOf(fmt.Sprint("whole ", n)))
		}
		y.exec(t, `UPDATE tenants SET used_bytes = used_bytes + 1 WHERE id = ?`, y.tenant)
		y.cfg.BrakeMin, y.cfg.BrakeShare = 1, 0.0001

		run, attempts := y.begin(t, meta.RunFull), 0
		for ; run.State == meta.RunRunning; attempts++ {
			kctx, kill := context.WithCancel(ctx)
			once := false
			_, err := y.Perform(kctx, run.ID, func(*meta.Tx) error {
				if once {
					kill()
					return meta.ErrLeaseLost
				}
				once = true
				return nil
			}, nil)
			kill()
			if err != nil {
				require.True(t, errors.Is(err, meta.ErrLeaseLost) || errors.Is(err, context.Canceled), err.Error())
			}
			run, err = y.db.RunBy(ctx, run.ID)
			require.NoError(t, err)
			require.Less(t, attempts, 200, run.Phase+" "+run.CursorAt)
		}
		require.Greater(t, attempts, 10, "there were many batches")
		require.Equal(t, meta.RunHeld, run.State)
		var want []string
		for range 6 {
			want = append(want, "object_without_row clean -> trash", "row_without_object clean -> mark_damaged", "reference_count_wrong -> set_references")
		}
		want = append(want, "ledger_drift -> set_ledger")
		slices.Sort(want)
		require.Equal(t, want, y.found(t, run))
		require.EqualValues(t, len(want), run.Planned)
		require.EqualValues(t, 12+6+6, run.Objects, "6 whole with 2 objects, 6 orphans, 6 lost with a variant")
		require.EqualValues(t, 24, run.RowCount)
		require.EqualValues(t, 7, run.ForeignObjects)
	})
}

func TestBrakeHoldsExactlyAboveItsLimit(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		for n := range 5 {
			y.object(t, storage.ZoneClean, fmt.Sprint("orphan ", n))
		}
		y.cfg.BrakeMin, y.cfg.BrakeShare = 4, 0.01
		held := y.reconcile(t, meta.RunFull)
		require.Equal(t, meta.RunHeld, held.State)
		require.Contains(t, held.Problem, "would touch 5 objects and rows, and the brake allows 4")
		y.exec(t, `UPDATE reconcile_runs SET problem = ? WHERE id = ?`, "The budget is too small. "+held.Problem, held.ID)
		require.True(t, y.has(t, storage.ZoneClean, storage.BlobKey(y.tenant, digestOf("orphan 0"))), "nothing was changed")

		err := y.db.InTx(ctx, func(tx *meta.Tx) error { _, err := Begin(tx, Request{Kind: meta.RunFull}); return err })
		require.ErrorIs(t, err, ErrHeld, "no other full run while one is held")
		require.Equal(t, meta.RunDone, y.reconcile(t, meta.RunLight).State, "a light one all the same")

		y.inTx(t, func(tx *meta.Tx) error { _, err := Confirm(tx, held.ID, audit.CLI, "somebody", ""); return err })
		run, err := y.Perform(ctx, held.ID, nil, nil)
		require.NoError(t, err)
		require.Equal(t, meta.RunDone, run.State)
		require.EqualValues(t, 5, run.Repaired)
		require.Equal(t, "somebody", run.ConfirmedBy)
		require.Equal(t, "The budget is too small.", run.Problem, "what the brake said is over, what else was said is not")
		err = y.db.InTx(ctx, func(tx *meta.Tx) error { _, err := Confirm(tx, held.ID, audit.CLI, "", ""); return err })
		require.ErrorIs(t, err, ErrState)

		for n := range 5 {
			y.object(t, storage.ZoneClean, fmt.Sprint("another orphan ", n))
		}
		y.cfg.BrakeMin = 5
		require.Equal(t, meta.RunDone, y.reconcile(t, meta.RunFull).State, "as many as are allowed")
	})
}

func TestBrakeTakesTheShareWhenThatIsMore(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		for n := range 5 {
			y.whole(t, fmt.Sprint("whole ", n)) // 20 objects and rows
		}
		y.fitLedger(t)
		y.cfg.BrakeMin, y.cfg.BrakeShare = 1, 0.1
		for n := range 2 {
			y.object(t, storage.ZoneClean, fmt.Sprint("orphan ", n))
		}
		require.Equal(t, meta.RunDone, y.reconcile(t, meta.RunFull).State, "2 of 22")
		for n := range 3 {
			y.object(t, storage.ZoneClean, fmt.Sprint("another orphan ", n))
		}
		require.Equal(t, meta.RunHeld, y.reconcile(t, meta.RunFull).State, "3 of 23")
	})
}

func TestCancelledRunChangesNothingMore(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		run := y.begin(t, meta.RunFull)
		y.inTx(t, Next)
		task, err := y.db.TaskLike(ctx, Task(""))
		require.NoError(t, err)
		require.Equal(t, run.ID, task.Subject)
		lease, won, err := y.db.Claim(ctx, task.ID, "w", time.Minute)
		require.NoError(t, err)
		require.True(t, won)
		y.inTx(t, func(tx *meta.Tx) error { _, err := Cancel(tx, run.ID, audit.CLI, ""); return err })
		_, err = y.Perform(ctx, run.ID, func(tx *meta.Tx) error { return tx.Fence(lease) }, nil)
		require.NoError(t, err, "there is nothing to do about it")
		y.inTx(t, Next)
		_, err = y.db.TaskLike(ctx, Task(""))
		require.ErrorIs(t, err, storage.ErrNotFound)
	})
}

func TestLightRunLooksAtTenantsThatChangedAndRepairsNothing(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		quiet := *y
		quiet.tenant = metatest.Tenant(t, y.db, 1<<20)
		quiet.whole(t, "quiet")
		quiet.fitLedger(t)
		digest, _, _ := y.whole(t, "one")
		_, lost, _ := y.whole(t, "two")
		y.fitLedger(t)
		looked := func() []string {
			run := y.reconcile(t, meta.RunLight)
			require.Equal(t, meta.RunDone, run.State)
			run, err := y.db.RunBy(ctx, run.ID)
			require.NoError(t, err)
			var out []string
			for name, id := range map[string]string{"busy": y.tenant, "quiet": quiet.tenant} {
				if strings.Contains(run.Tenants, id) {
					out = append(out, name)
				}
			}
			slices.Sort(out)
			return append(out, y.found(t, run)...)
		}
		require.Equal(t, []string{"busy", "quiet"}, looked(), "nothing has been looked at yet")
		require.Empty(t, looked(), "nothing changed")

		require.NoError(t, y.zones.Clean.Delete(ctx, lost))
		require.Empty(t, looked(), "an object alone is the full run's")
		y.exec(t, `DELETE FROM assets WHERE sha256 = ?`, digest)
		y.exec(t, `DELETE FROM variants WHERE sha256 = ?`, digest)
		y.exec(t, `DELETE FROM blobs WHERE sha256 = ?`, digest)
		want := []string{
			"busy", "ledger_drift -> set_ledger", "object_without_row clean -> trash", "object_without_row clean w320 -> trash",
			"row_without_object clean -> mark_damaged",
		}
		require.Equal(t, want, looked())
		require.Equal(t, want, looked(), "it is told until it is in order")
		require.True(t, y.has(t, storage.ZoneClean, storage.BlobKey(y.tenant, digest)), "nothing is repaired")

		require.Equal(t, meta.RunDone, y.reconcile(t, meta.RunFull).State)
		require.Equal(t, []string{"busy", "row_without_object clean -> "}, looked(), "the damage is marked and told once more")
		require.Empty(t, looked(), "nothing changed since")
	})
}

// A drift that stays is one row and one record of the audit log, however many light passes tell it.
func TestLightRunsTellAgainWithoutWritingAgain(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		for n := range 3 {
			_, key, _ := y.whole(t, fmt.Sprint("lost ", n))
			require.NoError(t, y.zones.Clean.Delete(ctx, key))
		}
		rows := func() (n int64) {
			y.inTx(t, func(tx *meta.Tx) error { _, err := tx.Scan(&n, `SELECT COUNT(*) FROM reconcile_findings`); return err })
			return n
		}
		y.cfg.batch = 2
		var runs []meta.ReconcileRun
		for range 4 {
			runs = append(runs, y.reconcile(t, meta.RunLight))
			require.Len(t, y.found(t, runs[len(runs)-1]), 4, "three files, and the ledger") // asserts the run's own count too
			require.EqualValues(t, 4, rows())
			require.EqualValues(t, 4, y.audited(t, "reconcile.finding"))
		}
		y.fitLedger(t)
		y.put(t, storage.ZoneClean, storage.BlobKey(y.tenant, digestOf("lost 1")), "lost 1")
		require.Len(t, y.found(t, y.reconcile(t, meta.RunLight)), 2)
		require.EqualValues(t, 4, rows())
		over, err := y.db.Findings(ctx, runs[3].ID, meta.FindingFilter{State: meta.FindingGone}, "", 10)
		require.NoError(t, err)
		require.Len(t, over, 2, "what the last one found and this one did not")

		require.NoError(t, y.zones.Clean.Delete(ctx, storage.BlobKey(y.tenant, digestOf("lost 1"))))
		last := y.reconcile(t, meta.RunLight)
		require.Len(t, y.found(t, last), 3)
		require.EqualValues(t, 5, y.audited(t, "reconcile.finding"), "it is lost once more")

		cancelled := y.begin(t, meta.RunLight)
		y.inTx(t, func(tx *meta.Tx) error { // it has found some again before
			list, err := y.db.Findings(ctx, last.ID, meta.FindingFilter{}, "", 2)
			require.NoError(t, err)
			known, err := tx.FoundBefore(cancelled.ID, list)
			require.Len(t, known, 2)
			return err
		})
		y.inTx(t, func(tx *meta.Tx) error { _, err := Cancel(tx, cancelled.ID, audit.CLI, ""); return err })
		open, err := y.db.Findings(ctx, last.ID, meta.FindingFilter{State: meta.FindingOpen}, "", 10)
		require.NoError(t, err)
		require.Len(t, open, 3)
		for _, f := range open {
			require.Empty(t, f.Problem, "a run that never ended says nothing about them")
		}
		require.Len(t, y.found(t, y.reconcile(t, meta.RunLight)), 3)
		require.EqualValues(t, 5, rows())
		require.EqualValues(t, 5, y.audited(t, "reconcile.finding"))
	})
}

// Rows and objects of many tenants, some of which have nothing but objects, some nothing but rows.
func TestManyTenants(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.cfg.batch = 3
		var want []string
		for n := range 27 {
			y.tenant = metatest.Tenant(t, y.db, 1<<20)
			switch n % 4 {
			case 0:
				y.object(t, storage.ZoneQuarantine, "alone")
				want = append(want, "object_without_row quarantine -> trash")
			case 1:
				_, key, _ := y.whole(t, "its object is lost")
				require.NoError(t, y.zones.Clean.Delete(ctx, key))
				want = append(want, "row_without_object clean -> mark_damaged")
			case 2:
				y.whole(t, "in order")
			}
			y.fitLedger(t)
		}
		slices.Sort(want)
		require.Equal(t, want, y.found(t, y.dry(t)))

		y.whole(t, "one of the last")
		y.fitLedger(t)
		y.object(t, storage.ZoneClean, "nobody's")
		require.Equal(t, []string{"object_without_row clean -> trash"}, y.found(t, y.dry(t, y.tenant)), "confined to one tenant")
	})
}

func TestYoungObjectsAndWhatTheSweeperHasAreNoFindings(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.cfg.OrphanGrace = time.Hour
		digest, key, _ := y.whole(t, "in order")
		y.object(t, storage.ZoneQuarantine, "its row is on the way")
		require.NoError(t, y.zones.Copy(ctx, storage.ZoneClean, storage.ZoneQuarantine, key))
		y.put(t, storage.ZoneClean, storage.VariantKey(y.tenant, digest, "w640", "", "webp"), "its row is on the way")
		y.delete(t, y.upload(t, "deleted"))
		swept := y.upload(t, "being swept")
		y.delete(t, swept)
		y.inTx(t, func(tx *meta.Tx) error {
			claimed, err := tx.BeginSweep(y.tenant, digestOf("being swept"), meta.Now(), 0)
			require.True(t, claimed)
			return err
		})
		for _, content := range []string{"deleted", "being swept"} {
			require.NoError(t, y.zones.Quarantine.Delete(ctx, storage.BlobKey(y.tenant, digestOf(content))))
		}
		y.fitLedger(t)
		require.Empty(t, y.found(t, y.dry(t)))
	})
}

func TestOrphansOfKnownAndUnknownTenantsGoToTheTrashAndForeignObjectsStay(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.whole(t, "has rows")
		y.fitLedger(t)
		var keys []string
		for _, tenant := range []string{y.tenant, "0190c0de-0000-7000-8000-000000000000"} {
			for n := range 3 {
				digest := digestOf(fmt.Sprint("orphan", n))
				keys = append(keys, storage.BlobKey(tenant, digest), storage.VariantKey(tenant, digest, "w320", "", "webp"))
			}
		}
		for _, zone := range bothZones {
			for _, key := range keys {
				y.put(t, zone, key, "orphan")
			}
			y.put(t, zone, "somebody/elses/object", "foreign")
			y.put(t, zone, "zoo/keeper", "foreign")
			y.put(t, zone, y.tenant[:2], "the keys of a tenant begin with it")
		}
		y.cfg.BrakeMin = 100
		run := y.reconcile(t, meta.RunFull)
		require.EqualValues(t, 2*len(keys), run.Repaired)
		require.EqualValues(t, 6, run.ForeignObjects)
		for _, zone := range bothZones {
			for _, key := range keys {
				require.False(t, y.has(t, zone, key))
				require.True(t, y.has(t, storage.ZoneQuarantine, storage.TrashKey(zone, key)))
			}
			require.True(t, y.has(t, zone, "somebody/elses/object"))
			require.True(t, y.has(t, zone, "zoo/keeper"))
		}
		for n := range 3 {
			_, err := y.db.Tenant(ctx, y.tenant).Blob(digestOf(fmt.Sprint("orphan", n)))
			require.ErrorIs(t, err, storage.ErrNotFound, "no claim stays behind")
		}
		y.requireExact(t)
	})
}

func TestLeftoversOfARejectedBlobGoFromTheCleanZone(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.upload(t, "turned out bad")
		y.verdict(t, "turned out bad", storage.ScanInfected, storage.ZoneQuarantine, storage.MediaNone)
		y.fitLedger(t)
		y.object(t, storage.ZoneClean, "turned out bad")
		y.put(t, storage.ZoneClean, storage.VariantKey(y.tenant, digestOf("turned out bad"), "w320", "", "webp"), "webp")
		run := y.reconcile(t, meta.RunFull)
		require.Equal(t, []string{"variant_object_without_row clean w320 -> trash", "wrong_zone clean -> trash"}, y.found(t, run))
		require.EqualValues(t, 2, run.Repaired)
		y.requireExact(t)
	})
}

// A listing that breaks off, as a store does that goes away, ends the attempt and loses nothing.
func TestListingThatBreaksOffIsTakenUp(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.object(t, storage.ZoneClean, "an orphan")
		clean := y.zones.Clean
		y.zones.Clean = &faulty{Bucket: clean, list: errors.New("the listing broke off")}
		run := y.begin(t, meta.RunFull)
		_, err := y.Perform(ctx, run.ID, nil, nil)
		require.ErrorContains(t, err, "the listing broke off")
		y.zones.Clean = clean
		run, err = y.Perform(ctx, run.ID, nil, nil)
		require.NoError(t, err)
		require.Equal(t, meta.RunDone, run.State)
		require.EqualValues(t, 1, run.Repaired)
	})
}
