package reconcile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

var ctx = context.Background()

// yard is a tenant with rows and objects, and a sweeper whose grace times the test sets.
type yard struct {
	*Reconciler
	tenant string
	ledger quota.Ledger
}

// old is a configuration by which everything is old enough at once; kept rows stay.
var impatient = Config{
	Infected: time.Hour, TaskHistory: time.Hour, EventHistory: time.Hour, IdempotencyTTL: time.Hour, Settle: time.Millisecond,
	BrakeTenantMin: 1 << 30, // the tenants of tests have few files, and lose many
}

var databases = metatest.NewShared()

func TestMain(m *testing.M) {
	code := m.Run()
	databases.Drop()
	os.Exit(code)
}

func onEach(t *testing.T, test func(t *testing.T, y *yard)) {
	databases.Each(t, func(t *testing.T, db *meta.DB) {
		test(t, newYard(t, db, diskZones(t)))
	})
}

func diskZones(t *testing.T) *blob.Zones {
	zones, err := blob.Open(ctx, blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	return zones
}

func newYard(t *testing.T, db *meta.DB, zones *blob.Zones) *yard {
	ledger := quota.Ledger{DB: db, TTL: time.Hour}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	return &yard{New(impatient, db, zones, ledger, log), metatest.Tenant(t, db, 1<<20), ledger}
}

func digestOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func (y *yard) inTx(t testing.TB, fn func(tx *meta.Tx) error) {
	t.Helper()
	require.NoError(t, y.db.InTx(ctx, fn))
}

func (y *yard) put(t testing.TB, zone storage.Zone, key, content string) {
	t.Helper()
	require.NoError(t, y.zones.Of(zone).Put(ctx, key, bytes.NewReader([]byte(content)), int64(len(content)), blob.PutOptions{}))
}

// put the object of a blob with that content.
func (y *yard) object(t testing.TB, zone storage.Zone, content string) string {
	t.Helper()
	key := storage.BlobKey(y.tenant, digestOf(content))
	y.put(t, zone, key, content)
	return key
}

// row writes the rows of an upload: blob, asset, ledger. It reports what the gateway acts on.
func (y *yard) row(content string) (asset string, created bool, err error) {
	now := meta.Now()
	asset = meta.NewID()
	err = y.db.InTx(ctx, func(tx *meta.Tx) error {
		var err error
		created, err = tx.Tenant(y.tenant).CreateBlob(&meta.Blob{
			SHA256: digestOf(content), Size: int64(len(content)), MediaType: "text/plain", Category: storage.CategoryImage,
			Zone: storage.ZoneQuarantine, Refs: 1, ScanStatus: storage.ScanPending, MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
		})
		if err != nil || !created {
			return err
		}
		if err := tx.Tenant(y.tenant).CreateAsset(&meta.Asset{
			ID: asset, SHA256: digestOf(content), Name: "n", NameFolded: "n", Ext: "txt", Category: storage.CategoryImage, MediaType: "text/plain",
			Size: int64(len(content)), State: storage.AssetQuarantined, CreatedAt: now, UpdatedAt: now,
		}); err != nil {
			return err
		}
		return y.ledger.Charge(tx, y.tenant, int64(len(content)))
	})
	return asset, created, err
}

// upload does the whole of it and returns the asset.
func (y *yard) upload(t testing.TB, content string) string {
	t.Helper()
	y.object(t, storage.ZoneQuarantine, content)
	asset, created, err := y.row(content)
	require.NoError(t, err)
	require.True(t, created)
	return asset
}

// pass moves an uploaded blob to the clean zone as a scan does, with one variant.
func (y *yard) pass(t testing.TB, content string) {
	t.Helper()
	digest := digestOf(content)
	key := storage.BlobKey(y.tenant, digest)
	require.NoError(t, y.zones.Promote(ctx, key))
	y.verdict(t, content, storage.ScanClean, storage.ZoneClean, storage.MediaDone)
	require.NoError(t, y.zones.Quarantine.Delete(ctx, key))
	y.put(t, storage.ZoneClean, storage.VariantKey(y.tenant, digest, "w320", "", "webp"), "webp")
	y.inTx(t, func(tx *meta.Tx) error {
		_, err := tx.Tenant(y.tenant).CreateVariant(&meta.Variant{SHA256: digest, Preset: "w320", Ext: "webp", Size: 4, CreatedAt: meta.Now()})
		require.NoError(t, err)
		return y.ledger.Charge(tx, y.tenant, 4)
	})
}

func (y *yard) verdict(t testing.TB, content string, status storage.ScanStatus, zone storage.Zone, media storage.MediaStatus) {
	t.Helper()
	y.inTx(t, func(tx *meta.Tx) error {
		tenant := tx.Tenant(y.tenant)
		b, err := tenant.Blob(digestOf(content))
		require.NoError(t, err)
		state, err := storage.StateOf(status)
		require.NoError(t, err)
		v := storage.Verdict{Status: status, ScannedAt: time.Now()}
		if media == storage.MediaDone {
			require.NoError(t, tenant.SetVerdict(b.SHA256, b.Revision, v, zone, storage.MediaPending))
			require.NoError(t, tenant.SetMedia(b.SHA256, b.Revision+1, media, 1, nil))
		} else {
			require.NoError(t, tenant.SetVerdict(b.SHA256, b.Revision, v, zone, media))
		}
		_, err = tenant.FollowBlob(b.SHA256, state, storage.EventScanned, nil)
		return err
	})
}

func (y *yard) delete(t testing.TB, asset string) {
	t.Helper()
	y.inTx(t, func(tx *meta.Tx) error { _, err := tx.Tenant(y.tenant).DeleteAsset(asset); return err })
}

func (y *yard) sweep(t testing.TB) Report {
	t.Helper()
	rep, err := y.Sweep(ctx)
	require.NoError(t, err)
	require.Zero(t, rep.Failed)
	return rep
}

func (y *yard) has(t testing.TB, zone storage.Zone, key string) bool {
	t.Helper()
	_, err := y.zones.Of(zone).Stat(ctx, key)
	if errors.Is(err, blob.ErrNotExist) {
		return false
	}
	require.NoError(t, err)
	return true
}

// requireExact holds invariant 4 and that no object lies about without a row.
func (y *yard) requireExact(t testing.TB) {
	t.Helper()
	q, err := y.db.Tenant(ctx, y.tenant).Quota()
	require.NoError(t, err)
	stored, err := y.db.Tenant(ctx, y.tenant).StoredBytes()
	require.NoError(t, err)
	require.Equal(t, stored, q.Used)
	var lying int64
	for _, zone := range []storage.Zone{storage.ZoneQuarantine, storage.ZoneClean} {
		for info, err := range y.zones.Of(zone).List(ctx, y.tenant+"/", "") {
			require.NoError(t, err)
			lying += info.Size
		}
	}
	require.Equal(t, stored, lying)
}

func TestUnreferencedBlobGoesWithItsVariantsAndItsShareOfTheLedger(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		gone, kept := y.upload(t, "deleted"), y.upload(t, "kept")
		y.pass(t, "deleted")
		y.pass(t, "kept")
		y.put(t, storage.ZoneClean, storage.VariantKey(y.tenant, digestOf("deleted"), "w640", "", "webp"), "never got a row")
		y.inTx(t, func(tx *meta.Tx) error { // two assets on one blob: it stays until both are deleted
			_, err := tx.Tenant(y.tenant).LinkBlob(digestOf("kept"))
			return err
		})
		y.delete(t, gone)
		y.delete(t, kept)
		rep := y.sweep(t)
		require.Equal(t, 1, rep.Blobs)
		require.EqualValues(t, len("deleted")+4, rep.Bytes)
		require.True(t, y.has(t, storage.ZoneClean, storage.BlobKey(y.tenant, digestOf("kept"))))
		y.requireExact(t)
		require.Equal(t, Report{}, y.sweep(t), "a second sweep finds nothing")
	})
}

