package api

import (
	"context"

	"gatehouse/gateway/admin"
	"gatehouse/storage/remedy"
)

// Bulk asks for an action on many files.
type Bulk struct {
	Why
	admin.BulkRequest
}

// BulkDelete asks for the deletion of many files.
type BulkDelete struct {
	Why
	Filter admin.AssetQuery `json:"filter" doc:"What the list of files is narrowed by, with the same names."`
	DryRun bool             `json:"dry_run" doc:"Only count."`
	Expect *int64           `json:"expect" doc:"The count of the dry run; needed for the real run."`
}

// Bulk counts what a filter finds, or begins a run over it.
func (a *API) Bulk() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in Bulk) (admin.BulkAnswer, error) {
		if in.Action == remedy.Delete {
			return admin.BulkAnswer{}, malformed("bulk_delete_elsewhere",
				"Deleting many files is a call of its own, with a higher role and a step-up: POST /api/admin/assets/bulk/delete.",
				"批量删除是独立的调用，需要更高的角色和二次验证：POST /api/admin/assets/bulk/delete。")
		}
		r.Admin.Reason = in.Reason
		return r.Admin.Bulk(ctx, in.BulkRequest)
	})
}

// BulkDelete counts what a filter finds, or begins to delete it.
func (a *API) BulkDelete() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in BulkDelete) (admin.BulkAnswer, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.Bulk(ctx, admin.BulkRequest{Action: remedy.Delete, Filter: in.Filter, DryRun: in.DryRun, Expect: in.Expect})
	})
}

// BulkRuns lists runs, newest first.
func (a *API) BulkRuns() Endpoint {
	return List(a, func(ctx context.Context, r *Request, _ Nothing, p Page) ([]admin.BulkRun, error) {
		return r.Admin.BulkRuns(ctx, p.After, p.Limit)
	}, func(x admin.BulkRun) string { return x.ID })
}

// BulkRun shows a run.
func (a *API) BulkRun() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByID) (admin.BulkRun, error) {
		return r.Admin.ShowBulk(ctx, in.ID)
	})
}

// CancelBulk ends a run where it is.
func (a *API) CancelBulk() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (admin.BulkRun, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.CancelBulk(ctx, in.ID)
	})
}
