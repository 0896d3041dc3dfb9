package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/worker/jobs"
)

// Config says how tasks are claimed, retried and shared out. Zero durations and counts take the defaults beside them.
type Config struct {
	// Worker names this process in leases and logs, at most 55 bytes: host and process id.
	Worker string
	// Lease is how long a claimed task is this worker's without a heartbeat (30 s).
	Lease time.Duration
	// Heartbeat is how often leases are extended (10 s); at most half of Lease.
	Heartbeat time.Duration
	// PollInterval is how often the relay looks for due tasks (100 ms).
	PollInterval time.Duration
	// MaxAttempts before a task is buried (10).
	MaxAttempts int
	// BackoffMin is the pause after the first failed attempt (2 s); it doubles with each, up to BackoffMax (10 min).
	BackoffMin time.Duration
	BackoffMax time.Duration
	// StopTimeout is how long running jobs may go on when the worker stops (20 s).
	StopTimeout time.Duration
	// Lanes says how many tasks of each lane run at once here; a lane without slots is not served.
	Lanes map[storage.Lane]int
}

// stopGrace is what jobs get to notice that their context was cancelled, and their tasks to be handed back.
const stopGrace = 10 * time.Second

// Dispatcher runs tasks. Make it with New, run it once.
type Dispatcher struct {
	cfg      Config
	db       *meta.DB
	bell     Doorbell
	jobs     map[storage.TaskKind]jobs.Job
	periodic []jobs.Periodic
	log      *slog.Logger
	metrics  *metrics
	nudge    chan struct{}
}

// New checks the configuration; nothing runs yet. reg gets the metrics.
func New(cfg Config, db *meta.DB, bell Doorbell, list []jobs.Job, periodic []jobs.Periodic, reg prometheus.Registerer, log *slog.Logger) (*Dispatcher, error) {
	cfg.Lease = cmp.Or(cfg.Lease, 30*time.Second)
	cfg.Heartbeat = cmp.Or(cfg.Heartbeat, 10*time.Second)
	cfg.PollInterval = cmp.Or(cfg.PollInterval, 100*time.Millisecond)
	cfg.MaxAttempts = cmp.Or(cfg.MaxAttempts, 10)
	cfg.BackoffMin = cmp.Or(cfg.BackoffMin, 2*time.Second)
	cfg.BackoffMax = cmp.Or(cfg.BackoffMax, 10*time.Minute)
	cfg.StopTimeout = cmp.Or(cfg.StopTimeout, 20*time.Second)
	switch {
	case cfg.Worker == "" || len(cfg.Worker) > 55:
		return nil, fmt.Errorf("dispatch: the worker's name must have 1 to 55 bytes, has %d", len(cfg.Worker))
	case cfg.Heartbeat > cfg.Lease/2:
		return nil, fmt.Errorf("dispatch: a heartbeat every %s cannot keep a lease of %s", cfg.Heartbeat, cfg.Lease)
	}
	d := &Dispatcher{
		cfg: cfg, db: db, bell: bell, jobs: map[storage.TaskKind]jobs.Job{}, periodic: periodic, log: log,
		nudge: make(chan struct{}, 1),
	}
	for _, j := range list {
		if _, twice := d.jobs[j.Kind]; twice {
			return nil, fmt.Errorf("dispatch: two jobs for tasks of kind %s", j.Kind)
		}
		d.jobs[j.Kind] = j
	}
	var err error
	d.metrics, err = newMetrics(reg, db, log)
	return d, err
}

// Nudge makes the relay look at once: this process has queued something.
func (d *Dispatcher) Nudge() {
	select {
	case d.nudge <- struct{}{}:
	default:
	}
}

// Run serves the lanes until ctx ends and the running jobs have; it returns an error when some did not in time.
func (d *Dispatcher) Run(ctx context.Context) error {
	work, abandon := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abandon(nil)

	var loops, slots sync.WaitGroup
	loops.Go(func() { d.relay(ctx) })
	loops.Go(func() { d.reap(ctx) })
	for _, p := range d.periodic {
		loops.Go(func() { d.repeat(ctx, p) })
	}
	for lane, n := range d.cfg.Lanes {
		if n <= 0 {
			continue
		}
		bells := d.bell.Bells(ctx, lane, n)
		for range n {
			slots.Go(func() { d.serve(ctx, work, bells) })
		}
	}

	<-ctx.Done()
	idle := make(chan struct{})
	go func() { slots.Wait(); close(idle) }()
	err := d.stop(idle, abandon)
	loops.Wait()
	return err
}

// stop waits for the slots, first patiently, then insisting.
func (d *Dispatcher) stop(idle <-chan struct{}, abandon context.CancelCauseFunc) error {
	select {
	case <-idle:
		return nil
	case <-time.After(d.cfg.StopTimeout):
	}
	abandon(errStopping)
	select {
	case <-idle:
		return nil
	case <-time.After(stopGrace):
		return errors.New("dispatch: a job did not stop; its task will be taken up when its lease has run out")
	}
}

// pause waits, and reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// backoff is the pause after the n-th failure in a row: doubling, between lo and hi, the last quarter at random so
// that what failed together does not return together.
func backoff(n int, lo, hi time.Duration) time.Duration {
	d := hi
	if n < 32 && lo<<(n-1) < hi && lo<<(n-1) > 0 {
		d = lo << (n - 1)
	}
	return d - time.Duration(rand.Int64N(int64(d)/4+1))
}