// sweepable is what a sweep would look at.
func (y *yard) sweepable(t testing.TB, unreferenced meta.Stamp) (list []meta.Blob) {
	t.Helper()
	for page, err := range y.db.Sweepable(ctx, unreferenced, 0, 10) {
		require.NoError(t, err)
		list = append(list, page...)
	}
	return list
}

// due is what a sweep goes on with; nothing is left out.
func (y *yard) due(t testing.TB, list []meta.Blob) []leaving {
	t.Helper()
	due, err := y.saveUnexplained(ctx, &Report{}, list)
	require.NoError(t, err)
	require.Len(t, due, len(list))
	return due
}

// The rows of assets vanish behind the system's back; the reconciliation counts anew, and the sweeper believes it. What
// comes back after that, as from a snapshot, finds its bytes.
func TestBlobThatNoDeletionLeftIsSweptByWayOfTheTrash(t *testing.T) {
	for name, duplicate := range map[string]bool{"its only asset": false, "the last of two, the other was deleted": true} {
		t.Run(name, func(t *testing.T) {
			eachTrash(t, func(t *testing.T, y *yard) {
				const content = "its asset's row is lost"
				lost := y.upload(t, content)
				y.pass(t, content)
				asset, err := y.db.Tenant(ctx, y.tenant).LiveAsset(digestOf(content))
				require.NoError(t, err)
				before := y.blobOf(t, content)
				if duplicate {
					other := asset
					other.ID = meta.NewID()
					y.inTx(t, func(tx *meta.Tx) error {
						_, err := tx.Tenant(y.tenant).LinkBlob(before.SHA256)
						return errors.Join(err, tx.Tenant(y.tenant).CreateAsset(&other))
					})
					y.delete(t, other.ID)
				}
				y.inTx(t, func(tx *meta.Tx) error { _, err := tx.Exec(`DELETE FROM assets WHERE id = ?`, lost); return err })
				f := y.finding(t, storage.DriftReferences, storage.RepairReferences, y.about(content))
				y.mend(t, f, meta.FindingRepaired)

				require.Equal(t, 1, y.sweep(t).Blobs)
				require.False(t, y.has(t, storage.ZoneClean, f.ObjectKey))
				f.Zone = storage.ZoneClean
				y.requireTrashed(t, f, content)
				y.requireNoClaim(t, f.SHA256)

				y.inTx(t, func(tx *meta.Tx) error { return tx.Tenant(y.tenant).CreateAsset(&asset) })
				y.mend(t, y.finding(t, storage.DriftAssetAlone, storage.RepairRow, y.about(content)), meta.FindingRepaired)
				require.Empty(t, y.blobOf(t, content).Damage)
				require.True(t, y.has(t, storage.ZoneQuarantine, f.ObjectKey))
			})
		})
	}
}

