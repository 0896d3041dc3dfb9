package api

import (
	"context"

	"gatehouse/gateway/admin"
)

// Snapshots lists snapshots, the newest first.
func (a *API) Snapshots() Endpoint {
	return List(a, func(ctx context.Context, r *Request, _ Nothing, p Page) ([]admin.Snapshot, error) {
		all, err := r.Admin.Snapshots(ctx)
		var out []admin.Snapshot
		for _, s := range all {
			if (p.After == "" || s.ID < p.After) && len(out) < p.Limit {
				out = append(out, s)
			}
		}
		return out, err
	}, func(s admin.Snapshot) string { return s.ID })
}

// Snapshot shows a snapshot with its tables.
func (a *API) Snapshot() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByID) (admin.SnapshotDetail, error) {
		return r.Admin.ShowSnapshot(ctx, in.ID)
	})
}

// TakeSnapshot asks a worker for a snapshot.
func (a *API) TakeSnapshot() Endpoint {
	return accepted(Call(a, func(ctx context.Context, r *Request, in Why) (admin.QueuedTask, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.TakeSnapshot(ctx)
	}))
}

// VerifySnapshot asks a worker to read a whole snapshot.
func (a *API) VerifySnapshot() Endpoint {
	return accepted(Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (admin.QueuedTask, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.VerifySnapshot(ctx, in.ID)
	}))
}

// RemoveSnapshot removes a snapshot for good.
func (a *API) RemoveSnapshot() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (Nothing, error) {
		r.Admin.Reason = in.Reason
		return Nothing{}, r.Admin.RemoveSnapshot(ctx, in.ID)
	})
}
