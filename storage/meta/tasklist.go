package meta

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// TaskFilter narrows a list of tasks; zero fields do not.
type TaskFilter struct {
	Kind     storage.TaskKind
	Lane     storage.Lane
	State    storage.TaskState
	TenantID string
	// Subject is what the task is about: a digest, or the id of a run.
	Subject string
}

// Tasks lists tasks, newest first, at most limit of those older than the task `before`.
func (db *DB) Tasks(ctx context.Context, f TaskFilter, before string, limit int) ([]Task, error) {
	var out []Task
	err := db.planned(ctx, func(g *gorm.DB) error { return f.on(g, before).Order("id DESC").Limit(limit).Find(&out).Error })
	return out, err
}

func (f TaskFilter) on(q *gorm.DB, before string) *gorm.DB {
	for _, c := range []struct{ column, value string }{
		{"kind", string(f.Kind)}, {"lane", string(f.Lane)}, {"state", string(f.State)}, {"tenant_id", f.TenantID}, {"subject", f.Subject},
	} {
		if c.value != "" {
			q = q.Where(c.column+" = ?", c.value)
		}
	}
	if before != "" {
		q = q.Where("id < ?", before)
	}
	return q
}

// TaskBy reads one task in a transaction.
func (tx *Tx) TaskBy(id string) (Task, error) {
	var t Task
	err := tx.g.Take(&t, "id = ?", id).Error
	return t, notFound(err)
}

// Requeue makes sure that such a task is open: the one that is open already, else the newest that died, queued again from
// its first attempt, else a new one. It reports false when there was nothing to do. Other dead ones are
// cancelled: what they were about is being done. n is Unique.
func (tx *Tx) Requeue(n NewTask) (Task, bool, error) {
	var t Task
	open := tx.g.Where("dedupe_key = ?", dedupeKey(n)).Limit(1).Find(&t)
	if open.Error != nil || open.RowsAffected == 1 {
		return t, false, open.Error
	}
	dead := tx.g.Where("kind = ? AND tenant_id = ? AND subject = ? AND state = ?", n.Kind, n.TenantID, n.Subject, storage.TaskDead).
		Order("id DESC").Limit(1).Find(&t)
	if dead.Error != nil {
		return t, false, dead.Error
	}
	if dead.RowsAffected == 1 {
		return tx.Revive(t)
	}
	queued, err := tx.Enqueue(n)
	if err == nil && !queued {
		err = ErrChanged // somebody was quicker: the next look finds theirs
	}
	if err != nil {
		return t, false, err
	}
	err = tx.g.Where("dedupe_key = ?", dedupeKey(n)).Take(&t).Error
	return t, true, err
}

// Revive queues a dead task again, from its first attempt, unless one for the same thing is open: that one is given, and
// false.
func (tx *Tx) Revive(t Task) (Task, bool, error) {
	n := NewTask{Kind: t.Kind, TenantID: t.TenantID, Subject: t.Subject, Unique: true}
	key, now := dedupeKey(n), Now()
	var open Task
	r := tx.g.Where("dedupe_key = ?", key).Limit(1).Find(&open)
	if r.Error != nil || r.RowsAffected == 1 {
		return open, false, r.Error
	}
	r = tx.g.Model(&Task{}).Where("id = ? AND state = ?", t.ID, storage.TaskDead).Updates(map[string]any{
		"state": storage.TaskQueued, "dedupe_key": key, "attempts": 0, "run_at": now, "rung_at": 0, "rung_by": "", "progress": 0,
		"lease_owner": "", "lease_until": 0, "updated_at": now, "finished_at": 0,
	})
	if errors.Is(r.Error, gorm.ErrDuplicatedKey) || r.Error == nil && r.RowsAffected == 0 {
		return t, false, ErrChanged
	}
	if r.Error != nil {
		return t, false, r.Error
	}
	err := tx.g.Model(&Task{}).Where("kind = ? AND tenant_id = ? AND subject = ? AND state = ?", t.Kind, t.TenantID, t.Subject, storage.TaskDead).
		Updates(map[string]any{"state": storage.TaskCancelled, "updated_at": now, "finished_at": now}).Error
	if err != nil {
		return t, false, err
	}
	t, err = tx.TaskBy(t.ID)
	return t, true, err
}

// CancelTask ends a task that is queued, running or dead, by compare-and-set on what was read: its worker notices at the
// next heartbeat and can commit nothing.
func (tx *Tx) CancelTask(t Task) error {
	now := Now()
	r := tx.g.Model(&Task{}).Where("id = ? AND state = ? AND lease_owner = ?", t.ID, t.State, t.LeaseOwner).
		Updates(map[string]any{"state": storage.TaskCancelled, "dedupe_key": nil, "updated_at": now, "finished_at": now})
	if r.Error == nil && r.RowsAffected == 0 {
		return ErrChanged
	}
	return r.Error
}
