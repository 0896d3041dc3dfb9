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
		storage.TaskVideo: storage.LaneVideo, storage.TaskPurge: storage.LaneHousekeeping, storage.TaskReconcile: storage.LaneHousekeeping,
		storage.TaskSnapshot: storage.LaneHousekeeping, storage.TaskVerify: storage.LaneHousekeeping,
		storage.TaskBulk: storage.LaneHousekeeping,
	}
	seen := map[storage.TaskKind]bool{}
	for _, j := range jobs.List(jobs.Deps{ScanTimeout: time.Minute, ImageTimeout: time.Minute, VideoTimeout: time.Minute}) {
		require.False(t, seen[j.Kind], "two jobs for %s", j.Kind)
		seen[j.Kind] = true
		require.Equal(t, lanes[j.Kind], storage.LaneOf(j.Kind), "lane of %s", j.Kind)
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
		watch := jobs.NewScannerWatch(b.db, b.deps.Scanner, 20*time.Millisecond, b.claimLog(t))
		require.False(t, watch.Last().Ready, "nobody has looked yet")
		run := func() { defer close(ended); watch.Run(ctx) }
		go run()
		fact := func(want func(meta.ScannerFact) bool) {
			t.Helper()
			require.Eventually(t, func() bool {
				f, err := b.db.Scanner(context.Background())
				return err == nil && want(f) && want(watch.Last())
			}, time.Minute, 20*time.Millisecond)
		}
		healthy := func(f meta.ScannerFact) bool {
			return f.Ready && f.Database == "local:test" && f.Engine != "" && f.Problem == "" && f.NextCheck > f.CheckedAt
		}
		away := func(f meta.ScannerFact) bool {
			return !f.Ready && f.Problem != "" && f.Database == "local:test" && f.Engine != ""
		}
		fact(healthy)
		b.unplugScanner(t)
		fact(away)
		cancel()
		<-ended

		// A worker that starts while the scanner is away does not wipe what was known either.
		ctx, cancel = context.WithCancel(context.Background())
		defer cancel()
		ended = make(chan struct{})
		watch = jobs.NewScannerWatch(b.db, b.deps.Scanner, 20*time.Millisecond, b.claimLog(t))
		go run()
		fact(away)
		b.plugScanner(t)
		fact(healthy)
		cancel()
		<-ended
	})
}
