package api

import (
	"context"
	"time"

	"gatehouse/gateway/admin"
)

// NewKey makes a key.
type NewKey struct {
	Why
	Tenant    string     `path:"id" json:"-"`
	Name      string     `json:"name" doc:"What the key is for."`
	Scopes    []string   `json:"scopes" doc:"read and write; none means both."`
	ExpiresAt *time.Time `json:"expires_at"`
}

// KeyOf names a key of a tenant.
type KeyOf struct {
	Why
	Tenant string `path:"id" json:"-"`
	Key    string `path:"key" json:"-"`
}

// Keys lists the keys of a tenant, oldest first, without their secrets, which nobody has.
func (a *API) Keys() Endpoint {
	return List(a, func(ctx context.Context, r *Request, in TenantID, p Page) ([]admin.Key, error) {
		all, err := r.Admin.Keys(ctx, in.Tenant)
		return pageByKey(all, p, keyID), err
	}, keyID)
}

func keyID(k admin.Key) string { return k.ID }

// CreateKey makes a key; this answer is the only place that ever has it.
func (a *API) CreateKey() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in NewKey) (admin.NewKey, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.CreateKey(ctx, in.Tenant, admin.KeySpec{Name: in.Name, Scopes: in.Scopes, ExpiresAt: in.ExpiresAt})
	})
}

// RevokeKey ends a key.
func (a *API) RevokeKey() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in KeyOf) (admin.Change, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.RevokeKeyOf(ctx, in.Tenant, in.Key)
	})
}
