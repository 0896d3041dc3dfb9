package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/remedy"
)

// shownHistory is how much of its history a file is shown with; the rest is a list of its own.
const shownHistory = 20

// AssetDetail is a file with all that is known of it. Its content is in no call of operators.
type AssetDetail struct {
	FoundAsset
	Ext       string    `json:"ext"`
	UpdatedAt time.Time `json:"updated_at"`
	Zone      string    `json:"zone"`
	// References is how many files share the bytes.
	References int64         `json:"references"`
	Evidence   ScanEvidence  `json:"evidence"`
	MediaFacts MediaFacts    `json:"media_facts"`
	Variants   []VariantFact `json:"variants"`
	DamagedAt  *time.Time    `json:"damaged_at"`
	VerifiedAt *time.Time    `json:"verified_at"`
	// OpenTasks are those that work on the bytes, wait, or are dead.
	OpenTasks []Task `json:"open_tasks"`
	// History is its newest part.
	History []HistoryEntry `json:"history"`
}

// ScanEvidence is what the verdict rests on.
type ScanEvidence struct {
	Engine       string     `json:"engine"`
	Database     string     `json:"database"`
	BytesScanned int64      `json:"bytes_scanned"`
	Digest       string     `json:"digest"`
	ScannedAt    *time.Time `json:"scanned_at"`
}

// MediaFacts is what is known of a picture or video.
type MediaFacts struct {
	Progress   float64 `json:"progress"`
	Error      string  `json:"error"`
	Reason     string  `json:"reason"`
	Width      int64   `json:"width"`
	Height     int64   `json:"height"`
	Frames     int64   `json:"frames"`
	DurationMS int64   `json:"duration_ms"`
	FPS        float64 `json:"fps"`
	VideoCodec string  `json:"video_codec"`
	AudioCodec string  `json:"audio_codec"`
}

// VariantFact is one derived form.
type VariantFact struct {
	Preset    string    `json:"preset"`
	MediaType string    `json:"media_type"`
	Width     int64     `json:"width"`
	Height    int64     `json:"height"`
	Size      int64     `json:"size"`
	SHA256    string    `json:"sha256"`
	CreatedAt time.Time `json:"created_at"`
}

// ShowAsset shows a file of whatever tenant, also one that is deleted.
func (a Admin) ShowAsset(ctx context.Context, id string) (AssetDetail, error) {
	v, err := a.assetBy(ctx, id)
	if err != nil {
		return AssetDetail{}, err
	}
	names, err := a.names(ctx, []string{v.TenantID})
	if err != nil {
		return AssetDetail{}, err
	}
	tasks, err := a.DB.Tenant(ctx, v.TenantID).OpenTasksAbout(v.SHA256, shownHistory)
	if err != nil {
		return AssetDetail{}, fmt.Errorf("read tasks: %w", err)
	}
	b := v.Blob
	d := AssetDetail{
		FoundAsset: foundAsset(v, names[v.TenantID]), Ext: v.Ext, UpdatedAt: v.UpdatedAt.Time(), Zone: string(b.Zone), References: b.Refs,
		Evidence: ScanEvidence{
			Engine: b.ScanEngine, Database: b.ScanDatabase, BytesScanned: b.ScanBytes, Digest: b.ScanDigest, ScannedAt: b.ScannedAt.TimeIfSet(),
		},
		MediaFacts: MediaFacts{
			Progress: b.MediaProgress, Error: b.MediaError, Reason: b.MediaReason, Width: b.Width, Height: b.Height, Frames: b.Frames,
			DurationMS: b.DurationMS, FPS: b.FPS, VideoCodec: b.VideoCodec, AudioCodec: b.AudioCodec,
		},
		Variants: []VariantFact{}, DamagedAt: b.DamagedAt.TimeIfSet(), VerifiedAt: b.VerifiedAt.TimeIfSet(), OpenTasks: []Task{},
	}
	for _, x := range v.Variants {
		d.Variants = append(d.Variants, VariantFact{
			Preset: x.Preset, MediaType: x.MediaType, Width: x.Width, Height: x.Height, Size: x.Size, SHA256: x.Digest, CreatedAt: x.CreatedAt.Time(),
		})
	}
	for _, t := range tasks {
		d.OpenTasks = append(d.OpenTasks, taskOf(t, names[t.TenantID]))
	}
	d.History, err = a.AssetHistory(ctx, id, "", shownHistory)
	return d, err
}

func (a Admin) assetBy(ctx context.Context, id string) (meta.AssetView, error) {
	v, err := a.DB.AssetBy(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return v, refuse(storage.CodeNotFound, "asset_unknown", fmt.Sprintf("There is no file with the id %q.", id), fmt.Sprintf("没有标识为 %q 的文件。", id))
	}
	if err != nil {
		return v, fmt.Errorf("read the asset: %w", err)
	}
	return v, nil
}

// HistoryEntry is something that is recorded about a file or its bytes.
type HistoryEntry struct {
	At time.Time `json:"at"`
	// Source is audit, event or task: an audit record, an event as the tenant sees it, or a task as it is now.
	Source string `json:"source"`
	// What is the action, the kind of event, or the kind of task.
	What string `json:"what"`
	// Who did it; empty for events and tasks.
	Actor string `json:"actor"`
	// Result is that of an action, or the state of a task.
	Result string          `json:"result"`
	Data   json.RawMessage `json:"data"`

	key meta.HistoryKey
}

// Key is the entry's place, for the next page.
func (e HistoryEntry) Key() string { return fmt.Sprintf("%d|%d|%s", e.key.At, e.key.Source, e.key.ID) }

