package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"gatehouse/gateway/auth"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// Admin does what operators ask for.
type Admin struct {
	DB    *meta.DB
	Actor audit.Actor
}

// NewTenant is a tenant that was just made. The key is shown this once and stored nowhere.
type NewTenant struct {
	TenantID string `json:"tenant_id"`
	APIKey   string `json:"api_key"`
}

// maxTenantName is what the column holds.
const maxTenantName = 190

// CreateTenant makes an active tenant on a plan, with its first key.
func (a Admin) CreateTenant(ctx context.Context, name, plan string) (NewTenant, error) {
	if name != strings.TrimSpace(name) || name == "" || len(name) > maxTenantName || !utf8.ValidString(name) {
		return NewTenant{}, fmt.Errorf("the tenant's name must be 1 to %d bytes of UTF-8 without spaces around it", maxTenantName)
	}
	if _, err := a.DB.PlanByName(ctx, plan); errors.Is(err, storage.ErrNotFound) {
		return NewTenant{}, fmt.Errorf("there is no plan %q; the plans are: %s", plan, a.planNames(ctx))
	} else if err != nil {
		return NewTenant{}, err
	}
	if _, err := a.DB.TenantByName(ctx, name); err == nil {
		return NewTenant{}, fmt.Errorf("there is a tenant named %q already; for another key: gateway key create %s", name, name)
	} else if !errors.Is(err, storage.ErrNotFound) {
		return NewTenant{}, err
	}
	now := meta.Now()
	t := meta.TenantRow{ID: meta.NewID(), Name: name, Plan: plan, State: meta.TenantActive, CreatedAt: now, UpdatedAt: now}
	var key string
	err := a.DB.InTx(ctx, func(tx *meta.Tx) (err error) {
		if err := tx.Create(&t); err != nil {
			return fmt.Errorf("create tenant: %w", err)
		}
		if err := a.write(tx, t.ID, "tenant.create", t.ID, map[string]any{"name": name, "plan": plan}); err != nil {
			return err
		}
		key, err = a.newKey(tx, t.ID, "default")
		return err
	})
	return NewTenant{TenantID: t.ID, APIKey: key}, err
}

// NewKey is an API key that was just made.
type NewKey struct {
	TenantID string `json:"tenant_id"`
	APIKey   string `json:"api_key"`
}

// CreateKey makes a further key for a tenant, given by name or id.
func (a Admin) CreateKey(ctx context.Context, tenant, name string) (NewKey, error) {
	id, err := a.tenantID(ctx, tenant)
	if err != nil {
		return NewKey{}, err
	}
	var key string
	err = a.DB.InTx(ctx, func(tx *meta.Tx) (err error) {
		key, err = a.newKey(tx, id, name)
		return err
	})
	return NewKey{TenantID: id, APIKey: key}, err
}

func (a Admin) newKey(tx *meta.Tx, tenantID, name string) (string, error) {
	key, hash := auth.NewKey()
	row := meta.APIKey{ID: meta.NewID(), TenantID: tenantID, Name: name, Hash: hash, Scopes: auth.AllScopes, CreatedAt: meta.Now()}
	if err := tx.Create(&row); err != nil {
		return "", fmt.Errorf("create key: %w", err)
	}
	return key, a.write(tx, tenantID, "key.create", row.ID, map[string]any{"name": name, "scopes": row.Scopes})
}

func (a Admin) tenantID(ctx context.Context, nameOrID string) (string, error) {
	t, err := a.DB.TenantByName(ctx, nameOrID)
	if errors.Is(err, storage.ErrNotFound) {
		t, err = a.DB.Tenant(ctx, nameOrID).Row()
	}
	if errors.Is(err, storage.ErrNotFound) {
		return "", fmt.Errorf("there is no tenant with the name or id %q", nameOrID)
	}
	return t.ID, err
}

func (a Admin) planNames(ctx context.Context) string {
	plans, err := a.DB.Plans(ctx)
	if err != nil || len(plans) == 0 {
		return "(none; run `gateway migrate` first)"
	}
	var names []string
	for _, p := range plans {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

func (a Admin) write(tx *meta.Tx, tenantID, action, target string, data map[string]any) error {
	return audit.Write(tx, audit.Entry{Actor: a.Actor, TenantID: tenantID, Action: action, Target: target, Result: audit.OK, Data: data})
}
