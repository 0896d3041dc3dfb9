package jobs_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/worker/jobs"
	"gatehouse/worker/tools/clamd"
)

var harmless = []byte("This file is harmless and a little longer than what scanners ignore.\n")

func TestScanMovesOnlyCleanFilesToTheCleanZone(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		for name, tc := range map[string]struct {
			content   []byte
			category  storage.Category
			status    storage.ScanStatus
			state     storage.AssetState
			media     storage.MediaStatus
			signature string
		}{
			"clean document": {harmless, storage.CategoryDocument, storage.ScanClean, storage.AssetAvailable, storage.MediaNone, ""},
			"clean video":    {append([]byte("v"), harmless...), storage.CategoryVideo, storage.ScanClean, storage.AssetAvailable, storage.MediaNone, ""},
			"clean image":    {append([]byte("i"), harmless...), storage.CategoryImage, storage.ScanClean, storage.AssetAvailable, storage.MediaPending, ""},
			"infected":       {[]byte(eicar), storage.CategoryDocument, storage.ScanInfected, storage.AssetRejected, storage.MediaNone, "Eicar-Test-Signature.UNOFFICIAL"},
			"encrypted":      {encryptedZip(t), storage.CategoryDocument, storage.ScanUnscannable, storage.AssetRejected, storage.MediaNone, "Heuristics.Encrypted.Zip"},
		} {
			t.Run(name, func(t *testing.T) {
				asset, digest := b.upload(t, tc.content, tc.category)
				before := b.audited(t, "scan.verdict")
				require.NoError(t, b.attempt(t, storage.TaskScan, digest))

				row := b.blob(t, digest)
				require.Equal(t, tc.status, row.ScanStatus)
				require.Equal(t, tc.signature, row.ScanSignature)
				require.Equal(t, tc.media, row.MediaStatus)
				require.Equal(t, "local:test", row.ScanDatabase)
				require.Contains(t, row.ScanEngine, "ClamAV")
				require.NotZero(t, row.ScannedAt)
				require.Equal(t, tc.state, b.stateOf(t, asset))
				require.Equal(t, []storage.EventKind{storage.EventScanned}, b.events(t, asset))
				require.Equal(t, before+1, b.audited(t, "scan.verdict"))

				here, there := storage.ZoneQuarantine, storage.ZoneClean
				if tc.status == storage.ScanClean {
					here, there = there, here
					require.Equal(t, digest, row.ScanDigest)
					require.EqualValues(t, len(tc.content), row.ScanBytes)
				}
				require.Equal(t, here, row.Zone)
				key := storage.BlobKey(b.tenant, digest)
				require.Equal(t, tc.content, b.read(t, here, key))
				_, err := b.zones.Of(there).Stat(context.Background(), key)
				require.ErrorIs(t, err, blob.ErrNotExist)
				_, queued := b.open(t, storage.TaskImage, digest)
				require.Equal(t, tc.media == storage.MediaPending, queued)
				b.requireExactLedger(t)
			})
		}
	})
}

// The object is not what the row says: the verdict is about other bytes, so there is none.
func TestVerdictAboutOtherBytesIsNoVerdict(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		asset, digest := b.upload(t, harmless, storage.CategoryDocument)
		b.put(t, storage.ZoneQuarantine, digest, bytes.ToUpper(harmless))
		for range 4 {
			err := b.attempt(t, storage.TaskScan, digest)
			require.ErrorContains(t, err, "not about the blob")
			require.False(t, jobs.IsPermanent(err))
		}
		require.True(t, jobs.IsPermanent(b.attempt(t, storage.TaskScan, digest)), "an operator gets to see it")
		b.requireDead(t, digest)
		require.Equal(t, storage.ScanPending, b.blob(t, digest).ScanStatus)
		require.Equal(t, storage.AssetQuarantined, b.stateOf(t, asset))
		require.Empty(t, b.objects(t, storage.ZoneClean))
	})
}

