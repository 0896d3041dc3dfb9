package api

import (
	"context"

	"gatehouse/gateway/admin"
	"gatehouse/storage"
)

// LaneWhy names a lane in the path, with a reason.
type LaneWhy struct {
	Why
	Lane string `path:"lane" json:"-"`
}

// Lanes lists all lanes.
func (a *API) Lanes() Endpoint {
	key := func(l admin.Lane) string { return string(l.Name) }
	return List(a, func(ctx context.Context, r *Request, _ Nothing, p Page) ([]admin.Lane, error) {
		all, err := r.Admin.Lanes(ctx)
		return pageByKey(all, p, key), err
	}, key)
}

// PauseLane keeps every worker from beginning a task of the lane.
func (a *API) PauseLane() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in LaneWhy) (admin.LaneChange, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.PauseLane(ctx, storage.Lane(in.Lane))
	})
}

// ResumeLane lets a lane go on.
func (a *API) ResumeLane() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in LaneWhy) (admin.LaneChange, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.ResumeLane(ctx, storage.Lane(in.Lane))
	})
}
