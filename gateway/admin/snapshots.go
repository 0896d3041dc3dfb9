package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/snapshot"
)

// Snapshot is a snapshot of the database in the store.
type Snapshot struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	// Reason is daily, manual or before_restore.
	Reason  string `json:"reason"`
	Schema  string `json:"schema"`
	Dialect string `json:"dialect"`
	Program string `json:"program"`
	Rows    int64  `json:"rows"`
	Bytes   int64  `json:"bytes"`
	// Counts is what is in it; null of those that older programs took.
	Counts *snapshot.Counts `json:"counts"`
	// Problem says why it cannot be restored: its manifest cannot be believed.
	Problem string `json:"problem"`
	// Verified is what the last look at every byte of it found.
	Verified *snapshot.Verdict `json:"verified"`
}

// SnapshotTable is one table of a snapshot.
type SnapshotTable struct {
	Name  string `json:"name"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
}

// SnapshotDetail is a snapshot with its tables.
type SnapshotDetail struct {
	Snapshot
	Tables []SnapshotTable `json:"tables"`
}

// SnapshotCache keeps the list for a while: to make it, the store is asked for each snapshot. It is safe for concurrent use;
// the zero value is empty.
type SnapshotCache struct {
	mu   sync.Mutex
	list []snapshot.Entry
	at   time.Time
}

// snapshotsFor is how long the list holds; snapshots come once a night.
const snapshotsFor = 30 * time.Second

func (c *SnapshotCache) get(ctx context.Context, store *snapshot.Store) ([]snapshot.Entry, error) {
	if c == nil {
		return store.List(ctx)
	}
	c.mu.Lock() // whoever asks meanwhile waits for the answer, so that the store is asked once
	defer c.mu.Unlock()
	if !c.at.IsZero() && time.Since(c.at) < snapshotsFor {
		return c.list, nil
	}
	list, err := store.List(ctx)
	if err != nil {
		return nil, err
	}
	c.list, c.at = list, time.Now()
	return list, nil
}

func (c *SnapshotCache) forget() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = time.Time{}
}

func (a Admin) snapshots() *snapshot.Store {
	return &snapshot.Store{DB: a.DB, Zone: a.Zones.Snapshots}
}

// Snapshots lists the snapshots, the newest first.
func (a Admin) Snapshots(ctx context.Context) ([]Snapshot, error) {
	list, err := a.SnapshotCache.get(ctx, a.snapshots())
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	verdicts, err := snapshot.Verdicts(ctx, a.DB)
	if err != nil {
		return nil, fmt.Errorf("read what was verified: %w", err)
	}
	out := make([]Snapshot, 0, len(list))
	for _, e := range slices.Backward(list) {
		out = append(out, snapshotOf(e, verdicts))
	}
	return out, nil
}

func snapshotOf(e snapshot.Entry, verdicts map[string]snapshot.Verdict) Snapshot {
	s := Snapshot{
		ID: e.ID, CreatedAt: e.CreatedAt, Reason: string(e.Reason), Schema: e.Schema, Dialect: string(e.Dialect), Program: e.Program,
		Rows: e.Rows(), Bytes: e.Bytes(), Counts: e.Counts, Problem: e.Problem,
	}
	if v, ok := verdicts[e.ID]; ok {
		v.Damage, v.Warnings = append([]string{}, v.Damage...), append([]string{}, v.Warnings...)
		if v.Drift == nil {
			v.Drift = map[storage.DriftKind]int64{}
		}
		s.Verified = &v
	}
	return s
}

// snapshotEntry finds a snapshot in the list.
func (a Admin) snapshotEntry(ctx context.Context, id string) (snapshot.Entry, error) {
	list, err := a.SnapshotCache.get(ctx, a.snapshots())
	if err != nil {
		return snapshot.Entry{}, fmt.Errorf("list snapshots: %w", err)
	}
	for _, e := range list {
		if e.ID == id {
			return e, nil
		}
	}
	return snapshot.Entry{}, snapshotUnknown(id)
}

func snapshotUnknown(id string) error {
	return refuse(storage.CodeNotFound, "snapshot_unknown", fmt.Sprintf("There is no snapshot %q.", id), fmt.Sprintf("没有快照 %q。", id))
}

// ShowSnapshot reads one.
func (a Admin) ShowSnapshot(ctx context.Context, id string) (SnapshotDetail, error) {
	e, err := a.snapshotEntry(ctx, id)
	if err != nil {
		return SnapshotDetail{}, err
	}
	verdicts, err := snapshot.Verdicts(ctx, a.DB)
	out := SnapshotDetail{Snapshot: snapshotOf(e, verdicts), Tables: []SnapshotTable{}}
	for _, t := range e.Tables {
		table := SnapshotTable{Name: t.Name, Rows: t.Rows}
		for _, p := range t.Parts {
			table.Bytes += p.Bytes
		}
		out.Tables = append(out.Tables, table)
	}
	return out, err
}

// QueuedTask is a task that a worker was asked for.
type QueuedTask struct {
	TaskID string `json:"task_id"`
	// Queued: false says that the same was asked for before and is still to be done; this is that task.
	Queued bool `json:"queued"`
}

// TakeSnapshot asks a worker for a snapshot.
func (a Admin) TakeSnapshot(ctx context.Context) (QueuedTask, error) {
	return a.ask(ctx, snapshot.CreateTask(), "snapshot.start", "")
}

// VerifySnapshot asks a worker to read a whole snapshot; ShowSnapshot tells what it found.
func (a Admin) VerifySnapshot(ctx context.Context, id string) (QueuedTask, error) {
	if _, err := a.snapshotEntry(ctx, id); err != nil {
		return QueuedTask{}, err
	}
	return a.ask(ctx, snapshot.VerifyTask(id), "snapshot.check", id)
}

func (a Admin) ask(ctx context.Context, n meta.NewTask, action, target string) (QueuedTask, error) {
	var out QueuedTask
	err := a.DB.InTx(ctx, func(tx *meta.Tx) error {
		t, created, err := tx.EnqueueUnique(n)
		if err != nil {
			return fmt.Errorf("queue the task: %w", err)
		}
		out = QueuedTask{TaskID: t.ID, Queued: created}
		return a.write(tx, "", action, target, map[string]any{"task": t.ID, "queued": created})
	})
	return out, err
}

// RemoveSnapshot removes one for good. The newest that can be restored stays. That it begins is recorded first, so that
// nothing is ever gone without a word, and then that it is done.
func (a Admin) RemoveSnapshot(ctx context.Context, id string) error {
	if _, err := a.snapshotEntry(ctx, id); err != nil {
		return err
	}
	record := func(ctx context.Context, step string) error {
		return a.DB.InTx(ctx, func(tx *meta.Tx) error { return a.write(tx, "", "snapshot.remove", id, map[string]any{step: true}) })
	}
	if err := record(ctx, "begun"); err != nil {
		return fmt.Errorf("record the removal: %w", err)
	}
	err := a.snapshots().Remove(ctx, id, time.Now())
	a.SnapshotCache.forget()
	switch {
	case errors.Is(err, snapshot.ErrNotFound):
		return snapshotUnknown(id)
	case errors.Is(err, snapshot.ErrNewest):
		return refuse(storage.CodeConflict, "snapshot_newest",
			"It is the newest snapshot that can be restored, and stays; take another one first.", "这是最新的可恢复快照，不能删除；请先创建新的快照。")
	case err != nil:
		return fmt.Errorf("remove snapshot: %w", err)
	}
	// It is gone, whether the caller still waits or not.
	return record(context.WithoutCancel(ctx), "removed")
}