func TestMissingAndCutObjectsAreTriedThenDead(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		_, missing := b.upload(t, harmless, storage.CategoryDocument)
		require.NoError(t, b.zones.Quarantine.Delete(context.Background(), storage.BlobKey(b.tenant, missing)))
		_, cut := b.upload(t, []byte("another harmless file, of which half is lost"), storage.CategoryDocument)
		b.put(t, storage.ZoneQuarantine, cut, []byte("another harmless"))
		for _, digest := range []string{missing, cut} {
			for n := 1; n <= 5; n++ {
				err := b.attempt(t, storage.TaskScan, digest)
				require.Error(t, err)
				if digest == missing {
					require.ErrorIs(t, err, blob.ErrNotExist)
				} else {
					require.ErrorIs(t, err, blob.ErrSize)
				}
				require.Equal(t, n == 5, jobs.IsPermanent(err))
			}
			b.requireDead(t, digest)
			require.Equal(t, storage.ScanPending, b.blob(t, digest).ScanStatus)
		}
		require.Empty(t, b.objects(t, storage.ZoneClean))
	})
}

func TestFilesWaitWhileTheScannerIsAway(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		asset, digest := b.upload(t, harmless, storage.CategoryDocument)
		b.unplugScanner(t)
		for range 20 {
			_, waits := jobs.WaitOf(b.attempt(t, storage.TaskScan, digest))
			require.True(t, waits)
		}
		task, ok := b.open(t, storage.TaskScan, digest)
		require.True(t, ok)
		require.Zero(t, task.Attempts)
		require.Equal(t, storage.AssetQuarantined, b.stateOf(t, asset))
		b.plugScanner(t)
		require.NoError(t, b.attempt(t, storage.TaskScan, digest))
		require.Equal(t, storage.AssetAvailable, b.stateOf(t, asset))
	})
}

func TestRescanRenewsAGoodVerdict(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		_, digest := b.upload(t, harmless, storage.CategoryDocument)
		require.NoError(t, b.attempt(t, storage.TaskScan, digest))
		first := b.blob(t, digest)
		// A duplicate that came in with an old verdict and waits for the new one.
		second := meta.NewID()
		b.inTx(t, func(tx *meta.Tx) error {
			linked, err := tx.Tenant(b.tenant).LinkBlob(digest)
			require.True(t, linked)
			require.NoError(t, err)
			return tx.Tenant(b.tenant).CreateAsset(b.asset(second, digest, int64(len(harmless)), storage.CategoryDocument))
		})
		b.queue(t, storage.TaskScan, digest)
		require.NoError(t, b.attempt(t, storage.TaskScan, digest))
		now := b.blob(t, digest)
		require.Equal(t, storage.ZoneClean, now.Zone)
		require.Greater(t, now.ScannedAt, first.ScannedAt)
		require.Equal(t, storage.AssetAvailable, b.stateOf(t, second))
		require.Equal(t, harmless, b.read(t, storage.ZoneClean, storage.BlobKey(b.tenant, digest)))
		b.requireExactLedger(t)
	})
}

// passOnce brings a bad file into the clean zone, as an older signature database would have, with two variants.
func passOnce(t *testing.T, b *bench, content []byte) (asset, digest string) {
	t.Helper()
	asset, digest = b.upload(t, content, storage.CategoryImage)
	r := b.claim(t, storage.TaskScan, digest)
	require.NoError(t, b.zones.Promote(context.Background(), storage.BlobKey(b.tenant, digest)))
	require.NoError(t, b.zones.Quarantine.Delete(context.Background(), storage.BlobKey(b.tenant, digest)))
	b.inTx(t, func(tx *meta.Tx) error {
		require.NoError(t, tx.Finish(r.Lease))
		tenant := tx.Tenant(b.tenant)
		old := storage.Verdict{
			Status: storage.ScanClean, Engine: "old", Database: "old", BytesScanned: int64(len(content)), Digest: digest, ScannedAt: time.Now(),
		}
		require.NoError(t, tenant.SetVerdict(digest, 0, old, storage.ZoneClean, storage.MediaPending))
		require.NoError(t, tenant.SetMedia(digest, 1, storage.MediaDone, 1, nil))
		_, err := tenant.FollowBlob(digest, storage.AssetAvailable, storage.EventScanned, nil)
		require.NoError(t, err)
		for _, preset := range []string{"w320", "w640"} {
			created, err := tenant.CreateVariant(&meta.Variant{SHA256: digest, Preset: preset, Ext: "webp", Size: 4, CreatedAt: meta.Now()})
			require.NoError(t, err)
			require.True(t, created)
			require.NoError(t, b.ledger.Charge(tx, b.tenant, 4))
		}
		return nil
	})
	for _, preset := range []string{"w320", "w640"} {
		key := storage.VariantKey(b.tenant, digest, preset, "", "webp")
		require.NoError(t, b.zones.Clean.Put(context.Background(), key, bytes.NewReader([]byte("webp")), 4, blob.PutOptions{}))
	}
	b.requireExactLedger(t)
	return asset, digest
}

