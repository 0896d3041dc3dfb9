package api

import (
	"context"
	"strconv"
	"time"

	"gatehouse/gateway/admin"
	"gatehouse/storage/meta"
)

// AuditQuery narrows the audit log.
type AuditQuery struct {
	Kind    string `query:"actor_kind" json:"-" doc:"key, operator, operator_token, stranger, worker or cli."`
	ActorID string `query:"actor" json:"-" doc:"The id of who did it."`
	Role    string `query:"role" json:"-" doc:"The operator's role when it was done."`
	Action  string `query:"action" json:"-" doc:"One action, or a family: tenant is tenant.create and the others."`
	Target  string `query:"target" json:"-" doc:"What it was done to: an id, a digest, a name."`
	Tenant  string `query:"tenant" json:"-" doc:"The tenant's id or name."`
	Result  string `query:"result" json:"-" doc:"ok, refused or failed."`
	Code    string `query:"code" json:"-" doc:"The code of the refusal."`
	Address string `query:"address" json:"-"`
	Request string `query:"request_id" json:"-"`
	auditSpan
}

// auditSpan is what narrows every list of audit records.
type auditSpan struct {
	Since time.Time `query:"since" json:"-"`
	Until time.Time `query:"until" json:"-"`
	Query string    `query:"q" json:"-" doc:"Words that must each be one of the record's values: an id, an address, a request, a code, an action, a tenant's name."`
}

// fill puts the span and the page into a filter.
func (s auditSpan) fill(f *meta.AuditFilter, p Page) error {
	f.Since, f.Until = meta.StampOf(s.Since), meta.StampOf(s.Until)
	if p.After == "" {
		return nil
	}
	n, err := strconv.ParseInt(p.After, 10, 64)
	if err != nil || n < 1 {
		return meta.ErrCursor
	}
	f.Before = n
	return nil
}

func recordKey(r admin.Record) string { return strconv.FormatInt(r.ID, 10) }

// Audit searches the audit log, newest first.
func (a *API) Audit() Endpoint {
	return List(a, func(ctx context.Context, r *Request, in AuditQuery, p Page) ([]admin.Record, error) {
		f := meta.AuditFilter{
			Action: in.Action, ActorKind: in.Kind, ActorID: in.ActorID, Role: in.Role, Target: in.Target, Result: in.Result, Code: in.Code,
			Address: in.Address, RequestID: in.Request,
		}
		if err := in.fill(&f, p); err != nil {
			return nil, err
		}
		return r.Admin.Search(ctx, f, in.Tenant, in.Query, p.Limit)
	}, recordKey)
}

// AuditRecordID names a record.
type AuditRecordID struct {
	ID int64 `path:"id" json:"-"`
}

// AuditRecord shows one record.
func (a *API) AuditRecord() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in AuditRecordID) (admin.Record, error) {
		return r.Admin.AuditRecord(ctx, in.ID)
	})
}
