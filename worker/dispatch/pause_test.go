package dispatch_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/worker/jobs"
)

// pauseLane pauses a lane, or lets it go on.
func (w world) pauseLane(t testing.TB, lane storage.Lane, paused bool) {
	t.Helper()
	require.NoError(t, w.db.InTx(context.Background(), func(tx *meta.Tx) error {
		if paused {
			_, err := tx.PauseLane(lane, "operator", "test")
			return err
		}
		_, _, err := tx.ResumeLane(lane)
		return err
	}))
}

func TestPausedLaneStartsNothingAndLosesNothing(t *testing.T) {
	inEachMode(t, func(t *testing.T, w world) {
		began, release := make(chan struct{}), make(chan struct{})
		var first atomic.Bool
		scan := job(func(ctx context.Context, r *jobs.Run) (jobs.Commit, error) {
			if first.CompareAndSwap(false, true) {
				close(began)
				<-release
			}
			return leaveEvent(r), nil
		})
		sweep := jobs.Job{Kind: storage.TaskSweep, Timeout: time.Minute, Run: doneOnce}
		cfg := quick("one")
		cfg.Lanes[storage.LaneScan] = 1
		// Rung before the pause: their messages are in the queue, and are heard while the lane is paused.
		before := w.enqueue(t, storage.TaskScan, 5)
		stop := w.start(t, cfg, w.doorbell(t), nil, scan, sweep)
		closed(t, began, "the first task begins")
		w.pauseLane(t, storage.LaneScan, true)
		after := w.enqueue(t, storage.TaskScan, 5)
		close(release)

		// The running one ends; another lane goes on; nothing else of this one does, though its slot is free.
		require.Eventually(t, func() bool {
			n := 0
			for _, id := range before {
				n += w.committed(t, id)
			}
			return n == 1
		}, patience, 25*time.Millisecond)
		w.awaitAll(t, w.enqueue(t, storage.TaskSweep, 20), storage.TaskDone)
		queued := 0
		for _, id := range append(before, after...) {
			if w.task(t, id).State == storage.TaskQueued {
				queued++
			}
		}
		require.Equal(t, 9, queued)
		for _, id := range after {
			require.Zero(t, w.task(t, id).RungAt, "nobody rings for a paused lane")
		}

		// A restart keeps the pause.
		require.NoError(t, stop())
		w.start(t, quick("two"), w.doorbell(t), nil, scan, sweep)
		w.awaitAll(t, w.enqueue(t, storage.TaskSweep, 5), storage.TaskDone)
		for _, id := range after {
			require.Equal(t, storage.TaskQueued, w.task(t, id).State)
		}

		w.pauseLane(t, storage.LaneScan, false)
		w.awaitAll(t, append(before, after...), storage.TaskDone)
		for _, id := range append(before, after...) {
			require.Equal(t, 1, w.committed(t, id))
		}
	})
}
