package reconcile

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// verify reads again as one run does, and returns the run and what it reported.
func (y *yard) verify(t testing.TB) (meta.ReconcileRun, []meta.ReconcileFinding) {
	t.Helper()
	run := meta.ReconcileRun{StartedAt: meta.Now()}
	var found []meta.ReconcileFinding
	require.NoError(t, y.verifyDigests(ctx, nil, &run, unsaved, func(f meta.ReconcileFinding) error {
		found = append(found, f)
		return nil
	}))
	return run, found
}

func unsaved(*meta.Tx, float64) error { return nil }

func TestEveryBlobIsReadAgainWithinTheDays(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		const blobs = 12
		for n := range blobs {
			y.upload(t, fmt.Sprintf("blob %03d", n))
		}
		revision := y.blobOf(t, "blob 000").Revision
		y.cfg.Digests.Days = 4
		var read int64
		for range y.cfg.Digests.Days {
			run, found := y.verify(t)
			require.Empty(t, found)
			require.Empty(t, run.Problem)
			require.EqualValues(t, blobs/y.cfg.Digests.Days, run.Verified)
			require.EqualValues(t, 8*run.Verified, run.VerifiedBytes)
			read += run.Verified
		}
		require.EqualValues(t, blobs, read)
		first := y.blobOf(t, "blob 000")
		require.NotZero(t, first.VerifiedAt)
		require.Equal(t, revision, first.Revision, "it says nothing new about the blob")
		for n := range blobs {
			require.NotZero(t, y.blobOf(t, fmt.Sprintf("blob %03d", n)).VerifiedAt)
		}
	})
}

func TestBudgetOfANight(t *testing.T) {
	for _, test := range []struct {
		d       Digests
		stored  int64
		budget  int64
		problem string
	}{
		{Digests{}, 3000, 100, ""},
		{Digests{}, 3001, 101, ""},
		{Digests{}, 0, 0, ""},
		{Digests{Days: 10, BytesPerNight: 500}, 3000, 500, ""},
		{Digests{Days: 10, BytesPerNight: 200}, 3000, 200,
			"reconcile.digest_bytes_per_night allows 200 bytes a night; to read all 3000 bytes within 10 days takes 300."},
	} {
		budget, problem := test.d.orDefaults().budget(test.stored)
		require.Equal(t, test.budget, budget)
		require.Equal(t, test.problem, problem)
	}
}

// An attempt that dies has spent what it read: the next one goes on with what is left.
func TestBudgetIsSpentOnceWhateverDies(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		for n := range 4 {
			y.upload(t, fmt.Sprint("blob ", n))
		}
		y.fitLedger(t)
		y.cfg.Digests = Digests{Days: 1, BytesPerNight: 12} // two blobs of 6 bytes
		run := y.begin(t, meta.RunFull)
		died := errors.New("the power is out")
		verified := 0
		_, err := y.Perform(ctx, run.ID, func(*meta.Tx) error {
			if verified > 0 {
				return died
			}
			return nil
		}, func(share float64) {
			if verified++; share != 1 {
				t.Error(share)
			}
		})
		require.ErrorIs(t, err, died)
		run, err = y.db.RunBy(ctx, run.ID)
		require.NoError(t, err)
		require.EqualValues(t, 12, run.VerifiedBytes, "it is in the row, with the blobs")
		run, err = y.Perform(ctx, run.ID, nil, nil)
		require.NoError(t, err)
		require.EqualValues(t, 2, run.Verified)
		require.Contains(t, run.Problem, "digest_bytes_per_night")
	})
}

func TestBudgetThatIsTooSmallIsSaidAndStillReadsOneBlob(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.upload(t, "one")
		y.upload(t, "two")
		y.cfg.Digests = Digests{Days: 1, BytesPerNight: 1}
		run, _ := y.verify(t)
		require.EqualValues(t, 1, run.Verified)
		require.Contains(t, run.Problem, "digest_bytes_per_night")
	})
}

