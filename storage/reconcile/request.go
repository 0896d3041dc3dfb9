package reconcile

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// Refusals of requests.
var (
	// ErrHeld: another full run is not begun while one waits for a person.
	ErrHeld = errors.New("a run is held")
	// ErrUnderWay: a run of that kind is waiting or under way already.
	ErrUnderWay = errors.New("a run is under way")
	// ErrState: the run is not in a state in which this can be done to it.
	ErrState = errors.New("the run's state does not allow it")
)

// Request asks for a run.
type Request struct {
	// Kind is meta.RunFull or meta.RunLight.
	Kind string
	// Tenants confines the run; empty is everything, and of a light run the tenants that changed.
	Tenants []string
	By      string
	Actor   audit.Actor
	// Reason, if given, goes into the audit record.
	Reason string
}

// tenants is what the run's row says of them: "[]", and never "null", for all.
func (q Request) tenants() (string, error) {
	list := append([]string{}, q.Tenants...)
	slices.Sort(list)
	out, err := json.Marshal(slices.Compact(list))
	return string(out), err
}

// asksFor reports whether a run that has begun already is what is asked for. A confirmed one only repairs.
func (q Request) asksFor(r meta.ReconcileRun) (bool, error) {
	list, err := q.tenants()
	return r.State == meta.RunRunning && r.Kind == q.Kind && r.Tenants == list, err
}

// Begin writes down a run that somebody asks for. ErrHeld and ErrUnderWay come with the run that is in the way. Next
// gives it to a worker.
func Begin(tx *meta.Tx, q Request) (meta.ReconcileRun, error) {
	if err := tx.LockRuns(); err != nil {
		return meta.ReconcileRun{}, err
	}
	open, err := tx.Runs("", 10, meta.RunRunning, meta.RunConfirmed, meta.RunHeld)
	if err != nil {
		return meta.ReconcileRun{}, err
	}
	for _, r := range open {
		switch {
		case q.Kind == meta.RunFull && r.State == meta.RunHeld:
			return r, ErrHeld
		case r.State != meta.RunHeld && (q.Kind == meta.RunLight || r.Kind == meta.RunFull):
			return r, ErrUnderWay // a light run is of no use beside any other; a full one waits for a light one
		}
	}
	list, err := q.tenants()
	if err != nil {
		return meta.ReconcileRun{}, err
	}
	now := meta.Now()
	run := meta.ReconcileRun{
		ID: meta.NewID(), Kind: q.Kind, State: meta.RunRunning, RequestedBy: q.By, Tenants: list, StartedAt: now, UpdatedAt: now,
	}
	if err := tx.CreateRun(&run); err != nil {
		return run, err
	}
	return run, audit.Write(tx, entry(q.Actor, "reconcile.start", run, because(q.Reason, map[string]any{"kind": run.Kind, "by": run.RequestedBy, "tenants": len(q.Tenants)})))
}

// Task is the task of a run: one of all runs is open at a time, whichever it is.
func Task(runID string) meta.NewTask {
	return meta.NewTask{Kind: storage.TaskReconcile, Subject: runID, OnePerKind: true}
}

// Next queues the oldest run that is to be worked on, unless one is being worked on. It is asked when a run begins,
// when one ends, and every minute: then a run whose task was lost goes on too.
func Next(tx *meta.Tx) error {
	open, err := tx.Runs("", 100, meta.RunRunning, meta.RunConfirmed)
	if err != nil || len(open) == 0 {
		return err
	}
	_, err = tx.Enqueue(Task(open[len(open)-1].ID))
	return err
}

// because adds a reason, if one was given.
func because(reason string, data map[string]any) map[string]any {
	if reason != "" {
		data["reason"] = reason
	}
	return data
}

// Confirm lets a held run repair what it planned.
func Confirm(tx *meta.Tx, id string, who audit.Actor, name, reason string) (meta.ReconcileRun, error) {
	run, err := tx.Run(id)
	if err != nil {
		return run, err
	}
	if run.State != meta.RunHeld {
		return run, fmt.Errorf("%w: run %s is %s; only a held one can be confirmed", ErrState, id, run.State)
	}
	run.State, run.Phase, run.CursorAt, run.ConfirmedBy, run.ConfirmedAt = meta.RunConfirmed, phaseRepair, "", name, meta.Now()
	before, _, _ := strings.Cut(run.Problem, brakeSays) // that nothing was changed is true no longer
	run.Problem = strings.TrimSpace(before)
	if err := tx.SaveRun(&run, meta.RunHeld); err != nil {
		return run, err
	}
	return run, audit.Write(tx, entry(who, "reconcile.confirm", run, because(reason, map[string]any{"planned": run.Planned})))
}

// Cancel ends a run that is held or under way. Its task is cancelled too, so that whoever works on it can change
// nothing more.
func Cancel(tx *meta.Tx, id string, who audit.Actor, reason string) (meta.ReconcileRun, error) {
	run, err := tx.Run(id)
	if err != nil {
		return run, err
	}
	from := run.State
	if !slices.Contains([]string{meta.RunRunning, meta.RunHeld, meta.RunConfirmed}, from) {
		return run, fmt.Errorf("%w: run %s is %s already", ErrState, id, from)
	}
	run.State, run.FinishedAt = meta.RunCancelled, meta.Now()
	if err := tx.SaveRun(&run, from); err != nil {
		return run, err
	}
	if err := tx.Tenant("").CancelTasks(id); err != nil {
		return run, err
	}
	return run, audit.Write(tx, entry(who, "reconcile.cancel", run, because(reason, map[string]any{"was": from})))
}
