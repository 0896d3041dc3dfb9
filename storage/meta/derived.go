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

// Stranded lists blobs with assets that wait for a scan or for their variants while no task will ever do it. A
// dead task counts as one: an operator decides about it.
func (db *DB) Stranded(ctx context.Context, limit int) (scans, images []Blob, err error) {
	waiting := func(kind storage.TaskKind, where string, args ...any) ([]Blob, error) {
		var out []Blob
		open := db.g.WithContext(ctx).Model(&Task{}).Select("1").
			Where("tasks.tenant_id = blobs.tenant_id AND tasks.subject = blobs.sha256 AND tasks.kind = ?", kind).
			Where("tasks.state IN ?", []storage.TaskState{storage.TaskQueued, storage.TaskRunning, storage.TaskDead})
		err := db.g.WithContext(ctx).Where("refs > 0 AND sweeping = ?", false).Where(where, args...).
			Where("NOT EXISTS (?)", open).Limit(limit).Find(&out).Error
		return out, err
	}
	if scans, err = waiting(storage.TaskScan, "scan_status = ?", storage.ScanPending); err != nil {
		return nil, nil, err
	}
	images, err = waiting(storage.TaskImage, "scan_status = ? AND category = ? AND media_status IN ?",
		storage.ScanClean, storage.CategoryImage, []storage.MediaStatus{storage.MediaPending, storage.MediaRunning})
	return scans, images, err
}