func TestRescanThatFindsSomethingTakesEverythingBack(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		asset, digest := passOnce(t, b, []byte(eicar))
		_, neighbour := passOnce(t, b, harmless)
		b.queue(t, storage.TaskImage, digest)
		b.queue(t, storage.TaskScan, digest)
		require.NoError(t, b.attempt(t, storage.TaskScan, digest))

		row := b.blob(t, digest)
		require.Equal(t, storage.ScanInfected, row.ScanStatus)
		require.Equal(t, storage.ZoneQuarantine, row.Zone)
		require.Equal(t, storage.MediaNone, row.MediaStatus)
		require.Equal(t, storage.AssetRejected, b.stateOf(t, asset))
		require.Equal(t, []byte(eicar), b.read(t, storage.ZoneQuarantine, storage.BlobKey(b.tenant, digest)))
		require.Len(t, b.objects(t, storage.ZoneClean), 3, "the neighbour's original and variants are left alone")
		variants, err := b.db.Tenant(context.Background(), b.tenant).Variants(neighbour)
		require.NoError(t, err)
		require.Len(t, variants, 2)
		_, open := b.open(t, storage.TaskImage, digest)
		require.False(t, open, "no variants of it are made any more")
		b.requireExactLedger(t)
	})
}

func TestFalseAlarmIsMendedByARescan(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		asset, digest := b.upload(t, harmless, storage.CategoryImage)
		r := b.claim(t, storage.TaskScan, digest)
		b.inTx(t, func(tx *meta.Tx) error {
			require.NoError(t, tx.Finish(r.Lease))
			bad := storage.Verdict{Status: storage.ScanInfected, Signature: "False.Alarm", Engine: "old", Database: "old", ScannedAt: time.Now()}
			require.NoError(t, tx.Tenant(b.tenant).SetVerdict(digest, 0, bad, storage.ZoneQuarantine, storage.MediaNone))
			_, err := tx.Tenant(b.tenant).FollowBlob(digest, storage.AssetRejected, storage.EventScanned, nil)
			return err
		})
		b.queue(t, storage.TaskScan, digest)
		require.NoError(t, b.attempt(t, storage.TaskScan, digest))
		require.Equal(t, storage.AssetAvailable, b.stateOf(t, asset))
		require.Equal(t, storage.MediaPending, b.blob(t, digest).MediaStatus)
		b.requireExactLedger(t)
	})
}

// A worker loses its lease, another takes the task; both scan to the end.
func TestTwoScansOfOneBlobAtOnceAreHarmless(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		for _, content := range [][]byte{harmless, []byte(eicar)} {
			_, digest := b.upload(t, content, storage.CategoryImage)
			task, _ := b.open(t, storage.TaskScan, digest)
			var runs [2]*jobs.Run
			for i := range runs {
				lease := time.Duration(2*i-1) * time.Minute // the first is over at once
				l, won, err := b.db.Claim(context.Background(), task.ID, "test", lease)
				require.NoError(t, err)
				require.True(t, won)
				runs[i] = jobs.NewRun(b.db, l, b.claimLog(t))
				if i == 0 {
					_, err := b.db.Reap(context.Background())
					require.NoError(t, err)
				}
			}
			var errs [2]error
			var wg sync.WaitGroup
			for i, r := range runs {
				wg.Go(func() {
					commit, err := b.job(t, storage.TaskScan).Run(context.Background(), r)
					for err != nil { // the other one's copy touched the file under the scanner: the next attempt
						commit, err = b.job(t, storage.TaskScan).Run(context.Background(), r)
					}
					errs[i] = b.finish(r, commit)
				})
			}
			wg.Wait()
			require.ErrorIs(t, errs[0], meta.ErrLeaseLost)
			require.NoError(t, errs[1])
			runs[1].Tidy(context.Background())
			b.requireExactLedger(t)
		}
	})
}

