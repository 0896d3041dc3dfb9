package jobs

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/reconcile"
)

const (
	// runTimeout bounds one attempt at a run; the next one goes on where it was.
	runTimeout = 24 * time.Hour
	// runPause is how long a run waits for a store that is away.
	runPause = time.Minute
	// nightly is the subject of the snapshot that comes before the run of the night.
	nightly = "nightly"
	// bySchedule is who asks for the runs that are due by the clock.
	bySchedule = "schedule"
)

// reconciliation works on runs of package reconcile; a task's subject is its run.
type reconciliation struct {
	reconciler *reconcile.Reconciler
}

func (j *reconciliation) run(ctx context.Context, r *Run) (Commit, error) {
	guard := func(tx *meta.Tx) error { return tx.Fence(r.Lease) }
	_, err := j.reconciler.Perform(ctx, r.Task().Subject, guard, r.Progress)
	switch {
	case errors.Is(err, meta.ErrRunMoved), errors.Is(err, storage.ErrNotFound):
		return reconcile.Next, nil // cancelled; or left by a command that died before it had begun a run
	case errors.Is(err, blob.ErrUnavailable):
		return nil, Wait(err, runPause)
	case err != nil:
		return nil, err
	}
	return reconcile.Next, nil // this task has ended by then, so another run can have its turn
}

func (j *reconciliation) dead(tx *meta.Tx, t meta.Task, cause error) error {
	if err := reconcile.Failed(tx, t.Subject, cause); err != nil {
		return err
	}
	return reconcile.Next(tx)
}

// AfterSnapshot begins the run of the night. The job of snapshots calls it in the transaction that ends its task, well
// or badly: a night without a snapshot is told by an alert, and is no reason not to look.
func AfterSnapshot(log *slog.Logger) func(tx *meta.Tx, t meta.Task) error {
	return func(tx *meta.Tx, t meta.Task) error {
		if t.Subject != nightly {
			return nil
		}
		return beginRun(tx, log, meta.RunFull)
	}
}

// beginRun asks for a run on behalf of the schedule. One that is in the way is no error.
func beginRun(tx *meta.Tx, log *slog.Logger, kind string) error {
	other, err := reconcile.Begin(tx, reconcile.Request{Kind: kind, By: bySchedule, Actor: audit.Worker})
	switch {
	case errors.Is(err, reconcile.ErrHeld):
		log.Warn("no reconciliation tonight: an earlier one is held; confirm or cancel it (worker reconcile show latest)", "held", other.ID)
		return nil
	case errors.Is(err, reconcile.ErrUnderWay):
		log.Info("no other reconciliation now: one is waiting or under way", "kind", kind, "run", other.ID)
		return reconcile.Next(tx)
	case err != nil:
		return err
	}
	return reconcile.Next(tx)
}

// reconciliations is what is due by the clock. What has no time is never due.
func reconciliations(d Deps) []Periodic {
	inTx := func(fn func(tx *meta.Tx) error) func(context.Context) error {
		return func(ctx context.Context) error { return d.DB.InTx(ctx, fn) }
	}
	list := []Periodic{
		{Name: "reconcile", At: d.ReconcileAt, Do: inTx(func(tx *meta.Tx) error {
			_, err := tx.Enqueue(meta.NewTask{Kind: storage.TaskSnapshot, Subject: nightly, Unique: true})
			return err
		})},
		{Name: "reconcile light", Every: d.LightEvery, Do: inTx(func(tx *meta.Tx) error {
			return beginRun(tx, d.Log, meta.RunLight)
		})},
		{Name: "reconcile next", Every: time.Minute, Do: inTx(reconcile.Next)},
	}
	return slices.DeleteFunc(list, func(p Periodic) bool { return p.At == "" && p.Every == 0 })
}
