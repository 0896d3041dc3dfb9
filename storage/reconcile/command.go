package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// How a command claims the task of its run. A command that dies leaves a lease that runs out, and then its run is an
// ordinary task, which a worker goes on with.
const (
	commandLease = time.Minute
	commandBeat  = 10 * time.Second
	commandWait  = time.Second
)

// PerformHere begins or takes up a run while no other one can be worked on, anywhere, and performs it here: the way of the
// command line, which works whether a worker runs or not. begin writes the run down; waiting is told, once, that another
// run is under way and is waited for.
func (r *Reconciler) PerformHere(ctx context.Context, begin func(*meta.Tx) (meta.ReconcileRun, error), waiting func()) (meta.ReconcileRun, error) {
	lease, err := r.claimTask(ctx, waiting)
	if err != nil {
		return meta.ReconcileRun{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	beating := make(chan struct{})
	go func() { defer close(beating); r.beat(ctx, cancel, lease) }()
	run, err := r.performClaimed(ctx, lease, begin)
	cause := context.Cause(ctx)
	cancel(nil)
	<-beating
	if err != nil && cause != nil {
		err = fmt.Errorf("%w (%w)", err, cause)
	}
	// Whatever happened, the task ends here: a run that is not done is queued for the next worker.
	end := r.db.InTx(context.WithoutCancel(ctx), func(tx *meta.Tx) error {
		if err := tx.Finish(lease); err != nil {
			return err
		}
		return Next(tx)
	})
	if errors.Is(end, meta.ErrLeaseLost) {
		end = nil // it was cancelled, or a worker goes on with it
	}
	return run, errors.Join(err, end)
}

// Once makes the run that is asked for, here (PerformHere). One that was interrupted, or waits for a worker, is taken up if it
// is what is asked for; another one is performed to its end first, which other is told.
func (r *Reconciler) Once(ctx context.Context, q Request, waiting func(), other func(meta.ReconcileRun)) (meta.ReconcileRun, error) {
	for {
		mine := true
		run, err := r.PerformHere(ctx, func(tx *meta.Tx) (meta.ReconcileRun, error) {
			run, err := Begin(tx, q)
			switch mine = true; {
			case errors.Is(err, ErrUnderWay):
				mine, err = q.asksFor(run)
			case errors.Is(err, ErrHeld):
				err = fmt.Errorf("run %[1]s is held and waits for you: look at `worker reconcile findings %[1]s`, then confirm or cancel it (%[2]w)", run.ID, err)
			}
			if err == nil && !mine {
				other(run)
			}
			return run, err
		}, waiting)
		if err != nil || mine {
			return run, err
		}
	}
}

// claimTask takes the one task of all runs.
func (r *Reconciler) claimTask(ctx context.Context, waiting func()) (meta.Lease, error) {
	for told := false; ; told = true {
		lease, claimed, err := r.db.Hold(ctx, Task(""), "command", commandLease)
		if err == nil && !claimed { // one that waits for a worker, which may not come
			lease, claimed, err = r.claimWaiting(ctx)
		}
		if err != nil || claimed {
			return lease, err
		}
		if !told {
			waiting()
		}
		select {
		case <-ctx.Done():
			return lease, ctx.Err()
		case <-time.After(commandWait):
		}
	}
}

func (r *Reconciler) claimWaiting(ctx context.Context) (meta.Lease, bool, error) {
	t, err := r.db.TaskLike(ctx, Task(""))
	if err != nil {
		if errors.Is(err, storage.ErrNotFound) {
			err = nil // it has just ended
		}
		return meta.Lease{}, false, err
	}
	return r.db.Claim(ctx, t.ID, "command", commandLease)
}

func (r *Reconciler) performClaimed(ctx context.Context, lease meta.Lease, begin func(*meta.Tx) (meta.ReconcileRun, error)) (meta.ReconcileRun, error) {
	guard := Guard(func(tx *meta.Tx) error { return tx.Fence(lease) })
	var run meta.ReconcileRun
	err := r.inTx(ctx, guard, func(tx *meta.Tx) error {
		var err error
		if run, err = begin(tx); err != nil {
			return err
		}
		return tx.SetSubject(lease, run.ID)
	})
	if err != nil {
		return run, err
	}
	return r.Perform(ctx, run.ID, guard, nil)
}

// beat keeps the lease until ctx ends, and ends the work when it is lost.
func (r *Reconciler) beat(ctx context.Context, cancel context.CancelCauseFunc, lease meta.Lease) {
	until := time.Now().Add(commandLease)
	tick := time.NewTicker(commandBeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asked := time.Now()
		err := r.db.Heartbeat(ctx, lease, commandLease, 0)
		switch {
		case err == nil:
			until = asked.Add(commandLease)
		case errors.Is(err, meta.ErrLeaseLost):
			cancel(err)
			return
		case time.Now().After(until):
			cancel(errors.Join(meta.ErrLeaseLost, err))
			return
		case ctx.Err() == nil:
			r.log.Warn("keep the lease of the run; it is tried again", "until", until, "error", err)
		}
	}
}

// Result is a run as it is shown: what the row says, with counts for each kind of drift.
type Result struct {
	Run         string          `json:"run"`
	Kind        string          `json:"kind"`
	State       string          `json:"state"`
	Problem     string          `json:"problem,omitempty"`
	RequestedBy string          `json:"requested_by"`
	ConfirmedBy string          `json:"confirmed_by,omitempty"`
	Phase       string          `json:"phase"`
	Tenants     json.RawMessage `json:"tenants"`
	Objects     int64           `json:"objects"`
	Rows        int64           `json:"rows"`
	Foreign     int64           `json:"foreign"`
	Findings    int64           `json:"findings"`
	Planned     int64           `json:"planned"`
	Repaired    int64           `json:"repaired"`
	Marked      int64           `json:"marked_damaged"`
	Failed      int64           `json:"failed"`
	Verified    int64           `json:"verified"`
	VerifiedB   int64           `json:"verified_bytes"`
	StartedAt   time.Time       `json:"started_at"`
	FinishedAt  *time.Time      `json:"finished_at,omitempty"`
	Counts      []Count         `json:"counts"`
	// Sweep is what the sweep before the run did, if there was one.
	Sweep *Report `json:"sweep,omitempty"`
}

// Count is how many findings of a kind a run has, by what is done about them and what became of that.
type Count struct {
	Kind   string `json:"kind"`
	Repair string `json:"repair"`
	State  string `json:"state"`
	Count  int64  `json:"count"`
}

// Lost counts the files whose bytes are lost by now, of the tenants that a run was confined to: those that it marked and
// those that were marked before it.
func (r *Reconciler) Lost(ctx context.Context, run meta.ReconcileRun) (n int64, err error) {
	var only []string
	if err := json.Unmarshal([]byte(run.Tenants), &only); err != nil {
		return 0, fmt.Errorf("run %s: tenants: %w", run.ID, err)
	}
	list, err := r.db.CountDamaged(ctx)
	for _, d := range list {
		if len(only) == 0 || slices.Contains(only, d.TenantID) {
			n += d.Count
		}
	}
	return n, err
}

// Show makes the result of a run.
func (r *Reconciler) Show(ctx context.Context, run meta.ReconcileRun) (Result, error) {
	return Show(ctx, r.db, run)
}

// Show makes the result of a run.
func Show(ctx context.Context, db *meta.DB, run meta.ReconcileRun) (Result, error) {
	counts, err := db.FindingCounts(ctx, run.ID)
	out := Result{
		Run: run.ID, Kind: run.Kind, State: run.State, Problem: run.Problem, RequestedBy: run.RequestedBy, ConfirmedBy: run.ConfirmedBy,
		Phase: run.Phase, Tenants: json.RawMessage(run.Tenants), Objects: run.Objects, Rows: run.RowCount, Foreign: run.ForeignObjects,
		Findings: run.Findings, Planned: run.Planned, Repaired: run.Repaired, Marked: meta.CountIn(counts, meta.FindingMarked), Failed: run.Failed,
		Verified: run.Verified, VerifiedB: run.VerifiedBytes, StartedAt: run.StartedAt.Time(), Counts: []Count{},
	}
	if run.FinishedAt != 0 {
		at := run.FinishedAt.Time()
		out.FinishedAt = &at
	}
	for _, c := range counts {
		out.Counts = append(out.Counts, Count{string(c.Kind), string(c.Repair), c.State, c.Count})
	}
	return out, err
}
