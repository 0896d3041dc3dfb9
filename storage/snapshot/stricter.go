package snapshot

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// lookBack is how much older than the snapshot a record of the audit log may be and still be looked at: clocks differ,
// and a record was written before its transaction ended. To apply one again that is in the snapshot changes nothing.
const lookBack = time.Hour

// stricter applies again what the audit log knows of since the snapshot and what shuts somebody out: a key that was
// revoked must not open again, nor a tenant that was suspended or deleted, nor an operator who was shut out. What opens is not applied. All of the log is
// looked at for a snapshot of the future: nobody knows what came after it.
func (r *restore) stricter() error {
	since := r.m.CreatedAt.Add(-lookBack)
	if r.m.OfTheFuture(r.settling.now.Time()) {
		since = time.Time{}
	}
	var log []meta.AuditRecord
	_, err := r.tx.Scan(&log, "SELECT * FROM audit_log WHERE at > ? AND result = ? AND (action = 'key.revoke' OR action IN ?) ORDER BY at, id",
		meta.StampOf(since), audit.OK,
		[]string{"tenant.suspend", "tenant.resume", "tenant.delete", "tenant.restore", "tenant.purge_now", "tenant.purge_begin", "tenant.purge"})
	if err != nil {
		return fmt.Errorf("read the audit log: %w", err)
	}
	last := map[string]meta.AuditRecord{} // of each tenant: the one after which its state is what it is
	for _, record := range log {
		if record.Action != "key.revoke" {
			last[record.TenantID] = record
			continue
		}
		if err := r.revoke(record); err != nil {
			return fmt.Errorf("revoke key %s: %w", record.Target, err)
		}
	}
	for id, record := range last {
		if err := r.shut(id, record); err != nil {
			return fmt.Errorf("state of tenant %s: %w", id, err)
		}
	}
	if r.mode != Fill { // which leaves operators as they are
		if err := r.keepOut(since); err != nil {
			return err
		}
	}
	slices.Sort(r.out.Stricter)
	return nil
}

func (r *restore) revoke(record meta.AuditRecord) error {
	if !r.written["api_keys/"+record.Target] {
		return nil
	}
	n, err := r.tx.Exec("UPDATE api_keys SET revoked_at = ? WHERE id = ? AND tenant_id = ? AND revoked_at = 0", record.At, record.Target, record.TenantID)
	if n > 0 {
		r.out.Stricter = append(r.out.Stricter, fmt.Sprintf("key %s of tenant %s: revoked", record.Target, record.TenantID))
	}
	return err
}

// rank orders the states of a tenant by what is left open.
func rank(s storage.TenantState) int {
	switch s {
	case storage.TenantSuspended:
		return 1
	case storage.TenantPendingDelete:
		return 2
	case storage.TenantDeleted, storage.TenantFailed, storage.TenantProvisioning:
		return 3
	case storage.TenantActive:
	}
	return 0
}

// shut takes a tenant to the state that the record took it to, if that leaves less open. One whose purge had begun, or
// ended, is pending deletion again: a person shall see it before more of it goes.
func (r *restore) shut(id string, record meta.AuditRecord) error {
	if !r.written["tenants/"+id] {
		return nil
	}
	row, err := r.tx.LockTenant(id)
	if err != nil {
		return err
	}
	facts := struct {
		Before, After storage.TenantState
		Reason        string
	}{Before: row.State, After: storage.TenantPendingDelete, Reason: "purged after the snapshot that was restored"}
	if !strings.HasPrefix(record.Action, "tenant.purge") {
		if err := json.Unmarshal([]byte(record.Data), &facts); err != nil {
			return fmt.Errorf("audit record %d: %w", record.ID, err)
		}
	}
	if rank(row.State) >= rank(facts.After) {
		return nil
	}
	set := map[string]any{"restore_state": "", "delete_after": 0}
	if facts.After == storage.TenantPendingDelete {
		set = map[string]any{"restore_state": facts.Before, "delete_after": r.settling.purge}
	}
	r.out.Stricter = append(r.out.Stricter, fmt.Sprintf("tenant %s (%s): %s", id, row.Name, facts.After))
	return r.tx.MoveTenant(row, facts.After, facts.Reason, set)
}
