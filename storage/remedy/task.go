package remedy

import (
	"errors"
	"fmt"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// ofRuns are the kinds of task that work on a run of their own, and by what such a run is begun or ended.
var ofRuns = map[storage.TaskKind]string{
	storage.TaskReconcile: "reconciliation", storage.TaskSnapshot: "snapshot", storage.TaskBulk: "bulk run",
}

// TaskOutcome is what became of a task.
type TaskOutcome struct {
	TaskID string `json:"task_id"`
	// Changed is false when there was nothing to do: a task for the same thing is open already, and is the one that TaskID names.
	Changed bool              `json:"changed"`
	Before  storage.TaskState `json:"before"`
	After   storage.TaskState `json:"after"`
}

// RetryTask queues a dead task again, from its first attempt, and takes back what its death said about its subject where
// the moves allow that: variants that failed are pending again. A file that was found unscannable stays rejected
// until its new verdict.
func RetryTask(tx *meta.Tx, by By, id string) (TaskOutcome, error) {
	t, err := tx.TaskBy(id)
	if err != nil {
		return TaskOutcome{}, err
	}
	out := TaskOutcome{TaskID: t.ID, Before: t.State, After: t.State}
	switch {
	case t.State == storage.TaskQueued || t.State == storage.TaskRunning:
		return out, nil
	case t.State != storage.TaskDead:
		return out, refuse("task_ended", fmt.Sprintf("This task is %s; only dead tasks are retried.", t.State),
			fmt.Sprintf("该任务的状态为 %s；只能重试已失败终止的任务。", t.State))
	case ofRuns[t.Kind] != "":
		return out, refuse("task_of_run",
			fmt.Sprintf("The %s of this task has ended with it; begin a new one.", ofRuns[t.Kind]),
			"该任务所属的运行已随之结束；请重新开始一次运行。")
	}
	if err := undoDeath(tx, t); err != nil {
		return out, err
	}
	now, revived, err := tx.Revive(t)
	if err != nil {
		return out, fmt.Errorf("queue the task: %w", err)
	}
	out = TaskOutcome{TaskID: now.ID, Changed: revived, Before: t.State, After: now.State}
	if !revived {
		return out, nil
	}
	return out, recordTask(tx, by, "task.retry", t, out)
}

func undoDeath(tx *meta.Tx, t meta.Task) error {
	if t.Kind != storage.TaskImage && t.Kind != storage.TaskVideo && t.Kind != storage.TaskScan {
		return nil
	}
	b, known, err := tx.Tenant(t.TenantID).BlobIfAny(t.Subject)
	if t.Kind == storage.TaskScan {
		if err == nil && known && b.ScanStatus == storage.ScanInfected {
			err = rescanInfected()
		}
		return err
	}
	if err != nil || !known || b.Sweeping || b.MediaStatus != storage.MediaFailed {
		return err
	}
	return restartMedia(tx, b)
}

// CancelTask ends a task that is queued, running or dead. What a file waits for is not cancelled: the sweeper would queue it
// again at once. Variants that are cancelled have failed, and are made when somebody asks for them again.
func CancelTask(tx *meta.Tx, by By, id string) (TaskOutcome, error) {
	t, err := tx.TaskBy(id)
	if err != nil {
		return TaskOutcome{}, err
	}
	out := TaskOutcome{TaskID: t.ID, Before: t.State, After: t.State}
	switch {
	case t.State == storage.TaskCancelled:
		return out, nil
	case t.State == storage.TaskDone:
		return out, refuse("task_ended", "This task is done.", "该任务已完成。")
	case ofRuns[t.Kind] != "" && t.State != storage.TaskDead:
		return out, refuse("task_of_run",
			fmt.Sprintf("This task works on a %s; cancel that, and the task ends.", ofRuns[t.Kind]), "该任务服务于一次运行；请取消该运行，任务会随之结束。")
	case t.Kind == storage.TaskPurge && t.State != storage.TaskDead:
		return out, refuse("task_needed",
			"A purge whose time has come is queued again within minutes. Restore the tenant instead, if its purge has not begun.",
			"到期的清除任务会在几分钟内重新排队。如清除尚未开始，请改为还原该租户。")
	}
	if err := giveUp(tx, t); err != nil {
		return out, err
	}
	if err := tx.CancelTask(t); err != nil {
		return out, err
	}
	out.Changed, out.After = true, storage.TaskCancelled
	return out, recordTask(tx, by, "task.cancel", t, out)
}

// giveUp is what it means for a blob that its task is cancelled.
func giveUp(tx *meta.Tx, t meta.Task) error {
	_, media := mediaKinds[t.Kind]
	if t.Kind != storage.TaskScan && !media {
		return nil
	}
	tenant := tx.Tenant(t.TenantID)
	b, err := tenant.Blob(t.Subject)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the blob's row: %w", err)
	}
	kind, waits := b.WaitsFor()
	switch {
	case !waits || kind != t.Kind:
		return nil // nobody wants it; or a rescan, whose file keeps its verdict
	case t.Kind == storage.TaskScan:
		return refuse("task_needed",
			"A file waits for this scan, and without it the sweeper would queue it again. Pause the lane to hold it up, or delete the file.",
			"有文件正在等待此扫描；即使取消，清理程序也会重新排队。如需暂缓，请暂停该通道，或删除该文件。")
	}
	problem := storage.ReasonMediaFailed
	if err := tenant.SetMedia(b.SHA256, b.Revision, storage.MediaFailed, b.MediaProgress, &problem); err != nil {
		return fmt.Errorf("give the variants up: %w", err)
	}
	return tenant.RecordForBlob(b.SHA256, storage.EventMedia, map[string]any{
		"status": storage.MediaFailed, "progress": b.MediaProgress, "error": problem.English, "reason": problem.Slug,
	})
}

var mediaKinds = map[storage.TaskKind]bool{storage.TaskImage: true, storage.TaskVideo: true}

func recordTask(tx *meta.Tx, by By, action string, t meta.Task, out TaskOutcome) error {
	return audit.Write(tx, audit.Entry{
		Actor: by.Actor, TenantID: t.TenantID, Action: action, Target: t.ID, Result: audit.OK,
		Data: map[string]any{
			"before": out.Before, "after": out.After, "kind": t.Kind, "subject": t.Subject, "error": t.LastError, "reason": by.Reason,
		},
	})
}
