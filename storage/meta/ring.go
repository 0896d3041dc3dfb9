package meta

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"gatehouse/storage"
)

// Ring marks up to limit due tasks as rung by one relay and returns them, oldest first. A task whose doorbell
// was rung before `stale` and that nobody claimed is rung again. Tasks of paused lanes are not rung.
func (db *DB) Ring(ctx context.Context, stale Stamp, limit int) ([]Task, error) {
	now := Now()
	ids, err := db.dueIDs(ctx, now, stale, limit)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	token := uuid.NewString()
	var out []Task
	err = db.InTx(ctx, func(tx *Tx) error {
		err := tx.g.Model(&Task{}).Where("id IN ? AND state = ? AND (rung_at = 0 OR rung_at < ?)", ids, storage.TaskQueued, stale).
			Updates(map[string]any{"rung_at": now, "rung_by": token}).Error
		if err != nil {
			return err
		}
		out = nil
		return tx.g.Where("id IN ? AND rung_by = ?", ids, token).Order("id").Find(&out).Error
	})
	return out, err
}

// dueIDs finds tasks to ring for. While a lane is paused the others are asked one by one: what waits in a paused lane may
// be much, and old, and would be read again in every round.
func (db *DB) dueIDs(ctx context.Context, now, stale Stamp, limit int) ([]string, error) {
	paused, err := db.PausedLanes(ctx)
	if err != nil {
		return nil, err
	}
	due := db.g.WithContext(ctx).Model(&Task{}).Where("state = ? AND run_at <= ?", storage.TaskQueued, now).Session(&gorm.Session{})
	if len(paused) == 0 {
		return unanswered(due, stale, limit)
	}
	var ids []string
	for _, lane := range storage.Lanes {
		if slices.ContainsFunc(paused, func(p LanePause) bool { return p.Name == lane }) {
			continue
		}
		// A share each: a lane with a deep backlog must not keep the others from being rung.
		some, err := unanswered(due.Where("lane = ?", lane).Session(&gorm.Session{}), stale, max(1, limit/len(storage.Lanes)))
		if err != nil {
			return nil, err
		}
		ids = append(ids, some...)
	}
	return ids, nil
}

// unanswered are two probes on an index with (state, rung_at, run_at) instead of one OR that no database plans well.
func unanswered(due *gorm.DB, stale Stamp, limit int) ([]string, error) {
	var ids, again []string
	if err := due.Where("rung_at = 0").Order("run_at").Limit(limit).Pluck("id", &ids).Error; err != nil || len(ids) == limit {
		return ids, err
	}
	err := due.Where("rung_at > 0 AND rung_at < ?", stale).Order("rung_at").Limit(limit-len(ids)).Pluck("id", &again).Error
	return append(ids, again...), err
}
