package meta

import (
	"context"

	"gatehouse/storage"
)

// VariantsIn lists the variants of all those blobs, in no order.
func (t Tenant) VariantsIn(digests []string) ([]Variant, error) {
	var out []Variant
	return out, t.rows(&Variant{}).Where("sha256 IN ?", digests).Find(&out).Error
}

// DropVariant removes one variant's row; it reports false when it was gone already. The ledger and the object are
// the caller's.
func (t Tenant) DropVariant(sha256, preset string) (bool, error) {
	r := t.rows(&Variant{}).Where("sha256 = ? AND preset = ?", sha256, preset).Delete(&Variant{})
	return r.RowsAffected == 1, r.Error
}

// DropVariants removes all rows of a blob's variants and returns how many bytes of the ledger they were.
func (t Tenant) DropVariants(sha256 string) (int64, error) {
	list, err := t.Variants(sha256)
	if err != nil {
		return 0, err
	}
	var bytes int64
	for _, v := range list {
		dropped, err := t.DropVariant(sha256, v.Preset)
		if err != nil {
			return 0, err
		}
		if dropped {
			bytes += v.Size
		}
	}
	return bytes, nil
}

// Stranded lists the tasks that nobody has queued: of blobs with assets that wait for a scan or for their variants while
// no task will ever do it. A dead task counts as one: an operator decides about it. Damaged blobs are left out: their task
// would have nothing to work on.
func (db *DB) Stranded(ctx context.Context, limit int) ([]NewTask, error) {
	var out []NewTask
	waiting := func(kind storage.TaskKind, where string, args ...any) error {
		var blobs []Blob
		open := db.g.WithContext(ctx).Model(&Task{}).Select("1").
			Where("tasks.tenant_id = blobs.tenant_id AND tasks.subject = blobs.sha256 AND tasks.kind = ?", kind).
			Where("tasks.state IN ?", []storage.TaskState{storage.TaskQueued, storage.TaskRunning, storage.TaskDead})
		err := db.g.WithContext(ctx).Where("refs > 0 AND sweeping = ? AND damage = ''", false).Where(where, args...).
			Where("NOT EXISTS (?)", open).Limit(limit).Find(&blobs).Error
		for _, b := range blobs {
			out = append(out, BlobTask(kind, b.TenantID, b.SHA256))
		}
		return err
	}
	if err := waiting(storage.TaskScan, "scan_status = ?", storage.ScanPending); err != nil {
		return nil, err
	}
	for _, category := range storage.MediaCategories() {
		kind, _ := storage.MediaTask(category)
		err := waiting(kind, "scan_status = ? AND category = ? AND media_status IN ?",
			storage.ScanClean, category, []storage.MediaStatus{storage.MediaPending, storage.MediaRunning})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
