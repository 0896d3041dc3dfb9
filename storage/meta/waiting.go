package meta

import (
	"context"
	"slices"

	"gatehouse/storage"
)

// What a blob waits for is said twice here, in SQL and in Go, and nowhere else: somebody has it, nobody removes it, its
// bytes are there to work on, and its scan or its variants are not done.

// waiting is the condition on blobs b that wait for a task of that kind while none is open; about references the caller
// asks. A dead task counts as open: an operator decides about it.
func waiting(kind storage.TaskKind) (where string, args []any) {
	where, args = "b.scan_status = ?", []any{storage.ScanPending}
	if kind != storage.TaskScan {
		where = "b.scan_status = ? AND b.category IN ? AND b.media_status IN ?"
		args = []any{storage.ScanClean, categoriesOf(kind), []storage.MediaStatus{storage.MediaPending, storage.MediaRunning}}
	}
	where = `b.sweeping = ? AND b.damage = '' AND ` + where + `
		AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.tenant_id = b.tenant_id AND t.subject = b.sha256 AND t.kind = ? AND t.state IN ?)`
	args = append(append([]any{false}, args...), kind, []storage.TaskState{storage.TaskQueued, storage.TaskRunning, storage.TaskDead})
	return where, args
}

// WaitsFor is the kind of task that the blob needs to get on, whether or not there is one.
func (b Blob) WaitsFor() (storage.TaskKind, bool) {
	switch kind, media := storage.MediaTask(b.Category); {
	case b.Refs == 0 || b.Sweeping || b.Damage != "":
		return "", false
	case b.ScanStatus == storage.ScanPending:
		return storage.TaskScan, true
	case b.ScanStatus == storage.ScanClean && media:
		return kind, b.MediaStatus == storage.MediaPending || b.MediaStatus == storage.MediaRunning
	}
	return "", false
}

// Stranded lists the tasks that nobody has queued: of blobs with assets that wait for a scan or for their variants while
// no task will ever do it.
func (db *DB) Stranded(ctx context.Context, limit int) ([]NewTask, error) {
	kinds := []storage.TaskKind{storage.TaskScan}
	for _, c := range storage.MediaCategories() {
		if kind, _ := storage.MediaTask(c); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	var out []NewTask
	for _, kind := range kinds {
		where, args := waiting(kind)
		var blobs []RowDrift
		err := db.g.WithContext(ctx).Raw(`SELECT b.tenant_id, b.sha256 FROM blobs b WHERE b.refs > 0 AND `+where+` LIMIT ?`, append(args, limit)...).
			Scan(&blobs).Error
		if err != nil {
			return nil, err
		}
		for _, b := range blobs {
			out = append(out, BlobTask(kind, b.TenantID, b.SHA256))
		}
	}
	return out, nil
}

// StrandedAfter is Stranded for one kind of task, in pages and for some tenants. Blobs whose count of references is zero
// since never are in it: the count is wrong, and is put right first.
func (db *DB) StrandedAfter(ctx context.Context, kind storage.TaskKind, tenants []string, after RowDrift, limit int) ([]RowDrift, error) {
	scope, scoped := inTenants("b.", tenants)
	where, args := waiting(kind)
	q := `SELECT b.tenant_id, b.sha256 FROM blobs b WHERE (b.refs > 0 OR b.unreferenced_at = 0) AND ` + where
	return db.rowDrift(ctx, q+scope, append(args, scoped...), "b.tenant_id", "b.sha256", after, limit)
}

func categoriesOf(kind storage.TaskKind) []storage.Category {
	var out []storage.Category
	for _, c := range storage.MediaCategories() {
		if k, _ := storage.MediaTask(c); k == kind {
			out = append(out, c)
		}
	}
	return out
}
