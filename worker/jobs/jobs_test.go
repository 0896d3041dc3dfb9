package jobs_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/worker/jobs"
)

func TestEveryKindHasOneJob(t *testing.T) {
	lanes := map[storage.TaskKind]storage.Lane{
		storage.TaskScan: storage.LaneScan, storage.TaskImage: storage.LaneImage, storage.TaskSweep: storage.LaneHousekeeping,
		// Nothing queues storage.TaskVideo: a clean video is available with media status "none".
	}
	seen := map[storage.TaskKind]bool{}
	for _, j := range jobs.List(jobs.Deps{ScanTimeout: time.Minute, ImageTimeout: time.Minute}) {
		require.False(t, seen[j.Kind], "two jobs for %s", j.Kind)
		seen[j.Kind] = true
		require.Equal(t, lanes[j.Kind], j.Lane, "lane of %s", j.Kind)
		require.NotNil(t, j.Run)
		require.Positive(t, j.Timeout)
	}
	require.Len(t, seen, len(lanes))
}

func TestScheduleQueuesTheSweepOnce(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		for range 3 {
			for _, p := range jobs.Schedule(b.deps) {
				require.NoError(t, p.Do(context.Background()))
			}
		}
		depths, err := b.db.Depths(context.Background())
		require.NoError(t, err)
		require.Len(t, depths, 1)
		require.EqualValues(t, 1, depths[0].Count)
		require.Equal(t, storage.LaneHousekeeping, depths[0].Lane)
	})
}

func TestScannerFactFollowsTheScanner(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			jobs.WatchScanner(ctx, b.db, b.deps.Scanner, 20*time.Millisecond, b.claimLog(t))
		}()
		fact := func(want func(meta.ScannerFact) bool) {
			t.Helper()
			require.Eventually(t, func() bool {
				f, err := b.db.Scanner(context.Background())
				return err == nil && want(f)
			}, time.Minute, 20*time.Millisecond)
		}
		fact(func(f meta.ScannerFact) bool {
			return f.Ready && f.Database == "local:test" && f.Engine != "" && f.Problem == ""
		})
		b.unplugScanner(t)
		fact(func(f meta.ScannerFact) bool { return !f.Ready && f.Problem != "" })
		b.plugScanner(t)
		fact(func(f meta.ScannerFact) bool { return f.Ready })
		cancel()
		<-ended
	})
}
