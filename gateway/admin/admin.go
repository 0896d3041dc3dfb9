package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/settings"
)

// Admin does what operators ask for.
type Admin struct {
	DB *meta.DB
	// Zones are needed to make tenants, and to list and remove snapshots.
	Zones *blob.Zones
	Actor audit.Actor
	// Reason is why a plan, a setting or a key is changed; it goes into the audit record.
	Reason string
	// DeleteOlder agrees that files older than a shorter retention are deleted; without it such a change is refused.
	DeleteOlder bool
	// CoolingOff is how long a deleted tenant can be restored.
	CoolingOff time.Duration
	// DeletedGrace is how long deleted bytes stay; it is only told.
	DeletedGrace time.Duration
	// MaxBytes is what is configured for each category; no plan and no override raises it.
	MaxBytes map[storage.Category]int64
	// ImagePresets and VideoPresets are the names that are configured: others are refused. Nil lets every name pass.
	ImagePresets, VideoPresets []string
	// Configured is what holds of the settings until operators set something else.
	Configured settings.Values
	// SnapshotCache keeps the list of snapshots for a while; nil asks the store each time.
	SnapshotCache *SnapshotCache
	// Verifier checks the audit log; nil where the configuration has no key for it.
	Verifier *audit.Verifier
}

// refuse makes a refusal whose sentences have facts in them.
func refuse(code storage.Code, slug, english, chinese string) error {
	return storage.Refuse(code, nil).Because(storage.Reason{Slug: slug, English: english, Chinese: chinese})
}

// tenantID finds a tenant by its id or name.
func (a Admin) tenantID(ctx context.Context, nameOrID string) (string, error) {
	t, err := a.DB.FindTenant(ctx, nameOrID)
	if errors.Is(err, storage.ErrNotFound) {
		return "", refuse(storage.CodeNotFound, "tenant_unknown",
			fmt.Sprintf("There is no tenant with the name or id %q.", nameOrID), fmt.Sprintf("没有名称或标识为 %q 的租户。", nameOrID))
	}
	if err != nil {
		return "", fmt.Errorf("look up tenant: %w", err)
	}
	return t.ID, nil
}

// Change is what a use case has changed about a tenant, or about a plan.
type Change struct {
	TenantID string `json:"tenant_id,omitempty"`
	// Name is the tenant's or the plan's.
	Name string `json:"name"`
	// What is the thing that changed: state, delete_after, plan, quota, overrides, key, plan_settings.
	What   string `json:"what"`
	Before any    `json:"before"`
	After  any    `json:"after"`
	// KeyID and KeyName are those of a key that changed.
	KeyID   string `json:"key_id,omitempty"`
	KeyName string `json:"key_name,omitempty"`
	// DeleteAfter is when a tenant that is pending deletion is purged.
	DeleteAfter *time.Time `json:"delete_after,omitempty"`
	// OverBytes is how much more a tenant uses now than it may: nothing is lost, but it cannot upload.
	OverBytes int64 `json:"over_bytes,omitempty"`
	// OverTenants is how many tenants of a plan use more now than it allows.
	OverTenants int64 `json:"over_tenants,omitempty"`
	// OverFiles is how many more files a tenant has than it may now.
	OverFiles int64 `json:"over_files,omitempty"`
	// OverdueFiles are older than they are kept now: a worker deletes them within the hour.
	OverdueFiles int64 `json:"overdue_files,omitempty"`
	// Capped is what the configuration allows where the change allows more.
	Capped map[storage.Category]int64 `json:"capped,omitempty"`
}

// onTenant runs do on a tenant whose row is locked, and returns what it changed.
func (a Admin) onTenant(ctx context.Context, nameOrID string, do func(*meta.Tx, meta.TenantRow) (Change, error)) (Change, error) {
	id, err := a.tenantID(ctx, nameOrID)
	if err != nil {
		return Change{}, err
	}
	var c Change
	err = a.DB.InTx(ctx, func(tx *meta.Tx) error {
		t, err := tx.LockTenant(id)
		if err != nil {
			return fmt.Errorf("read tenant: %w", err)
		}
		c, err = do(tx, t)
		c.TenantID, c.Name = t.ID, t.Name
		return err
	})
	return c, err
}

func (a Admin) write(tx *meta.Tx, tenantID, action, target string, data map[string]any) error {
	if _, told := data["reason"]; !told && a.Reason != "" {
		data["reason"] = a.Reason
	}
	return audit.Write(tx, audit.Entry{Actor: a.Actor, TenantID: tenantID, Action: action, Target: target, Result: audit.OK, Data: data})
}