// A run has said that records about these bytes were lost. That somebody uploads the same and deletes them again is no
// reason to believe that nobody wants them: what comes back from a snapshot finds them in the trash.
func TestDeletionOfADuplicateDoesNotExplainRecordsThatWereLost(t *testing.T) {
	const content = "lost, uploaded by another, deleted by them"
	for name, lost := range map[string]string{
		"the asset's row": `DELETE FROM assets`,
		"all of its rows": `DELETE FROM assets; DELETE FROM variants; DELETE FROM blobs`,
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, y *yard) {
				y.whole(t, content)
				for q := range strings.SplitSeq(lost, "; ") {
					y.exec(t, q)
				}
				y.cfg.DeletedGrace = 24 * time.Hour
				y.reconcile(t, meta.RunFull)
				var again string
				y.inTx(t, func(tx *meta.Tx) error {
					again = meta.NewID()
					linked, err := tx.Tenant(y.tenant).LinkBlob(digestOf(content))
					if err != nil || !linked {
						again = ""
						return err
					}
					return tx.Tenant(y.tenant).CreateAsset(&meta.Asset{ID: again, SHA256: digestOf(content), Name: "n", NameFolded: "n", Ext: "txt",
						Category: storage.CategoryImage, MediaType: "text/plain", Size: int64(len(content)), State: storage.AssetAvailable,
						CreatedAt: meta.Now(), UpdatedAt: meta.Now()})
				})
				if again == "" {
					again = y.upload(t, content)
				}
				y.delete(t, again)
				y.cfg.DeletedGrace = 0
				require.Equal(t, 1, y.sweep(t).Blobs)
				_, found, err := y.find(ctx, y.tenant, digestOf(content), int64(len(content)))
				require.NoError(t, err)
				require.True(t, found, "its bytes are in the trash")
			})
		})
	}
}

func TestDeletedGrace(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.cfg.DeletedGrace, y.cfg.OrphanGrace = time.Hour, time.Hour
		y.delete(t, y.upload(t, "deleted a moment ago"))
		require.Equal(t, Report{}, y.sweep(t))
	})
}

func TestInterruptedSweepIsTakenOverOnlyWhenItsClaimIsOld(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.delete(t, y.upload(t, "half swept"))
		now := meta.Now()
		list := y.sweepable(t, now)
		swept, _, err := y.claimAndDelete(ctx, &Report{}, y.due(t, list), now, 0) // and here the sweeper dies
		require.NoError(t, err)
		require.Len(t, swept, 1)

		require.Equal(t, Report{}, y.sweep(t), "another sweeper leaves the claim alone")
		y.cfg.Takeover = time.Nanosecond
		require.Equal(t, 1, y.sweep(t).Blobs)
		y.requireExact(t)
	})
}

