package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"gatehouse/storage"
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
	// Actor is the kind of who did it: key, operator, operator_token, stranger, worker, cli.
	Actor   string `json:"actor"`
	ActorID string `json:"actor_id"`
	// Role is the operator's when it was done.
	Role      string          `json:"role"`
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
	return a.records(ctx, f, limit)
}

// Search reads the audit log by a filter, newest first: at most limit records. tenant is a name or id; query is words, separated
// by spaces, that must each be one of a record's values.
func (a Admin) Search(ctx context.Context, f meta.AuditFilter, tenant, query string, limit int) ([]Record, error) {
	if tenant != "" {
		// One that is purged has no record under its old name any more, its id finds it all the same.
		switch id, err := a.tenantID(ctx, tenant); {
		case err == nil:
			f.TenantID = id
		case uuid.Validate(tenant) == nil:
			f.TenantID = tenant
		default:
			return nil, err
		}
	}
	words := strings.Fields(query)
	if len(words) > maxWords {
		return nil, refuse(storage.CodeMalformedRequest, "words",
			fmt.Sprintf("At most %d words are looked for at once.", maxWords), fmt.Sprintf("一次最多查找 %d 个词。", maxWords))
	}
	for _, w := range words {
		forms := []string{w, strings.ToLower(w), strings.ToUpper(w)}
		if t, err := a.DB.TenantByName(ctx, w); err == nil {
			forms = append(forms, t.ID)
		} else if !errors.Is(err, storage.ErrNotFound) {
			return nil, fmt.Errorf("look up tenant: %w", err)
		}
		slices.Sort(forms)
		f.Words = append(f.Words, slices.Compact(forms))
	}
	return a.records(ctx, f, limit)
}

// maxWords bounds a query.
const maxWords = 5

// AuditRecord reads one record.
func (a Admin) AuditRecord(ctx context.Context, id int64) (Record, error) {
	row, err := a.DB.AuditRecordBy(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return Record{}, refuse(storage.CodeNotFound, "record_unknown", fmt.Sprintf("There is no audit record %d.", id), fmt.Sprintf("没有编号为 %d 的审计记录。", id))
	}
	if err != nil {
		return Record{}, fmt.Errorf("read the audit log: %w", err)
	}
	list, err := a.recordsOf(ctx, []meta.AuditRecord{row})
	if err != nil {
		return Record{}, err
	}
	return list[0], nil
}

func (a Admin) records(ctx context.Context, f meta.AuditFilter, limit int) ([]Record, error) {
	rows, err := a.DB.AuditLog(ctx, f, limit)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	return a.recordsOf(ctx, rows)
}

func (a Admin) recordsOf(ctx context.Context, rows []meta.AuditRecord) ([]Record, error) {
	names, err := a.namesIn(ctx, rows)
	if err != nil {
		return nil, err
	}
	out := make([]Record, 0, len(rows))
	for _, r := range rows {
		out = append(out, Record{
			ID: r.ID, At: r.At.Time(), Action: r.Action, Result: r.Result, Code: r.Code, TenantID: r.TenantID, Tenant: names[r.TenantID],
			Target: r.Target, Actor: r.ActorKind, ActorID: r.ActorID, Role: r.ActorRole, RequestID: r.RequestID, Address: r.Address, UserAgent: r.UserAgent,
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
