package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/reconcile"
)

// ReconcileRun is a comparison of records and store in a list.
type ReconcileRun struct {
	ID          string          `json:"id"`
	Kind        string          `json:"kind"`
	State       string          `json:"state"`
	Phase       string          `json:"phase"`
	Problem     string          `json:"problem"`
	RequestedBy string          `json:"requested_by"`
	ConfirmedBy string          `json:"confirmed_by"`
	Tenants     json.RawMessage `json:"tenants"`
	Objects     int64           `json:"objects"`
	Rows        int64           `json:"rows"`
	Findings    int64           `json:"findings"`
	Planned     int64           `json:"planned"`
	Repaired    int64           `json:"repaired"`
	Marked      int64           `json:"marked_damaged"`
	Failed      int64           `json:"failed"`
	StartedAt   time.Time       `json:"started_at"`
	FinishedAt  *time.Time      `json:"finished_at"`
}

// ReconcileRuns lists runs, the newest first: at most limit that began before the one with the given id. Empty filters do not
// narrow.
func (a Admin) ReconcileRuns(ctx context.Context, kind string, states []string, before string, limit int) ([]ReconcileRun, error) {
	if err := oneOf("kind", kind, []string{meta.RunFull, meta.RunLight}); err != nil {
		return nil, err
	}
	known := []string{meta.RunRunning, meta.RunHeld, meta.RunConfirmed, meta.RunDone, meta.RunFailed, meta.RunCancelled}
	for _, s := range states {
		if !slices.Contains(known, s) {
			return nil, unknownWord("state", s, known)
		}
	}
	rows, err := a.DB.RunsBefore(ctx, kind, states, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	marked, err := a.DB.FindingsIn(ctx, meta.FindingMarked, ids)
	if err != nil {
		return nil, fmt.Errorf("count findings: %w", err)
	}
	out := make([]ReconcileRun, 0, len(rows))
	for _, r := range rows {
		out = append(out, ReconcileRun{
			ID: r.ID, Kind: r.Kind, State: r.State, Phase: r.Phase, Problem: r.Problem, RequestedBy: r.RequestedBy, ConfirmedBy: r.ConfirmedBy,
			Tenants: specJSON(r.Tenants), Objects: r.Objects, Rows: r.RowCount, Findings: r.Findings, Planned: r.Planned, Repaired: r.Repaired,
			Marked: marked[r.ID], Failed: r.Failed, StartedAt: r.StartedAt.Time(), FinishedAt: r.FinishedAt.TimeIfSet(),
		})
	}
	return out, nil
}

// ShowRun reads one run with its counts.
func (a Admin) ShowRun(ctx context.Context, id string) (reconcile.Result, error) {
	run, err := a.DB.RunBy(ctx, id)
	if err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Show(ctx, a.DB, run)
}

// RunFindings lists what a run found, in the order in which it did: at most limit behind the one with the given id.
func (a Admin) RunFindings(ctx context.Context, id string, f meta.FindingFilter, after string, limit int) ([]reconcile.Finding, error) {
	if err := firstOf(oneOf("kind", string(f.Kind), textsOf(reconcile.Kinds())), oneOf("state", f.State, meta.FindingStates())); err != nil {
		return nil, err
	}
	if _, err := a.DB.RunBy(ctx, id); err != nil {
		return nil, err
	}
	return reconcile.Findings(ctx, a.DB, id, f, after, limit)
}

// StartRun asks a worker for a run of a kind, over some tenants (names or ids) or all. by is shown with it.
func (a Admin) StartRun(ctx context.Context, kind string, tenants []string, by string) (reconcile.Result, error) {
	if kinds := []string{meta.RunFull, meta.RunLight}; !slices.Contains(kinds, kind) {
		return reconcile.Result{}, unknownWord("kind", kind, kinds)
	}
	q := reconcile.Request{Kind: kind, By: by, Actor: a.Actor, Reason: a.Reason}
	for _, t := range tenants {
		id, err := a.tenantID(ctx, t)
		if err != nil {
			return reconcile.Result{}, err
		}
		q.Tenants = append(q.Tenants, id)
	}
	return a.onRun(ctx, func(tx *meta.Tx) (meta.ReconcileRun, error) {
		run, err := reconcile.Begin(tx, q)
		switch {
		case errors.Is(err, reconcile.ErrHeld):
			err = inTheWay(run, "reconcile_held", "A run is held and waits for a person; confirm or cancel it first.", "有一个对账任务被暂停，等待人工处理；请先确认或取消它。")
		case errors.Is(err, reconcile.ErrUnderWay):
			err = inTheWay(run, "reconcile_under_way", "A run is waiting or under way already.", "已有对账任务在等待或进行中。")
		}
		return run, err
	})
}

func inTheWay(run meta.ReconcileRun, slug, english, chinese string) error {
	return storage.Refuse(storage.CodeConflict, storage.Details{"run": run.ID}).Because(storage.Reason{Slug: slug, English: english, Chinese: chinese})
}

// onRun changes a run, and lets the next one have its turn.
func (a Admin) onRun(ctx context.Context, do func(*meta.Tx) (meta.ReconcileRun, error)) (reconcile.Result, error) {
	var run meta.ReconcileRun
	err := a.DB.InTx(ctx, func(tx *meta.Tx) error {
		var err error
		if run, err = do(tx); err != nil {
			return err
		}
		return reconcile.Next(tx)
	})
	if errors.Is(err, reconcile.ErrState) || errors.Is(err, meta.ErrRunMoved) {
		return reconcile.Result{}, storage.Refuse(storage.CodeConflict, storage.Details{"state": run.State}).Because(storage.Reason{
			Slug:    "reconcile_state",
			English: "The state of the run does not allow it: only a held run can be confirmed, and only one that is held or under way cancelled.",
			Chinese: "任务的当前状态不允许此操作：只能确认被暂停的任务，只能取消被暂停或进行中的任务。",
		}).CausedBy(err)
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Show(ctx, a.DB, run)
}

// Planned is a run that was confirmed, with what it is about to do.
type Planned struct {
	reconcile.Result
	// Will counts the repairs that are planned, by what was found and what is done about it.
	Will []reconcile.Count `json:"will"`
}

// ConfirmRun lets a held run repair what it planned. by is shown with it.
func (a Admin) ConfirmRun(ctx context.Context, id, by string) (Planned, error) {
	result, err := a.onRun(ctx, func(tx *meta.Tx) (meta.ReconcileRun, error) { return reconcile.Confirm(tx, id, a.Actor, by, a.Reason) })
	out := Planned{Result: result, Will: []reconcile.Count{}}
	for _, c := range result.Counts {
		if c.State == meta.FindingOpen && c.Repair != "" {
			out.Will = append(out.Will, c)
		}
	}
	return out, err
}

// CancelRun ends a run that is held or under way; what it has not repaired stays as it is.
func (a Admin) CancelRun(ctx context.Context, id string) (reconcile.Result, error) {
	return a.onRun(ctx, func(tx *meta.Tx) (meta.ReconcileRun, error) { return reconcile.Cancel(tx, id, a.Actor, a.Reason) })
}
