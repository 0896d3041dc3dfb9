package api

import (
	"context"

	"gatehouse/gateway/admin"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/reconcile"
)

// RunQuestion narrows the list of runs.
type RunQuestion struct {
	Kind  string   `query:"kind" json:"-" doc:"full or light."`
	State []string `query:"state" json:"-" doc:"running, held, confirmed, done, failed, cancelled; several with commas."`
}

// FindingQuestion narrows what a run found.
type FindingQuestion struct {
	ID     string `path:"id" json:"-"`
	Kind   string `query:"kind" json:"-" doc:"Kind of difference, such as row_without_object."`
	Repair string `query:"repair" json:"-" doc:"What is done about it."`
	State  string `query:"state" json:"-" doc:"open, repaired, marked, failed or gone."`
}

// NewRun asks for a run.
type NewRun struct {
	Why
	Kind    string   `json:"kind" doc:"full compares everything and repairs, within its brake; light compares and repairs nothing."`
	Tenants []string `json:"tenants" doc:"Ids or names; none is all."`
}

// ReconcileRuns lists runs, the newest first.
func (a *API) ReconcileRuns() Endpoint {
	return List(a, func(ctx context.Context, r *Request, in RunQuestion, p Page) ([]admin.ReconcileRun, error) {
		return r.Admin.ReconcileRuns(ctx, in.Kind, in.State, p.After, p.Limit)
	}, func(run admin.ReconcileRun) string { return run.ID })
}

// ReconcileRun shows a run with its counts.
func (a *API) ReconcileRun() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByID) (reconcile.Result, error) {
		return r.Admin.ShowRun(ctx, in.ID)
	})
}

// ReconcileFindings lists what a run found.
func (a *API) ReconcileFindings() Endpoint {
	return List(a, func(ctx context.Context, r *Request, in FindingQuestion, p Page) ([]reconcile.Finding, error) {
		f := meta.FindingFilter{Kind: storage.DriftKind(in.Kind), Repair: storage.Repair(in.Repair), State: in.State}
		return r.Admin.RunFindings(ctx, in.ID, f, p.After, p.Limit)
	}, func(f reconcile.Finding) string { return f.ID })
}

// StartReconcile asks a worker for a run.
func (a *API) StartReconcile() Endpoint {
	return accepted(Call(a, func(ctx context.Context, r *Request, in NewRun) (reconcile.Result, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.StartRun(ctx, in.Kind, in.Tenants, r.By.Name)
	}))
}

// ConfirmReconcile lets a held run repair.
func (a *API) ConfirmReconcile() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (admin.Planned, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.ConfirmRun(ctx, in.ID, r.By.Name)
	})
}

// CancelReconcile ends a run.
func (a *API) CancelReconcile() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (reconcile.Result, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.CancelRun(ctx, in.ID)
	})
}
