package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/remedy"
)

// shownTenants and shownExamples bound what a dry run shows.
const (
	shownTenants  = 50
	shownExamples = 10
)

// BulkRequest asks for an action on all files that a filter finds.
type BulkRequest struct {
	Action remedy.Action `json:"action" doc:"retry_scan, retry_media, rescan or delete."`
	Filter AssetQuery    `json:"filter" doc:"What the list of files is narrowed by, with the same names."`
	DryRun bool          `json:"dry_run" doc:"Only count."`
	// Expect must be what is counted now.
	Expect *int64 `json:"expect" doc:"The count of the dry run; needed for the real run."`
}

// BulkAnswer is a count, and the run unless it was a dry one.
type BulkAnswer struct {
	Count    int64             `json:"count"`
	Tenants  []BulkTenantCount `json:"tenants"`
	Examples []FoundAsset      `json:"examples"`
	Run      *BulkRun          `json:"run"`
}

// BulkTenantCount is how many files of a tenant a run is about.
type BulkTenantCount struct {
	TenantID string `json:"tenant_id"`
	Tenant   string `json:"tenant"`
	Count    int64  `json:"count"`
}

// Bulk counts, and begins a run when the count is what the caller expects.
func (a Admin) Bulk(ctx context.Context, in BulkRequest) (BulkAnswer, error) {
	if err := oneOf("action", in.Action, remedy.Actions); err != nil || in.Action == "" {
		return BulkAnswer{}, cmp.Or(err, refuse(storage.CodeMalformedRequest, "bulk_action", "Say what to do: retry_scan, retry_media, rescan or delete.",
			"请指明操作：retry_scan、retry_media、rescan 或 delete。"))
	}
	s, err := a.search(ctx, in.Filter)
	if err != nil {
		return BulkAnswer{}, err
	}
	if in.Action == remedy.Delete && !narrows(s) {
		return BulkAnswer{}, refuse(storage.CodeMalformedRequest, "bulk_filter", "Files are not deleted without a filter: say which. A time alone, or a keyword without a letter or digit, is none.",
			"删除文件必须指定筛选条件；仅有时间范围，或关键词不含字母或数字，均不算筛选条件。")
	}
	if !in.DryRun {
		if err := a.needReason(); err != nil {
			return BulkAnswer{}, err
		}
	}
	answer, count, err := a.count(ctx, s)
	if err != nil {
		return answer, err
	}
	if in.DryRun {
		// It shows names of all tenants, so the log says who looked.
		return answer, a.DB.InTx(ctx, func(tx *meta.Tx) error {
			return a.write(tx, s.TenantID, remedy.BulkAction(in.Action), "",
				map[string]any{"action": in.Action, "dry_run": true, "count": answer.Count, "filter": s})
		})
	}
	if in.Expect == nil || *in.Expect != answer.Count {
		return BulkAnswer{}, storage.Refuse(storage.CodeConflict, storage.Details{"count": answer.Count}).Because(storage.Reason{
			Slug:    "bulk_count",
			English: fmt.Sprintf("The filter finds %d files now. Look at them with a dry run, and give that number as expect.", answer.Count),
			Chinese: fmt.Sprintf("该筛选条件现在匹配 %d 个文件。请先试运行查看，并将该数字作为 expect 提交。", answer.Count),
		})
	}
	err = a.DB.InTx(ctx, func(tx *meta.Tx) error {
		r, err := remedy.BeginBulk(tx, a.by(), in.Action, s, count)
		run := bulkRun(r)
		answer.Run = &run
		return err
	})
	return answer, err
}

// narrows reports whether a filter says which files: a time alone, and a keyword without a letter or digit, may mean all.
func narrows(s meta.AssetSearch) bool {
	s.Since, s.Until = 0, 0
	if !strings.ContainsFunc(s.Query, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		s.Query = ""
	}
	return !s.Empty()
}

