package meta

import (
	"context"
	"fmt"
	"iter"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// Sweepable hands over, page by page, the blobs that nobody references since before the cutoff, and then those whose sweep
// was begun before the other cutoff and never ended: its sweeper died. Each comes once, whatever becomes of it. Those of a
// tenant whose purge has begun are the purge's.
func (db *DB) Sweepable(ctx context.Context, unreferenced, abandoned Stamp, limit int) iter.Seq2[[]Blob, error] {
	return func(yield func([]Blob, error) bool) {
		g := db.g.WithContext(ctx)
		// Two probes on one index instead of one OR that no database plans well.
		for _, where := range []*gorm.DB{unreferencedSince(g, unreferenced), abandonedSince(g, abandoned)} {
			where = where.Where("NOT EXISTS (SELECT 1 FROM tenants WHERE tenants.id = blobs.tenant_id AND tenants.state = ? AND tenants.restore_state = '')",
				storage.TenantPendingDelete).Order("tenant_id, sha256").Limit(limit).Session(&gorm.Session{})
			for last := (Blob{}); ; {
				behind, args := beyond(db.dialect, []string{"tenant_id", "sha256"}, []any{last.TenantID, last.SHA256})
				var page []Blob
				if err := where.Where("("+behind+")", args...).Find(&page).Error; err != nil {
					yield(nil, err)
					return
				}
				if len(page) > 0 && !yield(page, nil) {
					return
				}
				if len(page) < limit {
					break
				}
				last = page[len(page)-1]
			}
		}
	}
}

// unreferencedSince asks the assets too: should the count of references have drifted, they keep their blob.
func unreferencedSince(g *gorm.DB, cutoff Stamp) *gorm.DB {
	return g.Where("refs = 0 AND sweeping = ? AND unreferenced_at > 0 AND unreferenced_at <= ?", false, cutoff).
		Where("NOT EXISTS (SELECT 1 FROM assets WHERE assets.tenant_id = blobs.tenant_id AND assets.sha256 = blobs.sha256 AND assets.state <> ?)",
			storage.AssetDeleted)
}

func abandonedSince(g *gorm.DB, cutoff Stamp) *gorm.DB {
	return g.Where("refs = 0 AND sweeping = ? AND updated_at <= ?", true, cutoff)
}

// BeginSweep claims a blob for one sweeper, by the rule of Sweepable; from then on nothing links to it. It reports
// false when somebody linked to it or another sweeper claimed it in between. Whoever claims it must be done with
// its objects long before the claim counts as abandoned.
//
// The assets themselves are asked too: a count of references that went wrong must not cost a file.
func (tx *Tx) BeginSweep(tenantID, sha256 string, unreferenced, abandoned Stamp) (bool, error) {
	r := tx.g.Model(&Blob{}).Where("tenant_id = ? AND sha256 = ?", tenantID, sha256).
		Where(tx.g.Where(unreferencedSince(tx.g, unreferenced)).Or(abandonedSince(tx.g, abandoned))).
		Where("NOT EXISTS (?)", tx.g.Model(&Asset{}).Select("1").
			Where("assets.tenant_id = blobs.tenant_id AND assets.sha256 = blobs.sha256 AND assets.state <> ?", storage.AssetDeleted)).
		Updates(map[string]any{"sweeping": true, "revision": revisionUp, "updated_at": Now()})
	return r.RowsAffected == 1, r.Error
}

// EndSweep removes the row of a swept blob and its variants and returns how many bytes of the ledger they were.
func (tx *Tx) EndSweep(tenantID, sha256 string) (int64, error) {
	var b Blob
	r := tx.g.Where("tenant_id = ? AND sha256 = ? AND sweeping = ?", tenantID, sha256, true).Limit(1).Find(&b)
	if r.Error != nil || r.RowsAffected == 0 {
		return 0, r.Error
	}
	var variants int64
	err := tx.g.Model(&Variant{}).Where("tenant_id = ? AND sha256 = ?", tenantID, sha256).
		Select("COALESCE(SUM(size), 0)").Scan(&variants).Error
	if err != nil {
		return 0, err
	}
	for _, row := range []any{&Variant{}, &Blob{}} {
		if err := tx.g.Where("tenant_id = ? AND sha256 = ?", tenantID, sha256).Delete(row).Error; err != nil {
			return 0, err
		}
	}
	return b.Size + variants, nil
}

// forgetBatch is how many rows one statement of Forget deletes: uploads wait for it on SQLite.
const forgetBatch = 500

// Forget removes rows that have outlived their use: finished tasks, bulk runs that ended, events and idempotency keys older
// than the stamps. Dead tasks stay; attempts go with their task.
func (db *DB) Forget(ctx context.Context, tasks, events, keys Stamp) error {
	if err := db.forgetTasks(ctx, tasks); err != nil {
		return fmt.Errorf("tasks: %w", err)
	}
	if err := forget[string](ctx, db, &BulkRun{}, "id", "finished_at > 0 AND finished_at < ?", tasks); err != nil {
		return fmt.Errorf("bulk runs: %w", err)
	}
	if err := forget[int64](ctx, db, &Event{}, "id", "at < ?", events); err != nil {
		return fmt.Errorf("events: %w", err)
	}
	if err := db.forgetKeys(ctx, keys); err != nil {
		return fmt.Errorf("idempotency keys: %w", err)
	}
	return nil
}

// forget deletes batch by batch. The ids are read first, because MySQL has no LIMIT in the subquery of an IN.
func forget[ID any](ctx context.Context, db *DB, model any, column, where string, args ...any) error {
	for {
		var ids []ID
		err := db.g.WithContext(ctx).Model(model).Where(where, args...).Limit(forgetBatch).Pluck(column, &ids).Error
		if err != nil || len(ids) == 0 {
			return err
		}
		err = db.InTx(ctx, func(tx *Tx) error {
			return tx.g.Where(column+" IN ?", ids).Where(where, args...).Delete(model).Error
		})
		if err != nil || len(ids) < forgetBatch {
			return err
		}
	}
}

// forgetKeys is forget for the table whose key has two columns.
func (db *DB) forgetKeys(ctx context.Context, before Stamp) error {
	for {
		var list []IdempotencyKey
		err := db.g.WithContext(ctx).Where("created_at < ?", before).Order("tenant_id").Limit(forgetBatch).Find(&list).Error
		if err != nil || len(list) == 0 {
			return err
		}
		byTenant := map[string][]string{}
		for _, k := range list {
			byTenant[k.TenantID] = append(byTenant[k.TenantID], k.Key)
		}
		err = db.InTx(ctx, func(tx *Tx) error {
			for tenant, keys := range byTenant {
				err := tx.g.Where("tenant_id = ? AND idem_key IN ? AND created_at < ?", tenant, keys, before).Delete(&IdempotencyKey{}).Error
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(list) < forgetBatch {
			return err
		}
	}
}

// ExpiredInfections lists blobs whose bad verdict is older than the cutoff and that are still referenced.
func (db *DB) ExpiredInfections(ctx context.Context, cutoff Stamp, limit int) ([]Blob, error) {
	var out []Blob
	err := db.g.WithContext(ctx).Where("scan_status IN ? AND scanned_at < ? AND refs > 0",
		[]storage.ScanStatus{storage.ScanInfected, storage.ScanUnscannable}, cutoff).Limit(limit).Find(&out).Error
	return out, err
}
