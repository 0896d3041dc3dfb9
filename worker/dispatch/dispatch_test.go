package dispatch_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/worker/dispatch"
	"gatehouse/worker/jobs"
)

func TestEachTaskIsDoneOnceThoughRingsAreDoubledAndShuffled(t *testing.T) {
	inEachMode(t, func(t *testing.T, w world) {
		ids := w.enqueue(t, storage.TaskScan, 150)
		bells := []dispatch.Doorbell{w.doorbell(t), w.doorbell(t)}
		for _, bell := range bells {
			var rings []dispatch.Ring
			for range 3 {
				for _, id := range ids {
					rings = append(rings, dispatch.Ring{Lane: storage.LaneScan, Task: id})
				}
			}
			rings = append(rings, dispatch.Ring{Lane: storage.LaneScan, Task: "no such task"})
			rand.Shuffle(len(rings), func(i, j int) { rings[i], rings[j] = rings[j], rings[i] })
			unheard, err := bell.Ring(context.Background(), rings)
			require.NoError(t, err)
			require.Empty(t, unheard)
		}
		w.start(t, quick("one"), bells[0], nil, job(doneOnce))
		w.start(t, quick("two"), bells[1], nil, job(doneOnce))
		w.awaitAll(t, ids, storage.TaskDone)
		for _, id := range ids {
			require.Equal(t, 1, w.committed(t, id))
			require.Equal(t, 1, w.task(t, id).Attempts)
		}
	})
}

func TestLostRingsAreRungAgain(t *testing.T) {
	inEachMode(t, func(t *testing.T, w world) {
		ids := w.enqueue(t, storage.TaskScan, 20)
		rung, err := w.db.Ring(context.Background(), 0, 100)
		require.NoError(t, err)
		require.Len(t, rung, 20, "a relay marks them as rung, and dies before it rings")

		w.start(t, quick("one"), w.doorbell(t), nil, job(doneOnce))
		w.awaitAll(t, ids, storage.TaskDone)
		for _, id := range ids {
			require.Equal(t, 1, w.committed(t, id))
		}
	})
}

func TestFailedAttemptsBackOffAndEndAsDead(t *testing.T) {
	inEachMode(t, func(t *testing.T, w world) {
		ids := w.enqueue(t, storage.TaskScan, 1)
		var mu sync.Mutex
		var at []time.Time
		cfg := quick("one")
		cfg.BackoffMin, cfg.BackoffMax = 200*time.Millisecond, time.Second
		failing := job(func(context.Context, *jobs.Run) (jobs.Commit, error) {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Now())
			return nil, errors.New("no luck")
		})
		failing.Dead = func(tx *meta.Tx, task meta.Task, cause error) error {
			return tx.Tenant(task.TenantID).Record(task.ID, storage.EventMedia, map[string]any{"error": cause.Error()})
		}
		w.start(t, cfg, w.doorbell(t), nil, failing)
		w.awaitAll(t, ids, storage.TaskDead)
		task := w.task(t, ids[0])
		require.Equal(t, 3, task.Attempts)
		require.Equal(t, "no luck", task.LastError)
		require.Equal(t, 1, w.committed(t, ids[0]), "what its death means is written once")
		require.Len(t, at, 3)
		require.GreaterOrEqual(t, at[1].Sub(at[0]), 150*time.Millisecond)
		require.GreaterOrEqual(t, at[2].Sub(at[1]), 300*time.Millisecond)
	})
}

func TestOutcomeIsTheError(t *testing.T) {
	for name, tc := range map[string]struct {
		run      func(n int64) (jobs.Commit, error)
		state    storage.TaskState
		runs     int64
		attempts int
		problem  string
	}{
		"permanent": {
			run:   func(int64) (jobs.Commit, error) { return nil, jobs.Permanent(errors.New("not a picture")) },
			state: storage.TaskDead, runs: 1, attempts: 1, problem: "not a picture",
		},
		"waits cost nothing": {
			run: func(n int64) (jobs.Commit, error) {
				if n <= 5 {
					return nil, jobs.Wait(errors.New("scanner away"), 0)
				}
				return nil, nil
			},
			state: storage.TaskDone, runs: 6, attempts: 1,
		},
		"panic is a failed attempt": {
			run: func(n int64) (jobs.Commit, error) {
				if n == 1 {
					panic("boom")
				}
				return nil, nil
			},
			state: storage.TaskDone, runs: 2, attempts: 2,
		},
		"a commit may refuse for ever": {
			run: func(int64) (jobs.Commit, error) {
				return func(*meta.Tx) error { return jobs.Permanent(errors.New("too late")) }, nil
			},
			state: storage.TaskDead, runs: 1, attempts: 1, problem: "too late",
		},
		"a commit that waits": {
			run: func(n int64) (jobs.Commit, error) {
				return func(*meta.Tx) error {
					if n == 1 {
						return jobs.Wait(errors.New("moved"), 0)
					}
					return nil
				}, nil
			},
			state: storage.TaskDone, runs: 2, attempts: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inEachMode(t, func(t *testing.T, w world) {
				ids := w.enqueue(t, storage.TaskScan, 1)
				var runs atomic.Int64
				w.start(t, quick("one"), w.doorbell(t), nil, job(func(context.Context, *jobs.Run) (jobs.Commit, error) {
					return tc.run(runs.Add(1))
				}))
				w.awaitAll(t, ids, tc.state)
				require.Equal(t, tc.runs, runs.Load())
				task := w.task(t, ids[0])
				require.Equal(t, tc.attempts, task.Attempts)
				require.Equal(t, tc.problem, task.LastError)
			})
		})
	}
}

