package alerts

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// reconcileMissing tells when no full reconciliation has ended for too long, or the last one has failed: nobody would notice
// then that records and store drift apart. One that is held has an alert of its own, and a system that is younger than
// that needs none yet.
func reconcileMissing(ctx context.Context, look *Look) ([]Finding, error) {
	most := look.Limits.ReconcileMaxAge
	if most <= 0 {
		return nil, nil
	}
	began, err := look.DB.FirstRecord(ctx)
	if err != nil || began == 0 {
		return nil, err
	}
	last, err := lastRun(ctx, look, meta.RunDone, meta.RunFailed)
	if err != nil {
		return nil, err
	}
	done, err := lastRun(ctx, look, meta.RunDone)
	if err != nil {
		return nil, err
	}
	under, err := lastRun(ctx, look, meta.RunRunning, meta.RunHeld, meta.RunConfirmed)
	if err != nil || under.State == meta.RunHeld {
		return nil, err
	}
	const mend = " `worker reconcile list` shows the runs, `worker reconcile --once` makes one now; every worker makes one each night (reconcile.at)."
	f := Finding{Subject: "full", Severity: Critical, Facts: map[string]any{"max_age_seconds": int64(most.Seconds())}}
	if done.ID != "" {
		f.Facts["run"], f.Facts["finished_at"] = done.ID, done.FinishedAt.Time()
	}
	age := look.Now.Time().Sub(done.FinishedAt.Time())
	switch {
	case last.State == meta.RunFailed:
		f.Facts["failed_run"], f.Facts["problem"] = last.ID, last.Problem
		f.Message = fmt.Sprintf("The last full reconciliation of records and store, of %s, has failed: %s.", at(last.StartedAt.Time()), sentence(last.Problem, 300))
	case done.ID == "" && !young(began, most, look.Now):
		f.Message = fmt.Sprintf("No full reconciliation of records and store has ever ended; the last one should be younger than %s.", spell(most))
	case done.ID != "" && age < -clockSkew:
		f.Message = fmt.Sprintf("The last full reconciliation of records and store ended at %s, which is %s ahead: the clock of the worker that did it was wrong, or that of this one is. Nobody knows how old it is. Set the clocks.",
			at(done.FinishedAt.Time()), spell(-age))
	case done.ID != "" && age > most:
		f.Message = fmt.Sprintf("The last full reconciliation of records and store ended at %s, %s ago; it should be younger than %s.",
			at(done.FinishedAt.Time()), spell(age), spell(most))
	default:
		return nil, nil
	}
	if under.ID != "" {
		f.Message += fmt.Sprintf(" One is under way since %s.", at(under.StartedAt.Time()))
	}
	f.Message += mend
	return []Finding{f}, nil
}

// lastRun is the latest full run over all tenants in one of the states; one without an id when there is none.
func lastRun(ctx context.Context, look *Look, states ...string) (meta.ReconcileRun, error) {
	run, err := look.DB.LastFullRun(ctx, look.Now.Add(clockSkew), states...)
	if errors.Is(err, storage.ErrNotFound) {
		return meta.ReconcileRun{}, nil
	}
	return run, err
}
