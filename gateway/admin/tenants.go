package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"gatehouse/gateway/auth"
	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/tenancy"
)

// NewTenant is a tenant that was just made. The key is shown this once and stored nowhere.
type NewTenant struct {
	TenantID string `json:"tenant_id"`
	APIKey   string `json:"api_key"`
}

// CreateTenant makes an active tenant on a plan, with its first key.
func (a Admin) CreateTenant(ctx context.Context, name, plan string) (NewTenant, error) {
	if err := checkName(name); err != nil {
		return NewTenant{}, err
	}
	if _, err := a.plan(ctx, plan); err != nil {
		return NewTenant{}, err
	}
	p := tenancy.Provisioner{DB: a.DB, Zones: a.Zones, Actor: a.Actor, Reason: a.Reason, NewKey: auth.NewKey, Scopes: auth.AllScopes}
	if _, err := a.DB.TenantByName(ctx, name); err == nil {
		// Whatever holds the name may be what a program left behind that died.
		if _, err := p.FailAbandoned(ctx, meta.Now().Add(-tenancy.Abandoned)); err != nil {
			return NewTenant{}, err
		}
	}
	if err := a.nameIsFree(ctx, name); err != nil {
		return NewTenant{}, err
	}
	id, key, err := p.Provision(ctx, name, plan)
	if errors.Is(err, tenancy.ErrNameTaken) { // somebody else was quicker
		err = cmp.Or(a.nameIsFree(ctx, name), err)
	}
	if err != nil {
		return NewTenant{}, fmt.Errorf("create tenant: %w", err)
	}
	return NewTenant{TenantID: id, APIKey: key}, nil
}

func checkName(name string) error {
	if goodName(name) {
		return nil
	}
	return refuse(storage.CodeMalformedRequest, "tenant_name",
		fmt.Sprintf("The name of a tenant must have 1 to %d bytes of UTF-8 without control and other invisible characters and without spaces around it, and must not be the form of an id.", tenancy.MaxName),
		fmt.Sprintf("租户名称必须是 1 到 %d 字节的 UTF-8 文本，不含控制字符和其他不可见字符，首尾没有空格，且不能是标识的形式。", tenancy.MaxName))
}

// goodName keeps out what two names could differ in without anybody seeing it. Letters of either case are two letters: Acme and
// acme are two tenants.
func goodName(name string) bool {
	_, err := uuid.Parse(name)
	return err != nil && name != "" && name == strings.TrimSpace(name) && len(name) <= tenancy.MaxName && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, invisible)
}

// invisible is a control or format character (zero width, direction), or ends a line or paragraph.
func invisible(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }

func (a Admin) nameIsFree(ctx context.Context, name string) error {
	t, err := a.DB.TenantByName(ctx, name)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("look up tenant: %w", err)
	case t.State == storage.TenantProvisioning:
		return refuse(storage.CodeConflict, "tenant_provisioning",
			fmt.Sprintf("A tenant named %q is being made at this moment. If the program that does it has died, the name is free again within %s.", name, tenancy.Abandoned),
			fmt.Sprintf("名为 %q 的租户正在创建中。如果创建程序已终止，该名称将在 %s 内重新可用。", name, tenancy.Abandoned))
	}
	return refuse(storage.CodeConflict, "tenant_exists",
		fmt.Sprintf("There is a tenant named %q already; it is %s.", name, t.State), fmt.Sprintf("已有名为 %q 的租户，其状态为 %s。", name, t.State))
}

// Tenant is a tenant as operators see it. Sizes are bytes.
type Tenant struct {
	ID     string              `json:"id"`
	Name   string              `json:"name"`
	Plan   string              `json:"plan"`
	State  storage.TenantState `json:"state"`
	Reason string              `json:"reason"`
	// DeleteAfter is when it is purged, if it is pending deletion.
	DeleteAfter *time.Time `json:"delete_after"`
	// PlanMissing: the plan has no record. A tenant that is over may outlive its plan; of any other it was lost, and with it
	// the quota, unless that is its own.
	PlanMissing   bool  `json:"plan_missing"`
	QuotaBytes    int64 `json:"storage_quota_bytes"`
	UsedBytes     int64 `json:"storage_used_bytes"`
	ReservedBytes int64 `json:"storage_reserved_bytes"`
	// OwnQuota says that the quota is the tenant's own and not its plan's.
	OwnQuota bool  `json:"own_quota"`
	Files    int64 `json:"files"`
	// ReservedFiles are on their way.
	ReservedFiles int64           `json:"reserved_files"`
	Overrides     json.RawMessage `json:"overrides"`
	CreatedAt     time.Time       `json:"created_at"`

	// The rest is there when one tenant is shown. Limits is what holds, the plan with the overrides; StateSince is when the
	// tenant came into its state.
	Limits     json.RawMessage `json:"limits,omitempty"`
	StateSince *time.Time      `json:"state_since,omitempty"`
	Keys       []Key           `json:"keys,omitempty"`
	// MaxBytes is the largest file of each category it may upload: what is configured, or less.
	MaxBytes map[storage.Category]int64 `json:"max_bytes,omitempty"`
	// Held is what it has deleted that is still among its used bytes.
	Held *quota.Releasing `json:"deleted,omitempty"`
	// Activity and LastUploadAt are as of the last count of the audit log.
	Activity     *Activity  `json:"activity,omitempty"`
	LastUploadAt *time.Time `json:"last_upload_at,omitempty"`
}