func TestJobIsCutAtItsTimeoutAndTriedAgain(t *testing.T) {
	inEachMode(t, func(t *testing.T, w world) {
		ids := w.enqueue(t, storage.TaskScan, 1)
		slow := job(func(ctx context.Context, r *jobs.Run) (jobs.Commit, error) {
			if r.Task().Attempts == 1 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return leaveEvent(r), nil
		})
		slow.Timeout = 100 * time.Millisecond
		w.start(t, quick("one"), w.doorbell(t), nil, slow)
		w.awaitAll(t, ids, storage.TaskDone)
		require.Equal(t, 2, w.task(t, ids[0]).Attempts)
	})
}

func TestSlowLaneHoldsUpNoOther(t *testing.T) {
	inEachMode(t, func(t *testing.T, w world) {
		release := make(chan struct{})
		slow := jobs.Job{
			Kind: storage.TaskVideo, Timeout: time.Minute,
			Run: func(ctx context.Context, r *jobs.Run) (jobs.Commit, error) {
				select {
				case <-release:
					return leaveEvent(r), nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			},
		}
		videos := w.enqueue(t, storage.TaskVideo, 50)
		w.start(t, quick("one"), w.doorbell(t), nil, slow, job(doneOnce))
		scans := w.enqueue(t, storage.TaskScan, 50)
		w.awaitAll(t, scans, storage.TaskDone)
		for _, id := range videos {
			require.Zero(t, w.committed(t, id))
		}
		close(release)
		w.awaitAll(t, videos, storage.TaskDone)
	})
}

func TestLongJobKeepsItsLease(t *testing.T) {
	inEachMode(t, func(t *testing.T, w world) {
		ids := w.enqueue(t, storage.TaskScan, 1)
		cfg := quick("one")
		until := make(chan struct{})
		started := make(chan struct{})
		w.start(t, cfg, w.doorbell(t), nil, job(func(ctx context.Context, r *jobs.Run) (jobs.Commit, error) {
			r.Progress(0.5)
			close(started) // a second attempt would panic here
			select {
			case <-until:
				return leaveEvent(r), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}))
		closed(t, started, "the job started")
		first := w.task(t, ids[0]).LeaseUntil
		require.Eventually(t, func() bool {
			task := w.task(t, ids[0])
			return task.LeaseUntil > first.Add(cfg.Lease) && task.Progress == 0.5
		}, patience, 50*time.Millisecond)
		close(until)
		w.awaitAll(t, ids, storage.TaskDone)
		require.Equal(t, 1, w.task(t, ids[0]).Attempts)
	})
}

func TestCancelledTaskStopsItsJobAndCommitsNothing(t *testing.T) {
	inEachMode(t, func(t *testing.T, w world) {
		ids := w.enqueue(t, storage.TaskScan, 1)
		started, stopped := make(chan struct{}), make(chan struct{})
		w.start(t, quick("one"), w.doorbell(t), nil, job(func(ctx context.Context, r *jobs.Run) (jobs.Commit, error) {
			close(started)
			<-ctx.Done()
			defer close(stopped)
			if err := r.InTx(context.Background(), func(*meta.Tx) error { return nil }); !errors.Is(err, meta.ErrLeaseLost) {
				t.Errorf("a transaction in the middle of a cancelled task: %v", err)
			}
			return leaveEvent(r), nil // as a job that does not look at its context
		}))
		closed(t, started, "the job started")
		require.NoError(t, w.db.InTx(context.Background(), func(tx *meta.Tx) error {
			return tx.Tenant(w.tenant).CancelTasks(w.task(t, ids[0]).Subject)
		}))
		closed(t, stopped, "the job noticed")
		require.Eventually(t, func() bool { return w.task(t, ids[0]).State == storage.TaskCancelled }, patience, 20*time.Millisecond)
		require.Zero(t, w.committed(t, ids[0]))
	})
}

func TestStoppingHandsRunningTasksBack(t *testing.T) {
	inEachMode(t, func(t *testing.T, w world) {
		ids := w.enqueue(t, storage.TaskScan, 2)
		var started sync.WaitGroup
		started.Add(2)
		cfg := quick("one")
		cfg.StopTimeout = 50 * time.Millisecond
		stop := w.start(t, cfg, w.doorbell(t), nil, job(func(ctx context.Context, _ *jobs.Run) (jobs.Commit, error) {
			started.Done()
			<-ctx.Done()
			return nil, ctx.Err()
		}))
		started.Wait()
		require.NoError(t, stop())
		for _, id := range ids {
			task := w.task(t, id)
			require.Equal(t, storage.TaskQueued, task.State)
			require.Zero(t, task.Attempts, "stopping is not the task's fault")
		}
		w.start(t, quick("two"), w.doorbell(t), nil, job(doneOnce))
		w.awaitAll(t, ids, storage.TaskDone)
	})
}

func TestStoppingLetsRunningTasksEnd(t *testing.T) {
	inEachMode(t, func(t *testing.T, w world) {
		ids := w.enqueue(t, storage.TaskScan, 1)
		started, release := make(chan struct{}), make(chan struct{})
		stop := w.start(t, quick("one"), w.doorbell(t), nil, job(func(_ context.Context, r *jobs.Run) (jobs.Commit, error) {
			close(started)
			<-release
			return leaveEvent(r), nil
		}))
		closed(t, started, "the job started")
		stopped := make(chan error, 1)
		go func() { stopped <- stop() }()
		close(release)
		require.NoError(t, <-stopped)
		require.Equal(t, storage.TaskDone, w.task(t, ids[0]).State)
	})
}

func TestTaskOfUnknownKindWaitsForAWorkerThatKnowsIt(t *testing.T) {
	inEachMode(t, func(t *testing.T, w world) {
		ids := w.enqueue(t, storage.TaskVideo, 1)
		w.start(t, quick("one"), w.doorbell(t), nil, job(doneOnce))
		require.Eventually(t, func() bool {
			task := w.task(t, ids[0])
			return task.State == storage.TaskQueued && task.LastError != "" && task.RunAt > meta.Now()
		}, patience, 20*time.Millisecond)
		require.Zero(t, w.task(t, ids[0]).Attempts)
	})
}

func TestPeriodicJobIsDoneByOneOfTheWorkers(t *testing.T) {
	inEachMode(t, func(t *testing.T, w world) {
		var turns atomic.Int64
		periodic := []jobs.Periodic{
			{Name: "hourly", Every: time.Hour, Do: func(context.Context) error { turns.Add(1); return nil }},
			{Name: "queues", Every: time.Hour, Do: func(ctx context.Context) error {
				return w.db.InTx(ctx, func(tx *meta.Tx) error {
					_, err := tx.Enqueue(meta.NewTask{Kind: storage.TaskScan, TenantID: w.tenant, Subject: "periodic", Unique: true})
					return err
				})
			}},
			{Name: "panics", Every: time.Hour, Do: func(context.Context) error { panic("boom") }},
		}
		for _, name := range []string{"one", "two", "three"} {
			w.start(t, quick(name), w.doorbell(t), periodic, job(doneOnce))
		}
		require.Eventually(t, func() bool {
			tasks, err := w.db.Tenant(context.Background(), w.tenant).TasksAbout("periodic")
			return err == nil && len(tasks) == 1 && tasks[0].State == storage.TaskDone && turns.Load() == 1
		}, patience, 20*time.Millisecond)
	})
}

func TestMetricsCountAttemptsAndDepths(t *testing.T) {
	w := newWorld(t, "sqlite://"+t.TempDir()+"/gatehouse.db", "")
	reg := prometheus.NewRegistry()
	list := []jobs.Job{job(func(context.Context, *jobs.Run) (jobs.Commit, error) {
		return nil, jobs.Permanent(errors.New("no"))
	})}
	d, err := dispatch.New(quick("one"), w.db, w.doorbell(t), list, nil, reg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	run(t, d)
	w.awaitAll(t, w.enqueue(t, storage.TaskScan, 2), storage.TaskDead)
	require.Eventually(t, func() bool {
		text := metricText(t, reg)
		return containsAll(text, `name:"gatehouse_tasks"`, `value:"dead"`, `name:"gatehouse_task_oldest_due_seconds"`,
			`name:"gatehouse_task_attempts_total"`, `name:"gatehouse_task_seconds"`, `counter:{value:2`)
	}, patience, 50*time.Millisecond)
}