func (a Admin) count(ctx context.Context, s meta.AssetSearch) (BulkAnswer, meta.AssetCount, error) {
	out := BulkAnswer{Tenants: []BulkTenantCount{}, Examples: []FoundAsset{}}
	count, err := a.DB.CountAssets(ctx, s, meta.MaxBulk+1)
	if err != nil {
		return out, count, fmt.Errorf("count assets: %w", err)
	}
	out.Count = count.Total
	var ids []string
	for _, c := range count.Tenants {
		ids = append(ids, c.TenantID)
	}
	if out.Count > meta.MaxBulk {
		return out, count, storage.Refuse(storage.CodeConflict, storage.Details{"limit": meta.MaxBulk}).Because(storage.Reason{
			Slug:    "bulk_too_many",
			English: fmt.Sprintf("The filter finds more than %d files, which is as many as one run may be about. Narrow it, by tenant or by time.", meta.MaxBulk),
			Chinese: fmt.Sprintf("该筛选条件匹配的文件超过 %d 个，即单次批量运行的上限。请按租户或时间缩小范围。", meta.MaxBulk),
		})
	}
	names, err := a.names(ctx, ids)
	if err != nil || count.Total == 0 {
		return out, count, err
	}
	counts := slices.Clone(count.Tenants)
	slices.SortFunc(counts, func(x, y meta.TenantCount) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.TenantID, y.TenantID))
	})
	for _, c := range counts[:min(len(counts), shownTenants)] {
		out.Tenants = append(out.Tenants, BulkTenantCount{c.TenantID, names[c.TenantID], c.Count})
	}
	rows, err := a.DB.SearchCounted(ctx, s, "", count.Oldest, shownExamples)
	if err != nil {
		return out, count, fmt.Errorf("search assets: %w", err)
	}
	out.Examples, err = a.found(ctx, rows)
	return out, count, err
}

// BulkRun is an action on many files, and how far it has come.
type BulkRun struct {
	ID     string          `json:"id"`
	Action string          `json:"action"`
	Filter json.RawMessage `json:"filter"`
	Reason string          `json:"reason"`
	State  meta.BulkState  `json:"state"`
	// Expected is how many files there were. Each counts as done, unchanged or failed in the end.
	Expected  int64 `json:"expected"`
	Done      int64 `json:"done"`
	Unchanged int64 `json:"unchanged"`
	Failed    int64 `json:"failed"`
	// Problem is the last failure.
	Problem    string     `json:"problem"`
	ActorKind  string     `json:"actor"`
	ActorID    string     `json:"actor_id"`
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
	FinishedAt *time.Time `json:"finished_at"`
}

func bulkRun(r meta.BulkRun) BulkRun {
	return BulkRun{
		ID: r.ID, Action: r.Action, Filter: specJSON(r.Filter), Reason: r.Reason, State: r.State, Expected: r.Expected, Done: r.Done,
		Unchanged: r.Unchanged, Failed: r.Failed, Problem: r.Problem, ActorKind: r.ActorKind, ActorID: r.ActorID,
		CreatedAt: r.CreatedAt.Time(), UpdatedAt: r.UpdatedAt.Time(), FinishedAt: r.FinishedAt.TimeIfSet(),
	}
}

// BulkRuns lists runs, newest first.
func (a Admin) BulkRuns(ctx context.Context, before string, limit int) ([]BulkRun, error) {
	rows, err := a.DB.BulkRuns(ctx, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list bulk runs: %w", err)
	}
	out := make([]BulkRun, 0, len(rows))
	for _, r := range rows {
		out = append(out, bulkRun(r))
	}
	return out, nil
}

// ShowBulk shows a run.
func (a Admin) ShowBulk(ctx context.Context, id string) (BulkRun, error) {
	r, err := a.DB.BulkRunBy(ctx, id)
	return bulkRun(r), bulkUnknown(id, err)
}

// CancelBulk ends a run where it is: what is done stays done.
func (a Admin) CancelBulk(ctx context.Context, id string) (BulkRun, error) {
	var r meta.BulkRun
	err := a.DB.InTx(ctx, func(tx *meta.Tx) (err error) {
		r, err = remedy.CancelBulk(tx, a.by(), id)
		return err
	})
	return bulkRun(r), bulkUnknown(id, err)
}

func bulkUnknown(id string, err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		return refuse(storage.CodeNotFound, "bulk_unknown", fmt.Sprintf("There is no bulk run with the id %q.", id), fmt.Sprintf("没有标识为 %q 的批量运行。", id))
	}
	return err
}
