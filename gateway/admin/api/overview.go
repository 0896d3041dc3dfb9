package api

import (
	"context"

	"gatehouse/gateway/admin"
)

// Overview is how the platform stands.
func (a *API) Overview() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, _ Nothing) (admin.Overview, error) { return r.Admin.Overview(ctx) })
}