func TestScanOfWhatNobodyWantsEndsWithoutAVerdict(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		asset, digest := b.upload(t, harmless, storage.CategoryDocument)
		b.inTx(t, func(tx *meta.Tx) error { _, err := tx.Tenant(b.tenant).DeleteAsset(asset); return err })

		// A duplicate arrives while the task is about to end for want of a reference: the task goes on for it.
		_, waits := jobs.WaitOf(b.attemptAfter(t, storage.TaskScan, digest, func() {
			b.inTx(t, func(tx *meta.Tx) error { _, err := tx.Tenant(b.tenant).LinkBlob(digest); return err })
			b.queue(t, storage.TaskScan, digest)
		}))
		require.True(t, waits)
		require.NoError(t, b.attempt(t, storage.TaskScan, digest))
		require.Equal(t, storage.ScanClean, b.blob(t, digest).ScanStatus)

		last, gone := b.upload(t, []byte("a file whose row will be gone"), storage.CategoryDocument)
		b.inTx(t, func(tx *meta.Tx) error {
			_, err := tx.Tenant(b.tenant).DeleteAsset(last)
			require.NoError(t, err)
			won, err := tx.BeginSweep(b.tenant, gone, meta.Now(), 0)
			require.True(t, won)
			return err
		})
		require.NoError(t, b.attempt(t, storage.TaskScan, gone))
		require.Equal(t, storage.ScanPending, b.blob(t, gone).ScanStatus)
	})
}

// A sweep begins between the scan and its commit: the verdict is not written, the copy is an orphan.
func TestScanOvertakenByASweepWritesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		_, digest := b.upload(t, harmless, storage.CategoryDocument)
		require.NoError(t, b.attemptAfter(t, storage.TaskScan, digest, func() {
			b.inTx(t, func(tx *meta.Tx) error {
				_, err := tx.Exec(`UPDATE blobs SET sweeping = ?, revision = revision + 1 WHERE sha256 = ?`, true, digest)
				return err
			})
		}))
		require.Equal(t, storage.ScanPending, b.blob(t, digest).ScanStatus)
	})
}

// A rescan finished with another zone in the time between look and commit: the scan begins anew.
func TestScanOfABlobThatMovedBeginsAnew(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		_, digest := b.upload(t, harmless, storage.CategoryDocument)
		err := b.attemptAfter(t, storage.TaskScan, digest, func() {
			b.inTx(t, func(tx *meta.Tx) error {
				_, err := tx.Exec(`UPDATE blobs SET zone = ?, revision = revision + 1 WHERE sha256 = ?`, storage.ZoneClean, digest)
				return err
			})
		})
		_, waits := jobs.WaitOf(err)
		require.True(t, waits, "%v", err)
		require.NoError(t, b.attempt(t, storage.TaskScan, digest))
		require.Equal(t, storage.ScanClean, b.blob(t, digest).ScanStatus)
	})
}

// The bundled test signatures find no real threat: what they find nothing in is not clean because of it.
func TestTestSignaturesAcquitNoInfectedFile(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		database := clamd.TestSignaturesPrefix + "0123"
		scanner, err := clamd.New(clamd.Config{
			Address: "unix://" + b.link, TempDir: t.TempDir(), Timeout: time.Minute,
			Fingerprint: func(context.Context) (string, error) { return database, nil },
		})
		require.NoError(t, err)
		b.deps.Scanner = scanner
		asset, digest := b.upload(t, harmless, storage.CategoryDocument)
		bad := storage.Verdict{
			Status: storage.ScanInfected, Signature: "Win.Worm", Engine: "ClamAV", Database: "daily:27800", BytesScanned: int64(len(harmless)),
			Digest: digest, ScannedAt: time.Now(),
		}
		b.inTx(t, func(tx *meta.Tx) error {
			tenant := tx.Tenant(b.tenant)
			require.NoError(t, tenant.SetVerdict(digest, 0, bad, storage.ZoneQuarantine, storage.MediaNone))
			_, err := tenant.FollowBlob(digest, storage.AssetRejected, storage.EventScanned, nil)
			return err
		})
		require.NoError(t, b.attempt(t, storage.TaskScan, digest))
		row := b.blob(t, digest)
		require.Equal(t, storage.ScanInfected, row.ScanStatus)
		require.Equal(t, "Win.Worm", row.ScanSignature)
		require.Equal(t, "daily:27800", row.ScanDatabase)
		require.Equal(t, storage.ZoneQuarantine, row.Zone)
		require.Equal(t, storage.AssetRejected, b.stateOf(t, asset))

		database = "daily:27801"
		b.queue(t, storage.TaskScan, digest)
		require.NoError(t, b.attempt(t, storage.TaskScan, digest))
		require.Equal(t, storage.AssetAvailable, b.stateOf(t, asset), "a real database may")
	})
}
