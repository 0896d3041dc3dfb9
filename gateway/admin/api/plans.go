package api

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"gatehouse/gateway/admin"
)

// PlanEdit changes a plan.
type PlanEdit struct {
	Why
	Name string `path:"name" json:"-"`
	// Set and Clear name settings as in gateway plan set.
	Set   map[string]json.RawMessage `json:"set" doc:"Settings by name; storage_bytes is one of them."`
	Clear []string                   `json:"clear" doc:"Settings to take away."`
	// DeleteOlder agrees that files older than a shorter retention are deleted.
	DeleteOlder bool `json:"delete_older" doc:"Agree that files older than a shorter retention are deleted."`
}

// NewPlan makes a plan.
type NewPlan struct {
	Why
	Name string `json:"name" required:"true"`
	Like string `json:"like" required:"true" doc:"The plan that it begins as."`
}

// Plans lists all plans; there are never many.
func (a *API) Plans() Endpoint {
	return List(a, func(ctx context.Context, r *Request, _ Nothing, p Page) ([]admin.Plan, error) {
		all, err := r.Admin.Plans(ctx)
		return pageByKey(all, p, planKey), err
	}, planKey)
}

func planKey(p admin.Plan) string { return p.Name }

// pageByKey is a page of a short list that is whole.
func pageByKey[Item any](all []Item, p Page, keyOf func(Item) string) []Item {
	all = slices.SortedFunc(slices.Values(all), func(a, b Item) int { return strings.Compare(keyOf(a), keyOf(b)) })
	var out []Item
	for _, item := range all {
		if keyOf(item) > p.After && len(out) < p.Limit {
			out = append(out, item)
		}
	}
	return out
}

// Plan shows a plan.
func (a *API) Plan() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in Named) (admin.Plan, error) {
		return r.Admin.ShowPlan(ctx, in.Name)
	})
}

// SetPlan changes a plan.
func (a *API) SetPlan() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in PlanEdit) (admin.Change, error) {
		r.Admin.Reason, r.Admin.DeleteOlder = in.Reason, in.DeleteOlder
		return r.Admin.SetPlan(ctx, in.Name, admin.Edit{Set: in.Set, Clear: in.Clear})
	})
}

// CreatePlan makes a plan like another.
func (a *API) CreatePlan() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in NewPlan) (admin.Plan, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.CreatePlan(ctx, in.Name, in.Like)
	})
}

// RemovePlan removes a plan that nobody is on.
func (a *API) RemovePlan() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in NamedWhy) (Nothing, error) {
		r.Admin.Reason = in.Reason
		return Nothing{}, r.Admin.RemovePlan(ctx, in.Name)
	})
}
