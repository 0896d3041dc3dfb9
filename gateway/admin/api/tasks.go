package api

import (
	"context"

	"gatehouse/gateway/admin"
	"gatehouse/storage/remedy"
)

// Tasks lists tasks, newest first.
func (a *API) Tasks() Endpoint {
	return List(a, func(ctx context.Context, r *Request, in admin.TaskQuery, p Page) ([]admin.Task, error) {
		return r.Admin.Tasks(ctx, in, p.After, p.Limit)
	}, func(t admin.Task) string { return t.ID })
}

// Task shows a task with its attempts.
func (a *API) Task() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByID) (admin.TaskDetail, error) {
		return r.Admin.ShowTask(ctx, in.ID)
	})
}

// RetryTask queues a dead task again.
func (a *API) RetryTask() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (remedy.TaskOutcome, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.RetryTask(ctx, in.ID)
	})
}

// CancelTask ends a task.
func (a *API) CancelTask() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (remedy.TaskOutcome, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.CancelTask(ctx, in.ID)
	})
}