// AssetHistory lists what is recorded about a file, newest first, at most limit entries behind the key.
func (a Admin) AssetHistory(ctx context.Context, id, after string, limit int) ([]HistoryEntry, error) {
	v, err := a.assetBy(ctx, id)
	if err != nil {
		return nil, err
	}
	key, err := historyKey(after)
	if err != nil {
		return nil, err
	}
	h, err := a.DB.HistoryOf(ctx, v.Asset, key, limit)
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	lists := make([][]HistoryEntry, 3)
	for _, r := range h.Audit {
		lists[0] = append(lists[0], HistoryEntry{
			At: r.At.Time(), Source: "audit", What: r.Action, Actor: strings.TrimSpace(r.ActorKind + " " + r.ActorID), Result: r.Result,
			Data: specJSON(r.Data), key: meta.HistoryKey{At: r.At, Source: meta.SourceAudit, ID: strconv.FormatInt(r.ID, 10)},
		})
	}
	for _, e := range h.Events {
		lists[1] = append(lists[1], HistoryEntry{
			At: e.At.Time(), Source: "event", What: string(e.Kind), Data: specJSON(e.Data),
			key: meta.HistoryKey{At: e.At, Source: meta.SourceEvent, ID: strconv.FormatInt(e.ID, 10)},
		})
	}
	for _, t := range h.Tasks {
		data, err := json.Marshal(map[string]any{"task": t.ID, "attempts": t.Attempts, "error": t.LastError, "finished_at": t.FinishedAt.TimeIfSet()})
		if err != nil {
			return nil, err
		}
		lists[2] = append(lists[2], HistoryEntry{
			At: t.CreatedAt.Time(), Source: "task", What: string(t.Kind), Result: string(t.State), Data: data,
			key: meta.HistoryKey{At: t.CreatedAt, Source: meta.SourceTask, ID: t.ID},
		})
	}
	return mergeHistory(lists, limit), nil
}

// mergeHistory merges lists that are newest first; of the same time the first list comes first.
func mergeHistory(lists [][]HistoryEntry, limit int) []HistoryEntry {
	out := []HistoryEntry{}
	for len(out) < limit {
		next := -1
		for i, l := range lists {
			if len(l) > 0 && (next < 0 || l[0].key.At > lists[next][0].key.At) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		out, lists[next] = append(out, lists[next][0]), lists[next][1:]
	}
	return out
}

func historyKey(s string) (meta.HistoryKey, error) {
	if s == "" {
		return meta.HistoryKey{}, nil
	}
	parts := strings.Split(s, "|")
	if len(parts) != 3 {
		return meta.HistoryKey{}, meta.ErrCursor
	}
	at, err := strconv.ParseInt(parts[0], 10, 64)
	source, serr := strconv.Atoi(parts[1])
	if err != nil || serr != nil || parts[2] == "" {
		return meta.HistoryKey{}, meta.ErrCursor
	}
	if _, err := strconv.ParseInt(parts[2], 10, 64); source != meta.SourceTask && err != nil {
		return meta.HistoryKey{}, meta.ErrCursor
	}
	return meta.HistoryKey{At: meta.Stamp(at), Source: source, ID: parts[2]}, nil
}

// RetryAsset retries the scan or the variants of a file.
func (a Admin) RetryAsset(ctx context.Context, id, what string) (remedy.Outcome, error) {
	switch what {
	case "scan":
		return a.remedy(ctx, remedy.RetryScan, id)
	case "media":
		return a.remedy(ctx, remedy.RetryMedia, id)
	}
	return remedy.Outcome{}, refuse(storage.CodeMalformedRequest, "retry_what", "Say what to retry: scan or media.", "请指明要重试的内容：scan 或 media。")
}

// RescanAsset has a file scanned again.
func (a Admin) RescanAsset(ctx context.Context, id string) (remedy.Outcome, error) {
	return a.remedy(ctx, remedy.Rescan, id)
}

// RescanInfected has a file scanned again that is infected: if nothing is found now it becomes available. It needs a reason.
func (a Admin) RescanInfected(ctx context.Context, id string) (remedy.Outcome, error) {
	if err := a.needReason(); err != nil {
		return remedy.Outcome{}, err
	}
	return a.remedy(ctx, remedy.RescanInfected, id)
}

// DeleteAsset deletes a file as its tenant could; it needs a reason.
func (a Admin) DeleteAsset(ctx context.Context, id string) (remedy.Outcome, error) {
	if err := a.needReason(); err != nil {
		return remedy.Outcome{}, err
	}
	return a.remedy(ctx, remedy.Delete, id)
}

func (a Admin) remedy(ctx context.Context, action remedy.Action, id string) (remedy.Outcome, error) {
	v, err := a.assetBy(ctx, id)
	if err != nil {
		return remedy.Outcome{}, err
	}
	var out remedy.Outcome
	err = a.DB.InTx(ctx, func(tx *meta.Tx) error {
		out, err = remedy.Do(tx, a.by(), action, v.TenantID, v.ID)
		return err
	})
	return out, err
}

func (a Admin) by() remedy.By { return remedy.By{Actor: a.Actor, Reason: a.Reason} }

// maxReason is how many characters a reason may have that is kept in a column.
const maxReason = 500

func (a Admin) needReason() error {
	if reason := strings.TrimSpace(a.Reason); reason == "" || len([]rune(reason)) > maxReason {
		return refuse(storage.CodeMalformedRequest, "reason_needed",
			fmt.Sprintf("Say why, in 1 to %d characters; the reason is kept in the audit log.", maxReason),
			fmt.Sprintf("请说明原因（1 至 %d 个字符）；原因会记录在审计日志中。", maxReason))
	}
	return nil
}
