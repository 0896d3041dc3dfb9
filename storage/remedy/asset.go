package remedy

import (
	"errors"
	"fmt"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// By is who does it, and why.
type By struct {
	Actor  audit.Actor
	Reason string
	// Run is the bulk run that it is a part of, if any.
	Run string
}

// Action is something that can be done to a file.
type Action string

// The actions.
const (
	RetryScan  Action = "retry_scan"
	RetryMedia Action = "retry_media"
	Rescan     Action = "rescan"
	Delete     Action = "delete"
	// RescanInfected is Rescan, of infected files too. It is for one file at a time, and no action of bulk runs.
	RescanInfected Action = "rescan_infected"
)

// Actions lists those of bulk runs.
var Actions = []Action{RetryScan, RetryMedia, Rescan, Delete}

// Outcome is what an action came to.
type Outcome struct {
	AssetID  string `json:"asset_id"`
	TenantID string `json:"tenant_id"`
	Action   Action `json:"action"`
	// Changed is false when there was nothing to do: the task is open already.
	Changed bool `json:"changed"`
	// TaskID is the task that does it; empty for a deletion.
	TaskID string `json:"task_id,omitempty"`
	// Before and After are the states that the action moved, as in the audit log.
	Before map[string]any `json:"before"`
	After  map[string]any `json:"after"`
}

// Do does the action to a file.
func Do(tx *meta.Tx, by By, action Action, tenantID, assetID string) (Outcome, error) {
	switch action {
	case RetryScan:
		return retryScan(tx, by, tenantID, assetID)
	case RetryMedia:
		return retryMedia(tx, by, tenantID, assetID)
	case Rescan, RescanInfected:
		return rescan(tx, by, action, tenantID, assetID)
	case Delete:
		return remove(tx, by, tenantID, assetID)
	}
	return Outcome{}, fmt.Errorf("no action %q", action)
}

// retryScan queues the scan of a file that has no verdict, or one that says that it could not be scanned. The latter stays
// rejected until the new verdict: no move leads back to quarantine, and nothing is known of the file that was not before.
func retryScan(tx *meta.Tx, by By, tenantID, assetID string) (Outcome, error) {
	a, b, err := subject(tx, tenantID, assetID)
	if err != nil {
		return Outcome{}, err
	}
	if b.ScanStatus != storage.ScanPending && b.ScanStatus != storage.ScanUnscannable {
		return Outcome{}, refuse("scan_ended",
			fmt.Sprintf("The scan of this file did not fail: the verdict is %s. To have it scanned again, ask for a rescan.", b.ScanStatus),
			fmt.Sprintf("该文件的扫描并未失败：结论为 %s。如需再次扫描，请使用重新扫描。", b.ScanStatus))
	}
	return queueScan(tx, by, RetryScan, a, b)
}

// rescan queues another scan of a file that has a verdict. Until the new one that verdict holds: what is available stays so.
func rescan(tx *meta.Tx, by By, action Action, tenantID, assetID string) (Outcome, error) {
	a, b, err := subject(tx, tenantID, assetID)
	if err != nil {
		return Outcome{}, err
	}
	if b.ScanStatus == storage.ScanPending {
		return Outcome{}, refuse("scan_pending",
			"This file has no verdict yet; a rescan is for files that have one. If its scan does not come to an end, retry it.",
			"该文件尚无扫描结论；重新扫描仅适用于已有结论的文件。如扫描迟迟未完成，请重试扫描。")
	}
	if b.ScanStatus == storage.ScanInfected && action != RescanInfected {
		return Outcome{}, rescanInfected()
	}
	return queueScan(tx, by, action, a, b)
}

// rescanInfected refuses what could set an infected file free.
func rescanInfected() error {
	return refuse("rescan_infected",
		"This file is infected, and a scan that finds nothing would set it free. That is a call of its own, with a higher role and a step-up: POST /api/admin/assets/{id}/rescan-infected.",
		"该文件已被判定为感染，若重新扫描未发现威胁，文件将被放行。此操作是独立的调用，需要更高的角色和二次验证：POST /api/admin/assets/{id}/rescan-infected。")
}

func queueScan(tx *meta.Tx, by By, action Action, a meta.Asset, b meta.Blob) (Outcome, error) {
	t, queued, err := tx.Requeue(meta.BlobTask(storage.TaskScan, b.TenantID, b.SHA256))
	if err != nil {
		return Outcome{}, fmt.Errorf("queue the scan: %w", err)
	}
	state := map[string]any{"state": a.State, "scan": b.ScanStatus}
	out := Outcome{AssetID: a.ID, TenantID: a.TenantID, Action: action, Changed: queued, TaskID: t.ID, Before: state, After: state}
	if !queued {
		return out, nil
	}
	name, what := "asset.retry", "scan"
	switch action {
	case Rescan:
		name, what = "asset.rescan", ""
	case RescanInfected:
		name, what = "asset.rescan_infected", ""
	case RetryScan, RetryMedia, Delete:
	}
	return out, record(tx, by, name, out, b, what)
}

// retryMedia makes the variants anew that failed, or that nobody is making.
func retryMedia(tx *meta.Tx, by By, tenantID, assetID string) (Outcome, error) {
	a, b, err := subject(tx, tenantID, assetID)
	if err != nil {
		return Outcome{}, err
	}
	kind, has := storage.MediaTask(b.Category)
	waits := b.MediaStatus == storage.MediaPending || b.MediaStatus == storage.MediaRunning
	switch {
	case !has || b.ScanStatus != storage.ScanClean || b.MediaStatus == storage.MediaNone:
		return Outcome{}, refuse("media_none",
			"This file has no web-ready forms to make: it is no picture or video, its plan makes none, or it was not found to be clean.",
			"该文件没有可生成的网页版本：它不是图片或视频、其套餐不生成网页版本，或未被判定为安全。")
	case !waits && b.MediaStatus != storage.MediaFailed:
		return Outcome{}, refuse("media_done", "The web-ready forms of this file are there already.", "该文件的网页版本已经生成。")
	}
	out := Outcome{AssetID: a.ID, TenantID: a.TenantID, Action: RetryMedia,
		Before: map[string]any{"state": a.State, "media": b.MediaStatus}, After: map[string]any{"state": a.State, "media": b.MediaStatus}}
	if b.MediaStatus == storage.MediaFailed {
		if err := restartMedia(tx, b); err != nil {
			return Outcome{}, err
		}
		out.After["media"] = storage.MediaPending
	}
	t, queued, err := tx.Requeue(meta.BlobTask(kind, b.TenantID, b.SHA256))
	if err != nil {
		return Outcome{}, fmt.Errorf("queue the variants: %w", err)
	}
	out.TaskID, out.Changed = t.ID, queued || b.MediaStatus == storage.MediaFailed
	if !out.Changed {
		return out, nil
	}
	return out, record(tx, by, "asset.retry", out, b, "media")
}

// restartMedia takes back that the variants of a blob have failed.
func restartMedia(tx *meta.Tx, b meta.Blob) error {
	tenant := tx.Tenant(b.TenantID)
	if err := tenant.SetMedia(b.SHA256, b.Revision, storage.MediaPending, 0, nil); err != nil {
		return fmt.Errorf("make the variants anew: %w", err)
	}
	return tenant.RecordForBlob(b.SHA256, storage.EventMedia, map[string]any{"status": storage.MediaPending, "progress": 0})
}

// remove deletes a file, as its tenant could.
func remove(tx *meta.Tx, by By, tenantID, assetID string) (Outcome, error) {
	a, err := living(tx, tenantID, assetID)
	if err != nil {
		return Outcome{}, err
	}
	if _, err := tx.Tenant(tenantID).DeleteAsset(assetID); errors.Is(err, storage.ErrNotFound) {
		return Outcome{}, meta.ErrChanged // deleted since: the next look says so
	} else if err != nil {
		return Outcome{}, fmt.Errorf("delete the asset: %w", err)
	}
	out := Outcome{AssetID: a.ID, TenantID: a.TenantID, Action: Delete, Changed: true,
		Before: map[string]any{"state": a.State}, After: map[string]any{"state": storage.AssetDeleted}}
	return out, record(tx, by, "asset.delete", out, meta.Blob{SHA256: a.SHA256, Size: a.Size}, a.Name)
}

// living reads an asset that is not deleted, of a tenant that is not being purged.
func living(tx *meta.Tx, tenantID, assetID string) (meta.Asset, error) {
	a, err := tx.AnyAsset(assetID)
	if errors.Is(err, storage.ErrNotFound) || err == nil && a.TenantID != tenantID {
		return a, storage.ErrNotFound
	}
	if err != nil {
		return a, fmt.Errorf("read the asset: %w", err)
	}
	t, err := tx.Tenant(tenantID).Row()
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return a, fmt.Errorf("read the tenant: %w", err)
	}
	switch {
	case a.State == storage.AssetDeleted:
		return a, refuse("asset_deleted", "This file is deleted; nothing can be done to it any more.", "该文件已被删除，无法再对其进行任何操作。")
	case err == nil && t.Purging():
		return a, refuse("tenant_purging", "The tenant of this file is being purged; there is no way back.", "该文件所属租户正在被清除，无法撤回。")
	}
	return a, nil
}

