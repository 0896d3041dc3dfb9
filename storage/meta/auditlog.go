package meta

import "context"

// AuditFilter narrows the audit log; empty fields do not.
type AuditFilter struct {
	TenantID string
	// Action is one action, or all whose names begin with it and a dot: "tenant" is tenant.create and the others.
	Action string
	// Since is when the oldest was written.
	Since Stamp
}

// AuditLog lists records newest first, at most limit.
func (db *DB) AuditLog(ctx context.Context, f AuditFilter, limit int) ([]AuditRecord, error) {
	q := db.g.WithContext(ctx)
	if f.TenantID != "" {
		q = q.Where("tenant_id = ?", f.TenantID)
	}
	if f.Action != "" {
		q = q.Where("action = ? OR action LIKE ? ESCAPE '!'", f.Action, escapeLike(f.Action)+".%")
	}
	if f.Since > 0 {
		q = q.Where("at >= ?", f.Since)
	}
	var out []AuditRecord
	return out, q.Order("id DESC").Limit(limit).Find(&out).Error
}