func TestWrongBytesAreReportedAndMarked(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.cfg.Digests.Days = 1
		y.upload(t, "rots")
		y.pass(t, "rots")
		y.upload(t, "lost")
		y.upload(t, "cut")
		y.upload(t, "stays")
		y.put(t, storage.ZoneClean, storage.BlobKey(y.tenant, digestOf("rots")), "ROTS")
		y.lose(t, storage.ZoneQuarantine, storage.BlobKey(y.tenant, digestOf("lost")))
		y.put(t, storage.ZoneQuarantine, storage.BlobKey(y.tenant, digestOf("cut")), "c")
		run, found := y.verify(t)
		require.EqualValues(t, 4, run.Verified)
		require.Len(t, found, 1, "what is missing or too short is the comparison's")
		require.Equal(t, digestOf("rots"), found[0].SHA256)
		require.Zero(t, y.blobOf(t, "rots").VerifiedAt)
		require.Zero(t, y.blobOf(t, "lost").VerifiedAt)
		require.NotZero(t, y.blobOf(t, "stays").VerifiedAt)

		y.mend(t, y.finding(t, found[0].Kind, found[0].Repair, found[0]), meta.FindingMarked)
		require.Equal(t, storage.DamageDigest, y.blobOf(t, "rots").Damage)
		_, found = y.verify(t)
		require.Empty(t, found, "what is known is not reported again")
	})
}

// One bad sector must not keep the rest from being read, night after night; and it is no reason to give the bytes up.
func TestObjectThatCannotBeReadIsNamedAndTheRunGoesOn(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.cfg.Digests.Days = 1
		y.upload(t, "bad sector")
		y.upload(t, "stays")
		bad := &faulty{Bucket: y.zones.Quarantine, unreadable: storage.BlobKey(y.tenant, digestOf("bad sector"))}
		y.zones.Quarantine = bad
		_, found := y.verify(t)
		require.Len(t, found, 1)
		require.Equal(t, bad.unreadable, found[0].ObjectKey)
		require.Contains(t, found[0].Detail, "cannot be read")
		require.NotZero(t, y.blobOf(t, "stays").VerifiedAt)
		got := y.mend(t, y.finding(t, found[0].Kind, found[0].Repair, found[0]), meta.FindingFailed)
		require.Contains(t, got.Problem, "input/output error")
		require.Empty(t, y.blobOf(t, "bad sector").Damage)

		away := errors.Join(blob.ErrUnavailable, errors.New("no route to it"))
		bad.ready = away
		run := meta.ReconcileRun{StartedAt: meta.Now()}
		err := y.verifyDigests(ctx, nil, &run, unsaved, func(meta.ReconcileFinding) error { t.Error("the store is away"); return nil })
		require.ErrorIs(t, err, blob.ErrUnavailable)
	})
}

func TestWrongVariantIsMadeAnew(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.cfg.Digests.Days = 1
		y.upload(t, "picture")
		y.pass(t, "picture")
		y.inTx(t, func(tx *meta.Tx) error {
			_, err := tx.Exec(`UPDATE variants SET digest = ?`, digestOf("webp"))
			return err
		})
		_, found := y.verify(t)
		require.Empty(t, found)
		key := storage.VariantKey(y.tenant, digestOf("picture"), "w320", "", "webp")
		y.put(t, storage.ZoneClean, key, "WEBP")
		_, found = y.verify(t)
		require.Len(t, found, 1)
		require.Equal(t, key, found[0].ObjectKey)
		y.zones.Clean = &faulty{Bucket: y.zones.Clean, opening: func(ctx context.Context) {
			_, bounded := ctx.Deadline()
			require.False(t, bounded, "a large one takes its time: it is not read while its task is held")
		}}
		y.mend(t, y.finding(t, found[0].Kind, found[0].Repair, found[0]), meta.FindingRepaired)
		require.True(t, y.open(t, storage.TaskImage, "picture"))
	})
}

func TestReadingEndsWithTheRun(t *testing.T) {
	p := pace{rate: 1, begun: time.Now()}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, p.wait(ended, 1<<20), context.Canceled)
	fast := pace{rate: 1 << 40, begun: time.Now()}
	require.NoError(t, fast.wait(ctx, 1<<10))
}
