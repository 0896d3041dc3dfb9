package meta

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"gatehouse/storage"
)

// ErrLeaseLost says that the task is no longer this worker's: its lease ran out, or it was cancelled. Whatever
// the worker did must not be committed.
var ErrLeaseLost = errors.New("the task's lease was lost")

// NewTask describes a task to be queued; its lane is that of its kind.
type NewTask struct {
	Kind     storage.TaskKind
	TenantID string
	Subject  string
	// Unique holds back a second open task of the same kind and subject.
	Unique bool
	// OnePerKind holds back a second open task of the same kind, whatever its subject.
	OnePerKind bool
	RunAt      Stamp
}

// BlobTask is the task of that kind about a blob: one is open at a time.
func BlobTask(kind storage.TaskKind, tenantID, sha256 string) NewTask {
	return NewTask{Kind: kind, TenantID: tenantID, Subject: sha256, Unique: true}
}

// Enqueue writes the task row in the transaction of the state change that asks for it. With Unique or OnePerKind it reports
// false when such a task is open already.
func (tx *Tx) Enqueue(n NewTask) (bool, error) {
	now := Now()
	t := Task{
		ID: NewID(), Kind: n.Kind, Lane: storage.LaneOf(n.Kind), TenantID: n.TenantID, Subject: n.Subject,
		State: storage.TaskQueued, RunAt: max(n.RunAt, now), CreatedAt: now, UpdatedAt: now,
	}
	if !n.Unique && !n.OnePerKind {
		return true, tx.g.Create(&t).Error
	}
	key := dedupeKey(n)
	t.DedupeKey = &key
	return insertNew(tx.g, tx.dialect, &t)
}

// EnqueueUnique is Enqueue of a task that is Unique or OnePerKind, and gives it, or the open one that holds it back.
func (tx *Tx) EnqueueUnique(n NewTask) (Task, bool, error) {
	created, err := tx.Enqueue(n)
	if err != nil {
		return Task{}, false, err
	}
	var t Task
	err = tx.g.Take(&t, "dedupe_key = ?", dedupeKey(n)).Error
	return t, created, notFound(err)
}

// Lease is one attempt at a task: Owner is unique to the attempt, so that a worker that lost it can change
// nothing any more.
type Lease struct {
	Task  Task
	Owner string
}

// Claim takes a queued task for one attempt by compare-and-set. It reports false when the task is not to be
// had: taken, done, cancelled, not due, or its lane is paused.
func (db *DB) Claim(ctx context.Context, id, worker string, lease time.Duration) (Lease, bool, error) {
	owner := worker + "/" + uuid.NewString()[:8]
	now := Now()
	var l Lease
	won := false
	err := db.InTx(ctx, func(tx *Tx) error {
		won = false
		r := tx.g.Model(&Task{}).Where("id = ? AND state = ? AND run_at <= ?", id, storage.TaskQueued, now).
			Where("NOT EXISTS (SELECT 1 FROM lanes WHERE lanes.name = tasks.lane AND lanes.paused_at > 0)").Updates(map[string]any{
			"state": storage.TaskRunning, "lease_owner": owner, "lease_until": now.Add(lease),
			"attempts": gorm.Expr("attempts + 1"), "updated_at": now,
		})
		if r.Error != nil || r.RowsAffected == 0 {
			return r.Error
		}
		won = true
		return tx.g.Take(&l.Task, "id = ?", id).Error
	})
	l.Owner = owner
	return l, won && err == nil, err
}

// held narrows to the row of a lease that is still this attempt's.
func held(g *gorm.DB, l Lease) *gorm.DB {
	return g.Model(&Task{}).Where("id = ? AND state = ? AND lease_owner = ?", l.Task.ID, storage.TaskRunning, l.Owner)
}

func heldOrLost(r *gorm.DB) error {
	if r.Error == nil && r.RowsAffected == 0 {
		return ErrLeaseLost
	}
	return r.Error
}

// Heartbeat extends a lease and records the progress (0..1).
func (db *DB) Heartbeat(ctx context.Context, l Lease, lease time.Duration, progress float64) error {
	return db.InTx(ctx, func(tx *Tx) error {
		now := Now()
		return heldOrLost(held(tx.g, l).Updates(map[string]any{
			"lease_until": now.Add(lease), "progress": progress, "updated_at": now,
		}))
	})
}

// Finish ends a task well, in the transaction of the state change it made.
func (tx *Tx) Finish(l Lease) error {
	now := Now()
	return heldOrLost(held(tx.g, l).Updates(map[string]any{
		"state": storage.TaskDone, "progress": 1, "dedupe_key": nil, "lease_owner": "", "lease_until": 0,
		"last_error": "", "updated_at": now, "finished_at": now,
	}))
}

