package meta

import (
	"context"
	"fmt"

	"gatehouse/storage"
)

// noteAttempt writes down an attempt that did not succeed. A lease begins with the claim, which is when the task it
// carries was changed last.
func (tx *Tx) noteAttempt(l Lease, outcome AttemptOutcome, problem string) error {
	return tx.g.Create(&TaskAttempt{
		ID: NewID(), TaskID: l.Task.ID, TenantID: l.Task.TenantID, Attempt: l.Task.Attempts, Worker: l.Owner,
		StartedAt: l.Task.UpdatedAt, EndedAt: Now(), Outcome: outcome, Problem: problem,
	}).Error
}

// Attempts lists what was written down about a task's attempts, newest first.
func (db *DB) Attempts(ctx context.Context, taskID string, limit int) ([]TaskAttempt, error) {
	var out []TaskAttempt
	return out, db.g.WithContext(ctx).Where("task_id = ?", taskID).Order("id DESC").Limit(limit).Find(&out).Error
}

// lostLease is what is said of a task whose worker was not heard of any more.
const lostLease = "the worker died or lost its lease"

// reapBatch bounds the rows of one transaction.
const reapBatch = 200

// Reap puts tasks back into the queue whose lease ran out, and returns how many.
func (db *DB) Reap(ctx context.Context) (int64, error) {
	var requeued int64
	for {
		var expired []Task
		err := db.g.WithContext(ctx).Where("state = ? AND lease_until < ?", storage.TaskRunning, Now()).Limit(reapBatch).Find(&expired).Error
		if err != nil || len(expired) == 0 {
			return requeued, err
		}
		var n int64
		err = db.InTx(ctx, func(tx *Tx) error {
			n = 0
			for _, t := range expired {
				reaped, err := tx.reap(t)
				if err != nil {
					return err
				}
				n += reaped
			}
			return nil
		})
		if err != nil {
			return requeued, fmt.Errorf("take tasks back: %w", err)
		}
		requeued += n
		if len(expired) < reapBatch {
			return requeued, nil
		}
	}
}

func (tx *Tx) reap(t Task) (int64, error) {
	now := Now()
	l := Lease{Task: t, Owner: t.LeaseOwner}
	r := held(tx.g, l).Where("lease_until < ?", now).Updates(map[string]any{
		"state": storage.TaskQueued, "run_at": now, "rung_at": 0, "rung_by": "", "lease_owner": "", "lease_until": 0,
		"updated_at": now, "last_error": lostLease,
	})
	if r.Error != nil || r.RowsAffected == 0 {
		return 0, r.Error
	}
	l.Task.UpdatedAt = 0 // a heartbeat's, not the beginning
	return 1, tx.noteAttempt(l, AttemptLost, lostLease)
}

// forgetTasks removes finished tasks, and what is known of their attempts. Dead ones stay.
func (db *DB) forgetTasks(ctx context.Context, before Stamp) error {
	const where = "finished_at > 0 AND finished_at < ? AND state <> ?"
	for {
		var ids []string
		err := db.g.WithContext(ctx).Model(&Task{}).Where(where, before, storage.TaskDead).Limit(forgetBatch).Pluck("id", &ids).Error
		if err != nil || len(ids) == 0 {
			return err
		}
		err = db.InTx(ctx, func(tx *Tx) error {
			// The condition again: an operator may have queued a task anew meanwhile.
			if err := tx.g.Where("id IN ?", ids).Where(where, before, storage.TaskDead).Delete(&Task{}).Error; err != nil {
				return err
			}
			return tx.g.Where("task_id IN ? AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.id = task_attempts.task_id)", ids).
				Delete(&TaskAttempt{}).Error
		})
		if err != nil || len(ids) < forgetBatch {
			return err
		}
	}
}