// Tenants lists tenants by name, those of one state unless it is empty: at most limit of those after a name.
func (a Admin) Tenants(ctx context.Context, state storage.TenantState, after string, limit int) ([]Tenant, error) {
	rows, err := a.DB.TenantList(ctx, state, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list tenants: %w", err)
	}
	plans, err := a.DB.Plans(ctx)
	if err != nil {
		return nil, fmt.Errorf("list plans: %w", err)
	}
	byName := map[string]*meta.Plan{}
	for _, p := range plans {
		byName[p.Name] = &p
	}
	out := make([]Tenant, 0, len(rows))
	for _, t := range rows {
		out = append(out, tenantOf(t, byName[t.Plan]))
	}
	return out, nil
}

// ShowTenant reads one tenant, with its keys.
func (a Admin) ShowTenant(ctx context.Context, nameOrID string) (Tenant, error) {
	id, err := a.tenantID(ctx, nameOrID)
	if err != nil {
		return Tenant{}, err
	}
	row, err := a.DB.Tenant(ctx, id).Row()
	if err != nil {
		return Tenant{}, fmt.Errorf("read tenant: %w", err)
	}
	var plan *meta.Plan
	switch p, err := a.DB.PlanByName(ctx, row.Plan); {
	case err == nil:
		plan = &p
	case !errors.Is(err, storage.ErrNotFound):
		return Tenant{}, fmt.Errorf("read plan: %w", err)
	}
	t := tenantOf(row, plan)
	if plan != nil {
		spec, err := quota.SpecOf(plan.Spec, row.Overrides)
		if err != nil {
			return Tenant{}, fmt.Errorf("plan %s: %w", row.Plan, err)
		}
		if t.Limits, err = json.Marshal(spec); err != nil {
			return Tenant{}, fmt.Errorf("limits of the tenant: %w", err)
		}
		t.MaxBytes = a.mayUpload(spec)
	}
	since, err := a.DB.Tenant(ctx, id).LastDone(moves)
	if err != nil {
		return Tenant{}, fmt.Errorf("read since when it is %s: %w", row.State, err)
	}
	t.StateSince = since.TimeIfSet()
	held, err := quota.Ledger{DB: a.DB, Grace: a.DeletedGrace}.Releasing(a.DB.Tenant(ctx, id))
	if err != nil {
		return Tenant{}, fmt.Errorf("add up what is deleted: %w", err)
	}
	t.Held = &held
	if err := a.activity(ctx, &t); err != nil {
		return Tenant{}, err
	}
	t.Keys, err = a.keys(ctx, id)
	return t, err
}

// mayUpload is the largest file of each category that a spec leaves.
func (a Admin) mayUpload(s quota.Spec) map[storage.Category]int64 {
	base := storage.Policy{Categories: map[storage.Category]storage.CategoryPolicy{}}
	for c, n := range a.MaxBytes {
		base.Categories[c] = storage.CategoryPolicy{MaxBytes: n}
	}
	out := map[storage.Category]int64{}
	for c, rule := range quota.PolicyFor(base, s).Categories {
		out[c] = rule.MaxBytes
	}
	return out
}

// moves are the audited actions that change a tenant's state.
var moves = []string{
	"tenant.create", "tenant.activate", "tenant.fail", "tenant.suspend", "tenant.resume", "tenant.delete", "tenant.restore", "tenant.purge",
}

// tenantOf shows a tenant; plan is nil when it has no record.
func tenantOf(r meta.TenantRow, plan *meta.Plan) Tenant {
	t := Tenant{
		ID: r.ID, Name: r.Name, Plan: r.Plan, State: r.State, Reason: r.StateReason, PlanMissing: plan == nil, UsedBytes: r.UsedBytes,
		ReservedBytes: r.ReservedBytes, Files: r.UsedFiles, ReservedFiles: r.ReservedFiles, Overrides: json.RawMessage("{}"), CreatedAt: r.CreatedAt.Time(),
	}
	if plan != nil {
		t.QuotaBytes = plan.StorageBytes
	}
	if r.QuotaOverride != nil {
		t.QuotaBytes, t.OwnQuota = *r.QuotaOverride, true
	}
	if r.Overrides != "" {
		t.Overrides = json.RawMessage(r.Overrides)
	}
	if r.State == storage.TenantPendingDelete {
		t.DeleteAfter = r.DeleteAfter.TimeIfSet()
	}
	return t
}
