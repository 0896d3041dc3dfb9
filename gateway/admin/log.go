package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"gatehouse/storage/meta"
)

// Record is one record of the audit log.
type Record struct {
	ID     int64     `json:"id"`
	At     time.Time `json:"at"`
	Action string    `json:"action"`
	Result string    `json:"result"`
	// Code is that of a refusal.
	Code     string `json:"code"`
	TenantID string `json:"tenant_id"`
	// Tenant is what the tenant is called now; empty where there is none.
	Tenant string `json:"tenant"`
	Target string `json:"target"`
	// Actor is the kind of who did it: key, worker, cli.
	Actor     string          `json:"actor"`
	ActorID   string          `json:"actor_id"`
	RequestID string          `json:"request_id"`
	Address   string          `json:"address"`
	UserAgent string          `json:"user_agent"`
	Data      json.RawMessage `json:"data"`
}

// Log reads the audit log, newest first: at most limit records, of a tenant (name or id), of an action or a family of actions, and
// since a time; empty ones do not narrow.
func (a Admin) Log(ctx context.Context, tenant, action string, since time.Time, limit int) ([]Record, error) {
	f := meta.AuditFilter{Action: action}
	if !since.IsZero() {
		f.Since = meta.StampOf(since)
	}
	if tenant != "" {
		id, err := a.tenantID(ctx, tenant)
		if err != nil {
			return nil, err
		}
		f.TenantID = id
	}
	rows, err := a.DB.AuditLog(ctx, f, limit)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	names, err := a.namesIn(ctx, rows)
	if err != nil {
		return nil, err
	}
	out := make([]Record, 0, len(rows))
	for _, r := range rows {
		out = append(out, Record{
			ID: r.ID, At: r.At.Time(), Action: r.Action, Result: r.Result, Code: r.Code, TenantID: r.TenantID, Tenant: names[r.TenantID],
			Target: r.Target, Actor: r.ActorKind, ActorID: r.ActorID, RequestID: r.RequestID, Address: r.Address, UserAgent: r.UserAgent,
			Data: specJSON(r.Data),
		})
	}
	return out, nil
}

// asked is for how many tenants is asked at once.
const asked = 500

func (a Admin) namesIn(ctx context.Context, rows []meta.AuditRecord) (map[string]string, error) {
	var ids []string
	for _, r := range rows {
		ids = append(ids, r.TenantID)
	}
	slices.Sort(ids)
	names := map[string]string{}
	for part := range slices.Chunk(slices.Compact(ids), asked) {
		some, err := a.DB.TenantNames(ctx, part)
		if err != nil {
			return nil, fmt.Errorf("read names of tenants: %w", err)
		}
		for id, name := range some {
			names[id] = name
		}
	}
	return names, nil
}