func TestUploadOfBytesThatAreBeingSweptWaitsAndStoresThemAnew(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		const content = "uploaded, deleted, uploaded again"
		y.delete(t, y.upload(t, content))
		now := meta.Now()
		list := y.sweepable(t, now)
		swept, _, err := y.claimAndDelete(ctx, &Report{}, y.due(t, list), now, 0)
		require.NoError(t, err)

		err = y.db.InTx(ctx, func(tx *meta.Tx) error { _, err := tx.Tenant(y.tenant).LinkBlob(digestOf(content)); return err })
		require.ErrorIs(t, err, meta.ErrSweeping)
		require.NoError(t, y.endSweeps(ctx, &Report{}, swept))
		y.upload(t, content)
		require.Equal(t, Report{}, y.sweepYoung(t))
		y.requireExact(t)
	})
}

// sweepYoung sweeps with a grace that spares everything the test has just put.
func (y *yard) sweepYoung(t testing.TB) Report {
	t.Helper()
	grace := y.cfg.OrphanGrace
	y.cfg.OrphanGrace = time.Hour
	defer func() { y.cfg.OrphanGrace = grace }()
	rep := y.sweep(t)
	rep.Requeued = 0 // this test's uploads queue no scan
	return rep
}

func TestLinkBeforeTheClaimSavesTheBlob(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.delete(t, y.upload(t, "wanted again"))
		now := meta.Now()
		list := y.sweepable(t, now)
		require.Len(t, list, 1)
		y.inTx(t, func(tx *meta.Tx) error {
			linked, err := tx.Tenant(y.tenant).LinkBlob(digestOf("wanted again"))
			require.True(t, linked)
			return err
		})
		swept, _, err := y.claimAndDelete(ctx, &Report{}, y.due(t, list), now, 0)
		require.NoError(t, err)
		require.Empty(t, swept)
		require.True(t, y.has(t, storage.ZoneQuarantine, storage.BlobKey(y.tenant, digestOf("wanted again"))))
	})
}

func TestSweeperThatDiesWhileItHoldsATaskLeavesAnOrdinaryOne(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.upload(t, "held")
		_, held, err := y.db.Hold(ctx, meta.BlobTask(storage.TaskScan, y.tenant, digestOf("held")), "sweeper", -time.Second)
		require.NoError(t, err)
		require.True(t, held)
		requeued, err := y.db.Reap(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 1, requeued)
		rung, err := y.db.Ring(ctx, 0, 10)
		require.NoError(t, err)
		require.Len(t, rung, 1)
	})
}

func TestInfectedAssetsEndAfterTheirRetention(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		asset := y.upload(t, "bad")
		y.verdict(t, "bad", storage.ScanInfected, storage.ZoneQuarantine, storage.MediaNone)
		require.Equal(t, Report{}, y.sweep(t))
		y.cfg.Infected = 0
		rep := y.sweep(t)
		require.Equal(t, 1, rep.Expired)
		require.Equal(t, 1, rep.Blobs)
		_, err := y.db.Tenant(ctx, y.tenant).Asset(asset)
		require.ErrorIs(t, err, storage.ErrNotFound)
		y.requireExact(t)
	})
}

func TestLostWorkIsQueuedAgainAndDeadWorkIsNot(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.upload(t, "no scan")
		y.upload(t, "dead scan")
		y.upload(t, "no variants")
		y.pass(t, "no variants")
		y.verdict(t, "no variants", storage.ScanClean, storage.ZoneClean, storage.MediaPending)
		lease, held, err := y.db.Hold(ctx, meta.BlobTask(storage.TaskScan, y.tenant, digestOf("dead scan")), "w", time.Minute)
		require.NoError(t, err)
		require.True(t, held)
		y.inTx(t, func(tx *meta.Tx) error { return tx.Bury(lease, "dead") })
		require.Equal(t, Report{Requeued: 2}, y.sweep(t))
		require.Equal(t, Report{}, y.sweep(t))
		for content, kind := range map[string]storage.TaskKind{"no scan": storage.TaskScan, "no variants": storage.TaskImage} {
			tasks, err := y.db.Tenant(ctx, y.tenant).TasksAbout(digestOf(content))
			require.NoError(t, err)
			require.Len(t, tasks, 1)
			require.Equal(t, kind, tasks[0].Kind)
		}
	})
}

func TestAbandonedReservationsAndOldRowsAreForgotten(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		gone := quota.Ledger{DB: y.db, TTL: -time.Second}
		_, err := gone.Reserve(ctx, y.tenant, 100, quota.Limits{})
		require.NoError(t, err)
		require.Equal(t, Report{Reservations: 1}, y.sweep(t))
		q, err := y.db.Tenant(ctx, y.tenant).Quota()
		require.NoError(t, err)
		require.Zero(t, q.Reserved)
	})
}
