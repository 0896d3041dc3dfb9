package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"gatehouse/gateway/admin"
	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// TenantID names a tenant, by its id or its name.
type TenantID struct {
	Tenant string `path:"id" json:"-"`
}

// TenantWhy is TenantID with a reason.
type TenantWhy struct {
	Why
	Tenant string `path:"id" json:"-"`
}

// TenantQuery narrows the list of tenants.
type TenantQuery struct {
	State storage.TenantState `query:"state" json:"-"`
	Plan  string              `query:"plan" json:"-"`
	Query string              `query:"q" json:"-" doc:"The id, or a part of the name whatever its case."`
	Over  int64               `query:"over_percent" json:"-" doc:"Those that use at least so many percent of their quota."`
	Sort  meta.TenantSort     `query:"sort" json:"-" doc:"name, or with the most first: created, used, last_upload."`
}

// Tenants lists tenants.
func (a *API) Tenants() Endpoint {
	return List(a, func(ctx context.Context, r *Request, in TenantQuery, p Page) ([]admin.TenantLine, error) {
		if in.Over < 0 || in.Over > 1000 {
			return nil, badParameter("over_percent", "a number from 1 to 1000")
		}
		f := meta.TenantFilter{State: in.State, Plan: in.Plan, Query: in.Query, OverPercent: in.Over, Sort: in.Sort}
		if f.Sort == "" {
			f.Sort = meta.TenantsByName
		}
		after, err := parsePlace(p.After)
		if err != nil {
			return nil, err
		}
		return r.Admin.TenantLines(ctx, f, after, p.Limit)
	}, func(l admin.TenantLine) string {
		k := l.Place()
		return fmt.Sprintf("%s,%d,%s", k.ID, k.Value, k.Name)
	})
}

func parsePlace(s string) (*meta.TenantKey, error) {
	if s == "" {
		return nil, nil
	}
	id, rest, ok := strings.Cut(s, ",")
	value, name, also := strings.Cut(rest, ",")
	n, err := strconv.ParseInt(value, 10, 64)
	if !ok || !also || err != nil {
		return nil, meta.ErrCursor
	}
	return &meta.TenantKey{ID: id, Value: n, Name: name}, nil
}

// Tenant shows a tenant: what it uses and may, what it did lately, its keys.
func (a *API) Tenant() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in TenantID) (admin.Tenant, error) {
		return r.Admin.ShowTenant(ctx, in.Tenant)
	})
}

// TenantEvents is what narrows the events of a tenant.
type TenantEvents struct {
	TenantID
	Action string `query:"action" json:"-" doc:"One action, or a family: asset is asset.upload and the others."`
	Result string `query:"result" json:"-" doc:"ok, refused or failed."`
	auditSpan
}

// TenantEvents lists what the audit log has of a tenant, newest first.
func (a *API) TenantEvents() Endpoint {
	return List(a, func(ctx context.Context, r *Request, in TenantEvents, p Page) ([]admin.Record, error) {
		f := meta.AuditFilter{Action: in.Action, Result: in.Result}
		if err := in.fill(&f, p); err != nil {
			return nil, err
		}
		return r.Admin.Search(ctx, f, in.Tenant, in.Query, p.Limit)
	}, recordKey)
}

// NewTenant makes a tenant.
type NewTenant struct {
	Why
	Name string `json:"name"`
	Plan string `json:"plan"`
}

// CreateTenant makes a tenant with its first key; this answer is the only place that ever has it.
func (a *API) CreateTenant() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in NewTenant) (admin.NewTenant, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.CreateTenant(ctx, in.Name, in.Plan)
	})
}

// TenantEdit changes what a tenant is called.
type TenantEdit struct {
	TenantWhy
	Name string `json:"name"`
}

// EditTenant renames a tenant.
func (a *API) EditTenant() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in TenantEdit) (admin.Change, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.RenameTenant(ctx, in.Tenant, in.Name)
	})
}

// TenantPlan puts a tenant on a plan.
type TenantPlan struct {
	TenantWhy
	Plan        string `json:"plan"`
	DeleteOlder bool   `json:"delete_older" doc:"Agree that files older than a shorter retention are deleted."`
}

