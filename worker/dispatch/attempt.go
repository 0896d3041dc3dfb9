package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/worker/jobs"
)

var (
	// errStopping cancels jobs that outlast the worker's StopTimeout.
	errStopping = errors.New("the worker is stopping")
	// errWorkersDie buries a task whose workers died with it, attempt after attempt.
	errWorkersDie = errors.New("the worker died or lost its lease, too often")
	// errNoJob: a newer program queued it, and a newer worker will know.
	errNoJob = errors.New("this worker has no job for tasks of this kind")
)

// unknownKindPause is how long a task of an unknown kind is left for a worker that knows it.
const unknownKindPause = time.Minute

// Attempt runs the job of a claimed task, settles its outcome, and returns why it did not succeed. Run calls it for
// every task; it is exported for who wants one task done at a time.
func (d *Dispatcher) Attempt(work context.Context, l meta.Lease) error {
	t := l.Task
	log := d.log.With("task", t.ID, "kind", t.Kind, "tenant", t.TenantID, "subject", t.Subject, "attempt", t.Attempts)
	job, known := d.jobs[t.Kind]
	done := d.metrics.begin(t)
	var out result
	var cause error
	switch {
	case !known:
		cause = jobs.Wait(errNoJob, unknownKindPause)
		out = d.fail(work, job, l, log, cause)
	case t.Attempts > d.cfg.MaxAttempts:
		cause = jobs.Permanent(errWorkersDie)
		out = d.fail(work, job, l, log, cause)
	default:
		out, cause = d.try(work, job, l, log)
	}
	done(out)
	d.Nudge() // the commit may have queued more
	return cause
}

// try runs the job under its lease.
func (d *Dispatcher) try(work context.Context, job jobs.Job, l meta.Lease, log *slog.Logger) (result, error) {
	ctx, cancel := context.WithCancelCause(work)
	defer cancel(nil)
	run := jobs.NewRun(d.db, l, log)
	beating := make(chan struct{})
	go func() { defer close(beating); d.beat(ctx, cancel, run) }()
	defer func() { cancel(nil); <-beating }()

	commit, err := perform(ctx, job, run)
	if err == nil {
		err = d.finish(work, l, commit)
	}
	switch {
	case err == nil:
		log.Debug("task done")
		tidy, stop := context.WithTimeout(context.WithoutCancel(work), d.cfg.Lease)
		defer stop()
		run.Tidy(tidy)
		return resultDone, nil
	case errors.Is(err, meta.ErrLeaseLost) || errors.Is(context.Cause(ctx), meta.ErrLeaseLost):
		log.Warn("task lost to another worker, or cancelled", "error", err)
		return resultLost, err
	case errors.Is(context.Cause(ctx), errStopping):
		err = jobs.Wait(fmt.Errorf("%w: %w", errStopping, err), 0)
	}
	return d.fail(work, job, l, log, err), err
}

// perform runs the job within its timeout. A panic is an error like any other: it must not take the other tasks
// of this process with it.
func perform(ctx context.Context, job jobs.Job, run *jobs.Run) (commit jobs.Commit, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, job.Timeout, fmt.Errorf("not done within %s", job.Timeout))
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			run.Log.Error("the job panicked", "panic", p, "stack", string(debug.Stack()))
			commit, err = nil, fmt.Errorf("the job panicked: %v", p)
		}
	}()
	commit, err = job.Run(ctx, run)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", err, context.Cause(ctx))
	}
	return commit, err
}

// finish runs the commit and ends the task, in one transaction.
func (d *Dispatcher) finish(work context.Context, l meta.Lease, commit jobs.Commit) error {
	err := d.write(work, func(tx *meta.Tx) error {
		// First, because it locks the task's row: the lease cannot be taken over any more.
		if err := tx.Finish(l); err != nil || commit == nil {
			return err
		}
		return commit(tx)
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = jobs.Wait(fmt.Errorf("the database is away or too slow: %w", err), d.cfg.BackoffMin)
	}
	return err
}

// fail settles an attempt that did not succeed: again later, or never.
func (d *Dispatcher) fail(work context.Context, job jobs.Job, l meta.Lease, log *slog.Logger, cause error) result {
	problem := clip(cause.Error(), 2000)
	after, free := jobs.WaitOf(cause)
	var err error
	var out result
	switch {
	case free:
		out = resultWaits
		log.Info("task waits", "error", problem, "for", after)
		err = d.write(work, func(tx *meta.Tx) error { return tx.Retry(l, meta.Now().Add(after), problem, true) })
	case jobs.IsPermanent(cause) || l.Task.Attempts >= d.cfg.MaxAttempts:
		out = resultDead
		log.Error("task is dead", "error", problem)
		err = d.bury(work, job, l, problem, cause)
	default:
		out = resultFailed
		after = backoff(l.Task.Attempts, d.cfg.BackoffMin, d.cfg.BackoffMax)
		log.Warn("task failed, will be tried again", "error", problem, "in", after)
		err = d.write(work, func(tx *meta.Tx) error { return tx.Retry(l, meta.Now().Add(after), problem, false) })
	}
	switch {
	case errors.Is(err, meta.ErrLeaseLost):
		log.Warn("task lost to another worker, or cancelled", "error", err)
		return resultLost
	case err != nil:
		// The lease runs out and the reaper takes the task back.
		log.Error("write down the outcome of a task", "error", err)
		return resultLost
	}
	return out
}

// bury ends a task as dead together with what that means for its subject. A Dead hook that fails must not keep
// the task alive.
func (d *Dispatcher) bury(work context.Context, job jobs.Job, l meta.Lease, problem string, cause error) error {
	err := d.write(work, func(tx *meta.Tx) error {
		if err := tx.Bury(l, problem); err != nil || job.Dead == nil {
			return err
		}
		return job.Dead(tx, l.Task, cause)
	})
	if err == nil || job.Dead == nil || errors.Is(err, meta.ErrLeaseLost) {
		return err
	}
	d.log.Error("write down what a dead task means", "task", l.Task.ID, "error", err)
	return d.write(work, func(tx *meta.Tx) error { return tx.Bury(l, problem) })
}

// writeTries is how often a transaction is tried that failed for no reason of the domain's: after a restart of the
// database the first use of each pooled connection fails.
const writeTries = 3

// write is a transaction that ends an attempt. It is worth some patience, as long as the lease may last: what it
// says has been worked for. Stopping does not cut it.
func (d *Dispatcher) write(work context.Context, fn func(*meta.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(work), d.cfg.Lease)
	defer cancel()
	for n := 1; ; n++ {
		err := d.db.InTx(ctx, fn)
		_, waits := jobs.WaitOf(err)
		switch {
		case err == nil, errors.Is(err, meta.ErrLeaseLost), waits, jobs.IsPermanent(err), storage.CodeOf(err) != "":
			return err
		case n >= writeTries && d.db.Ping(ctx) == nil:
			return err
		}
		if !pause(ctx, backoff(n, 50*time.Millisecond, time.Second)) {
			return fmt.Errorf("%w (%w)", err, ctx.Err())
		}
	}
}

// clip cuts s to at most n bytes of what every database stores.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
}