// Retry puts a task back into the queue after a failed attempt. With free set the attempt does not count:
// nothing was wrong with the task, only with what it needs.
func (tx *Tx) Retry(l Lease, at Stamp, problem string, free bool) error {
	attempts := gorm.Expr("attempts")
	if free {
		attempts = gorm.Expr("attempts - 1")
	}
	err := heldOrLost(held(tx.g, l).Updates(map[string]any{
		"state": storage.TaskQueued, "run_at": at, "rung_at": 0, "rung_by": "", "attempts": attempts,
		"lease_owner": "", "lease_until": 0, "last_error": problem, "updated_at": Now(),
	}))
	if err != nil || free {
		return err
	}
	return tx.noteAttempt(l, AttemptFailed, problem)
}

// Bury ends a task badly. It stays visible as dead.
func (tx *Tx) Bury(l Lease, problem string) error {
	now := Now()
	err := heldOrLost(held(tx.g, l).Updates(map[string]any{
		"state": storage.TaskDead, "dedupe_key": nil, "lease_owner": "", "lease_until": 0,
		"last_error": problem, "updated_at": now, "finished_at": now,
	}))
	if err != nil {
		return err
	}
	return tx.noteAttempt(l, AttemptDead, problem)
}

// CancelTasks cancels every open task about a subject, running ones included: their workers notice at the next
// heartbeat and can commit nothing.
func (t Tenant) CancelTasks(subject string) error {
	now := Now()
	return t.rows(&Task{}).Where("subject = ? AND state IN ?", subject, []storage.TaskState{storage.TaskQueued, storage.TaskRunning}).
		Updates(map[string]any{"state": storage.TaskCancelled, "dedupe_key": nil, "updated_at": now, "finished_at": now}).Error
}

// Unring takes the ring back, so that the next round of a relay rings again.
func (db *DB) Unring(ctx context.Context, ids []string) error {
	return db.InTx(ctx, func(tx *Tx) error {
		return tx.g.Model(&Task{}).Where("id IN ? AND state = ?", ids, storage.TaskQueued).
			Updates(map[string]any{"rung_at": 0, "rung_by": ""}).Error
	})
}

// QueueDepth is how many open tasks a lane has and how long the oldest has been due.
type QueueDepth struct {
	Lane   storage.Lane
	State  storage.TaskState
	Count  int64
	Oldest Stamp
}

// Depths counts tasks that are not done, per lane and state.
func (db *DB) Depths(ctx context.Context) ([]QueueDepth, error) {
	var out []QueueDepth
	err := db.g.WithContext(ctx).Model(&Task{}).
		Where("state IN ?", []storage.TaskState{storage.TaskQueued, storage.TaskRunning, storage.TaskDead}).
		Select("lane, state, COUNT(*) AS count, MIN(run_at) AS oldest").Group("lane, state").Scan(&out).Error
	return out, err
}

// TaskBy reads one task.
func (db *DB) TaskBy(ctx context.Context, id string) (Task, error) {
	var t Task
	err := db.g.WithContext(ctx).Take(&t, "id = ?", id).Error
	return t, notFound(err)
}

// TasksAbout lists the tasks about a subject of a tenant, newest first.
func (t Tenant) TasksAbout(subject string) ([]Task, error) {
	var out []Task
	return out, t.rows(&Task{}).Where("subject = ?", subject).Order("id DESC").Find(&out).Error
}

// NewID makes a UUIDv7: unique, and in the order of time.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// SetSubject names what a held task is about, once it is known.
func (tx *Tx) SetSubject(l Lease, subject string) error {
	return heldOrLost(held(tx.g, l).Update("subject", subject))
}

// TaskLike reads the open task that holds back the given one, which is Unique or OnePerKind.
func (db *DB) TaskLike(ctx context.Context, n NewTask) (Task, error) {
	var t Task
	r := db.g.WithContext(ctx).Where("dedupe_key = ?", dedupeKey(n)).Limit(1).Find(&t)
	if r.Error == nil && r.RowsAffected == 0 {
		return t, storage.ErrNotFound
	}
	return t, r.Error
}

// OpenTask reports whether a task of that kind about the digest is queued, running or dead: a dead one waits for an
// operator, and counts as open like in Stranded.
func (t Tenant) OpenTask(kind storage.TaskKind, sha256 string) (bool, error) {
	var n int64
	err := t.rows(&Task{}).Where("subject = ? AND kind = ? AND state IN ?", sha256, kind,
		[]storage.TaskState{storage.TaskQueued, storage.TaskRunning, storage.TaskDead}).Count(&n).Error
	return n > 0, err
}
