package remedy

import (
	"encoding/json"
	"errors"
	"fmt"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// maxProblem is how long the sentence of a run's last failure may be, in characters.
const maxProblem = 1000

// BeginBulk asks for a run over the files that were counted. Files outside the ids of the count do not belong to it, and
// it ends when it has dealt with as many.
func BeginBulk(tx *meta.Tx, by By, action Action, s meta.AssetSearch, count meta.AssetCount) (meta.BulkRun, error) {
	filter, err := json.Marshal(s)
	if err != nil {
		return meta.BulkRun{}, err
	}
	now := meta.Now()
	r := meta.BulkRun{
		ID: meta.NewID(), TenantID: s.TenantID, Action: string(action), Filter: string(filter), Reason: by.Reason, State: meta.BulkQueued, Expected: count.Total,
		ActorKind: by.Actor.Kind, ActorID: by.Actor.ID, ActorRole: by.Actor.Role, RequestID: by.Actor.RequestID,
		Address: by.Actor.Address, UserAgent: by.Actor.UserAgent, CreatedAt: now, UpdatedAt: now,
	}
	if count.Total > 0 {
		r.CursorAt, r.FloorAt = count.Newest+"0", count.Oldest // the next that could be an id after the newest
	}
	if err := tx.Create(&r); err != nil {
		return r, fmt.Errorf("create the bulk run: %w", err)
	}
	if _, err := tx.Enqueue(meta.NewTask{Kind: storage.TaskBulk, Subject: r.ID, Unique: true}); err != nil {
		return r, fmt.Errorf("queue the bulk run: %w", err)
	}
	return r, audit.Write(tx, audit.Entry{
		Actor: by.Actor, TenantID: s.TenantID, Action: BulkAction(action), Target: r.ID, Result: audit.OK,
		Data: map[string]any{"action": action, "filter": json.RawMessage(filter), "expected": count.Total, "reason": by.Reason},
	})
}

// BulkAction is the audit log's name for a run.
func BulkAction(a Action) string {
	if a == Delete {
		return "asset.bulk_delete"
	}
	return "asset.bulk"
}

// Step deals with the next file of a run, in the transaction that moves the run on: a worker that dies between two files
// leaves the next one to its successor, and no file is dealt with twice. A refusal counts as failed, and the run goes on.
// ErrRunMoved says that the run has ended: it was cancelled, or is gone with the tenant that it was about.
func Step(tx *meta.Tx, r meta.BulkRun, a meta.Asset) error {
	now, err := tx.BulkRunBy(r.ID)
	if errors.Is(err, storage.ErrNotFound) {
		return meta.ErrRunMoved
	}
	if err != nil {
		return fmt.Errorf("read the bulk run: %w", err)
	}
	if a.ID >= now.CursorAt {
		return nil // dealt with before
	}
	by := By{Run: r.ID, Reason: r.Reason, Actor: audit.Actor{
		Kind: r.ActorKind, ID: r.ActorID, Role: r.ActorRole, RequestID: r.RequestID, Address: r.Address, UserAgent: r.UserAgent,
	}}
	set := map[string]any{"state": meta.BulkRunning, "cursor_at": a.ID}
	out, err := Do(tx, by, Action(r.Action), a.TenantID, a.ID)
	refusal, refused := errors.AsType[*storage.Error](err)
	switch {
	case refused && refusal.Cause == nil:
		set["failed"] = now.Failed + 1
		why := string(refusal.Code)
		if refusal.Reason != nil {
			why = refusal.Reason.English
		}
		set["problem"] = fmt.Sprintf("%.*s", maxProblem, a.ID+": "+why)
	case err != nil:
		return err
	case out.Changed:
		set["done"] = now.Done + 1
	default:
		set["unchanged"] = now.Unchanged + 1
	}
	return tx.MoveBulk(r.ID, set)
}

// EndBulk ends a run that has come to its end, or whose task is dead: problem says why, and is empty else.
func EndBulk(tx *meta.Tx, id, problem string) error {
	r, err := tx.BulkRunBy(id)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the bulk run: %w", err)
	}
	set := map[string]any{"state": meta.BulkDone, "finished_at": meta.Now()}
	result := audit.OK
	if problem != "" {
		set["state"], set["problem"] = meta.BulkFailed, fmt.Sprintf("%.*s", maxProblem, problem)
		result = audit.Failed
	}
	if err := tx.MoveBulk(id, set); errors.Is(err, meta.ErrRunMoved) {
		return nil // cancelled
	} else if err != nil {
		return err
	}
	return audit.Write(tx, audit.Entry{
		Actor: audit.Worker, Action: "asset.bulk_end", Target: id, Result: result,
		Data: map[string]any{"action": r.Action, "expected": r.Expected, "done": r.Done, "unchanged": r.Unchanged, "failed": r.Failed, "problem": problem},
	})
}

// CancelBulk ends a run where it is: what is done stays done.
func CancelBulk(tx *meta.Tx, by By, id string) (meta.BulkRun, error) {
	r, err := tx.BulkRunBy(id)
	if err != nil {
		return r, err
	}
	err = tx.MoveBulk(id, map[string]any{"state": meta.BulkCancelled, "finished_at": meta.Now()})
	if errors.Is(err, meta.ErrRunMoved) {
		return r, refuse("bulk_ended", fmt.Sprintf("This run has ended already: it is %s.", r.State), fmt.Sprintf("该批量运行已经结束：状态为 %s。", r.State))
	}
	if err != nil {
		return r, fmt.Errorf("cancel the bulk run: %w", err)
	}
	before := r.State
	if r, err = tx.BulkRunBy(id); err != nil {
		return r, err
	}
	return r, audit.Write(tx, audit.Entry{
		Actor: by.Actor, Action: "asset.bulk_cancel", Target: id, Result: audit.OK,
		Data: map[string]any{"before": before, "after": r.State, "done": r.Done, "unchanged": r.Unchanged, "failed": r.Failed, "reason": by.Reason},
	})
}