// SetTenantPlan puts a tenant on another plan.
func (a *API) SetTenantPlan() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in TenantPlan) (admin.Change, error) {
		r.Admin.Reason, r.Admin.DeleteOlder = in.Reason, in.DeleteOlder
		return r.Admin.SetTenantPlan(ctx, in.Tenant, in.Plan)
	})
}

// TenantQuota gives a tenant a quota of its own.
type TenantQuota struct {
	TenantWhy
	Bytes *int64 `json:"bytes" doc:"0 is room for nothing, 9007199254740991 no limit."`
}

// SetTenantQuota gives a tenant a quota of its own.
func (a *API) SetTenantQuota() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in TenantQuota) (admin.Change, error) {
		if in.Bytes == nil {
			return admin.Change{}, malformed("quota_missing",
				"Say how many bytes the quota is; to give the tenant that of its plan again, delete its own.",
				"请说明配额的字节数；如要恢复为套餐的配额，请删除其单独的配额。")
		}
		r.Admin.Reason = in.Reason
		return r.Admin.SetTenantQuota(ctx, in.Tenant, in.Bytes)
	})
}

// DropTenantQuota gives a tenant the quota of its plan again.
func (a *API) DropTenantQuota() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in TenantWhy) (admin.Change, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.SetTenantQuota(ctx, in.Tenant, nil)
	})
}

// TenantOverrides lets a tenant differ from its plan.
type TenantOverrides struct {
	TenantWhy
	Set         map[string]json.RawMessage `json:"set" doc:"Settings by name, those of a plan."`
	Clear       []string                   `json:"clear" doc:"Settings that are to be as in the plan again."`
	DeleteOlder bool                       `json:"delete_older" doc:"Agree that files older than a shorter retention are deleted."`
}

// SetOverrides lets a tenant differ from its plan.
func (a *API) SetOverrides() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in TenantOverrides) (admin.Change, error) {
		r.Admin.Reason, r.Admin.DeleteOlder = in.Reason, in.DeleteOlder
		return r.Admin.SetOverrides(ctx, in.Tenant, admin.Edit{Set: in.Set, Clear: in.Clear})
	})
}

// move is a step in the life of a tenant, for which a reason must be given.
func (a *API) move(do func(admin.Admin, context.Context, string, string) (admin.Change, error)) Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in TenantWhy) (admin.Change, error) {
		if err := in.given(); err != nil {
			return admin.Change{}, err
		}
		return do(r.Admin, ctx, in.Tenant, in.Reason)
	})
}

// given refuses what has no reason.
func (w Why) given() error {
	if strings.TrimSpace(w.Reason) == "" {
		return malformed("reason_missing", "Say why, as reason: it is kept in the audit log.", "请在 reason 中说明原因，它将记入审计日志。")
	}
	return nil
}

// SuspendTenant stops the uploads of a tenant; it may still read and delete.
func (a *API) SuspendTenant() Endpoint { return a.move(admin.Admin.Suspend) }

// ResumeTenant takes a suspension back.
func (a *API) ResumeTenant() Endpoint { return a.move(admin.Admin.Resume) }

// DeleteTenant closes a tenant; after the cooling-off everything of it is removed.
func (a *API) DeleteTenant() Endpoint { return a.move(admin.Admin.Delete) }

// RestoreTenant takes a deletion back.
func (a *API) RestoreTenant() Endpoint { return a.move(admin.Admin.Restore) }

// TenantPurge removes everything of a tenant.
type TenantPurge struct {
	TenantWhy
	Confirm string `json:"confirm" doc:"The tenant's name once more."`
}

// PurgeTenant removes everything of a tenant that was exported and whose cooling-off is over.
func (a *API) PurgeTenant() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in TenantPurge) (admin.Change, error) {
		if err := in.given(); err != nil {
			return admin.Change{}, err
		}
		return r.Admin.PurgeExported(ctx, in.Tenant, in.Confirm, in.Reason)
	})
}