// subject reads a file and what it refers to.
func subject(tx *meta.Tx, tenantID, assetID string) (meta.Asset, meta.Blob, error) {
	a, err := living(tx, tenantID, assetID)
	if err != nil {
		return a, meta.Blob{}, err
	}
	b, known, err := tx.Tenant(tenantID).BlobIfAny(a.SHA256)
	if err != nil {
		return a, b, fmt.Errorf("read the blob's row: %w", err)
	}
	if !known || b.Sweeping {
		return a, b, refuse("blob_lost",
			"The record of this file's bytes is lost, so there is nothing to work on. A full reconciliation (worker reconcile) puts it right, or says what is missing.",
			"该文件内容的记录已丢失，无法处理。完整的核对（worker reconcile）会修复它或说明缺失的内容。")
	}
	return a, b, nil
}

// record writes the audit record of an action. detail is what was retried, or the name of what was deleted.
func record(tx *meta.Tx, by By, name string, out Outcome, b meta.Blob, detail string) error {
	data := map[string]any{"before": out.Before, "after": out.After, "sha256": b.SHA256, "reason": by.Reason}
	switch out.Action {
	case Delete:
		data["name"], data["size"] = detail, b.Size
	case RetryScan, RetryMedia, Rescan, RescanInfected:
		data["task"] = out.TaskID
		if detail != "" {
			data["what"] = detail
		}
	}
	if by.Run != "" {
		data["bulk"] = by.Run
	}
	return audit.Write(tx, audit.Entry{
		Actor: by.Actor, TenantID: out.TenantID, Action: name, Target: out.AssetID, Result: audit.OK, Data: data,
	})
}

func refuse(slug, english, chinese string) error {
	return storage.Refuse(storage.CodeConflict, nil).Because(storage.Reason{Slug: slug, English: english, Chinese: chinese})
}
