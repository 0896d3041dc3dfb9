package admin

import (
	"context"
	"fmt"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// ManifestLine is a file of a tenant in the list that it can take along. It holds what is known of the file and nothing of it.
type ManifestLine struct {
	ID        string             `json:"id"`
	Name      string             `json:"name"`
	SHA256    string             `json:"sha256"`
	Size      int64              `json:"size"`
	MediaType string             `json:"media_type"`
	Category  storage.Category   `json:"category"`
	State     storage.AssetState `json:"state"`
	CreatedAt time.Time          `json:"created_at"`
	DeletedAt *time.Time         `json:"deleted_at"`
}

// Manifest lists all files of a tenant, deleted ones too, in the order in which they were made: at most limit after an id.
func (a Admin) Manifest(ctx context.Context, tenant, after string, limit int) ([]ManifestLine, error) {
	id, err := a.tenantID(ctx, tenant)
	if err != nil {
		return nil, err
	}
	rows, err := a.DB.Tenant(ctx, id).ManifestAfter(after, limit)
	if err != nil {
		return nil, fmt.Errorf("list assets: %w", err)
	}
	out := make([]ManifestLine, len(rows))
	for i, r := range rows {
		out[i] = ManifestLine{
			ID: r.ID, Name: r.Name, SHA256: r.SHA256, Size: r.Size, MediaType: r.MediaType, Category: r.Category, State: r.State,
			CreatedAt: r.CreatedAt.Time(), DeletedAt: r.DeletedAt.TimeIfSet(),
		}
	}
	return out, nil
}

// Export is what the manifest of a tenant was when somebody made it.
type Export struct {
	TenantID string `json:"tenant_id"`
	Name     string `json:"name"`
	Files    int64  `json:"files"`
	// Bytes and SHA256 are those of the manifest as CSV.
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

const actExport = "tenant.export"

// NoteExport records that the manifest of a tenant was made: the proof that a purge asks for.
func (a Admin) NoteExport(ctx context.Context, tenant string, e Export) (Export, error) {
	c, err := a.onTenant(ctx, tenant, func(tx *meta.Tx, t meta.TenantRow) (Change, error) {
		if t.Purging() || t.State == storage.TenantDeleted {
			return Change{}, refuse(storage.CodeConflict, "tenant_purging",
				fmt.Sprintf("The purge of the tenant %q has begun; what is left of it is no whole list.", t.Name),
				fmt.Sprintf("租户 %q 的清除已经开始，剩余内容不再是完整清单。", t.Name))
		}
		return Change{}, a.write(tx, t.ID, actExport, t.ID, map[string]any{"files": e.Files, "bytes": e.Bytes, "sha256": e.SHA256})
	})
	e.TenantID, e.Name = c.TenantID, c.Name
	return e, err
}

// PurgeExported removes everything of a deleted tenant now. Unlike Purge, which is for the command line, it ends no cooling-off:
// that must be over, and the tenant's manifest must have been made since the deletion. confirm is the tenant's name.
func (a Admin) PurgeExported(ctx context.Context, tenant, confirm, reason string) (Change, error) {
	return a.onTenant(ctx, tenant, func(tx *meta.Tx, t meta.TenantRow) (Change, error) {
		if err := purgeable(t, confirm); err != nil {
			return Change{}, err
		}
		exported, err := tx.Tenant(t.ID).AuditSince(actExport, "tenant.delete")
		if err != nil {
			return Change{}, fmt.Errorf("look for the export: %w", err)
		}
		if !exported {
			return Change{}, refuse(storage.CodeConflict, "purge_export",
				fmt.Sprintf("Nobody has exported the list of files of the tenant %q since it was deleted. Export it first, and keep it for the tenant.", t.Name),
				fmt.Sprintf("租户 %q 被删除后尚未导出其文件清单。请先导出，并为该租户保存。", t.Name))
		}
		now := meta.Now()
		if t.DeleteAfter > now {
			until := t.DeleteAfter.Time().Format(time.RFC3339)
			return Change{}, refuse(storage.CodeConflict, "purge_cooling_off",
				fmt.Sprintf("The tenant %q is cooling off until %s and can be restored; before that it is not purged.", t.Name, until),
				fmt.Sprintf("租户 %q 处于冷静期，%s 之前可以还原，在此之前不能彻底清除。", t.Name, until))
		}
		if _, err := tx.Enqueue(meta.PurgeTask(t.ID)); err != nil {
			return Change{}, fmt.Errorf("queue the purge: %w", err)
		}
		c := Change{What: "delete_after", Before: t.DeleteAfter.TimeIfSet(), After: now.TimeIfSet()}
		return c, a.write(tx, t.ID, "tenant.purge_now", t.ID, map[string]any{"before": c.Before, "after": c.After, "reason": reason, "exported": true})
	})
}

// purgeable refuses the purge of a tenant that is not deleted, or that nobody has named.
func purgeable(t meta.TenantRow, confirm string) error {
	if err := actPurge.check(t); err != nil {
		return err
	}
	if confirm != t.Name {
		return refuse(storage.CodeMalformedRequest, "purge_confirm",
			fmt.Sprintf("A purge cannot be taken back: confirm it with the tenant's name, which is %q.", t.Name),
			fmt.Sprintf("彻底清除无法撤回：请用租户名称 %q 确认。", t.Name))
	}
	return nil
}
