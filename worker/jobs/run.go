package jobs

import (
	"context"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// Commit writes what a job found out, in the transaction that ends its task. It runs again when the database
// asks for it, so it does nothing that outlives the transaction.
type Commit func(*meta.Tx) error

// Job is one kind of task and how it is done.
type Job struct {
	Kind storage.TaskKind
	// Timeout bounds one attempt; a job that exceeds it has failed the attempt.
	Timeout time.Duration
	// Run does it. A nil Commit has nothing to write.
	Run func(ctx context.Context, r *Run) (Commit, error)
	// Dead, if set, writes what it means that the task is buried, in the transaction that buries it. cause is why.
	Dead func(tx *meta.Tx, t meta.Task, cause error) error
}

// Run is one attempt at a task.
type Run struct {
	Lease meta.Lease
	Log   *slog.Logger

	db       *meta.DB
	progress atomic.Uint64 // the bits of a float64
	after    []func(context.Context) error
}

// NewRun makes the run of a claimed task.
func NewRun(db *meta.DB, l meta.Lease, log *slog.Logger) *Run {
	return &Run{Lease: l, Log: log, db: db}
}

// Task is what is to be done.
func (r *Run) Task() meta.Task { return r.Lease.Task }

// InTx is a transaction in the middle of the job. It fails with meta.ErrLeaseLost when the task is no longer
// this worker's.
func (r *Run) InTx(ctx context.Context, fn func(*meta.Tx) error) error {
	return r.db.InTx(ctx, func(tx *meta.Tx) error {
		if err := tx.Fence(r.Lease); err != nil {
			return err
		}
		return fn(tx)
	})
}

// Progress tells how far the job is, 0 to 1; the next heartbeat records it.
func (r *Run) Progress(share float64) { r.progress.Store(math.Float64bits(share)) }

// Reached is what Progress was told last.
func (r *Run) Reached() float64 { return math.Float64frombits(r.progress.Load()) }

// Afterwards registers what is to be done once the task has ended well: tidying that a crash may leave undone,
// because something else (the next full reconciliation) does it then. Its error is logged only.
func (r *Run) Afterwards(fn func(context.Context) error) { r.after = append(r.after, fn) }

// Tidy runs what Afterwards registered.
func (r *Run) Tidy(ctx context.Context) {
	for _, fn := range r.after {
		if err := fn(ctx); err != nil {
			r.Log.Warn("tidy up after the task; the next full reconciliation will", "error", err)
		}
	}
}
