package admin

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// AssetQuery narrows the files of all tenants; empty fields do not.
type AssetQuery struct {
	// Tenant is a tenant's name or id.
	Tenant    string              `json:"tenant,omitempty" doc:"Name or id of the tenant."`
	State     storage.AssetState  `json:"state,omitempty" doc:"quarantined, available, rejected; or deleted, which are listed only so."`
	Scan      storage.ScanStatus  `json:"scan,omitempty" doc:"pending, clean, infected, unscannable."`
	Media     storage.MediaStatus `json:"media,omitempty" doc:"none, pending, running, done, failed."`
	Category  storage.Category    `json:"category,omitempty" doc:"image, video, document, release."`
	Signature string              `json:"signature,omitempty" doc:"The whole name of what was found."`
	SHA256    string              `json:"sha256,omitempty" doc:"A whole digest."`
	Damaged   *bool               `json:"damaged,omitempty" doc:"Whether the stored bytes are missing or wrong."`
	Query     string              `json:"q,omitempty" doc:"A part of the name, or the beginning of an id or a digest."`
	Since     time.Time           `json:"since,omitzero" doc:"Uploaded at this time or later."`
	Until     time.Time           `json:"until,omitzero" doc:"Uploaded before this time."`
}

var wholeDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// The values that a filter may have.
var (
	assetStates   = []storage.AssetState{storage.AssetQuarantined, storage.AssetAvailable, storage.AssetRejected, storage.AssetDeleted}
	scanStatuses  = []storage.ScanStatus{storage.ScanPending, storage.ScanClean, storage.ScanInfected, storage.ScanUnscannable}
	mediaStatuses = []storage.MediaStatus{storage.MediaNone, storage.MediaPending, storage.MediaRunning, storage.MediaDone, storage.MediaFailed}
)

// search checks a query: what cannot be is refused, because a misspelt filter would find nothing.
func (a Admin) search(ctx context.Context, q AssetQuery) (meta.AssetSearch, error) {
	s := meta.AssetSearch{
		State: q.State, Category: q.Category, Since: meta.StampOf(q.Since), Until: meta.StampOf(q.Until), SHA256: strings.ToLower(q.SHA256),
		Query: strings.TrimSpace(q.Query), Scan: q.Scan, Media: q.Media, Signature: q.Signature, Damaged: q.Damaged,
	}
	err := firstOf(oneOf("state", q.State, assetStates), oneOf("scan", q.Scan, scanStatuses), oneOf("media", q.Media, mediaStatuses))
	if err != nil {
		return s, err
	}
	if s.SHA256 != "" && !wholeDigest.MatchString(s.SHA256) {
		return s, refuse(storage.CodeMalformedRequest, "digest", "A digest has 64 hexadecimal digits; to look for the beginning of one, use q.",
			"摘要应为 64 位十六进制数字；如需按前缀查找，请使用 q。")
	}
	if q.Tenant != "" {
		if s.TenantID, err = a.tenantID(ctx, q.Tenant); err != nil {
			return s, err
		}
	}
	return s, nil
}

// oneOf refuses a value that is none of the known ones; an empty one asks for nothing.
func oneOf[S ~string](name string, value S, known []S) error {
	if value == "" || slices.Contains(known, value) {
		return nil
	}
	return unknownWord(name, value, known)
}

// unknownWord refuses a value that can mean nothing, because it is mistyped.
func unknownWord[S ~string](parameter string, word S, known []S) error {
	words := textsOf(known)
	return storage.Refuse(storage.CodeMalformedRequest, storage.Details{"parameter": parameter}).Because(storage.Reason{
		Slug:    "parameter",
		English: fmt.Sprintf("There is no %s %q; there are: %s.", parameter, word, strings.Join(words, ", ")),
		Chinese: fmt.Sprintf("参数 %s 没有取值 %q；可用：%s。", parameter, word, strings.Join(words, "、")),
	})
}

func firstOf(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// FoundAsset is a file in a list over all tenants.
type FoundAsset struct {
	Asset
	TenantID string `json:"tenant_id"`
	// Tenant is what the tenant is called now.
	Tenant    string              `json:"tenant"`
	Media     storage.MediaStatus `json:"media"`
	Damage    storage.Damage      `json:"damage"`
	Duplicate bool                `json:"duplicate"`
	DeletedAt *time.Time          `json:"deleted_at"`
}

// SearchAssets lists files of all tenants, newest first: at most limit of those older than the asset `before`.
func (a Admin) SearchAssets(ctx context.Context, q AssetQuery, before string, limit int) ([]FoundAsset, error) {
	s, err := a.search(ctx, q)
	if err != nil {
		return nil, err
	}
	rows, err := a.DB.SearchAssets(ctx, s, before, limit)
	if err != nil {
		return nil, fmt.Errorf("search assets: %w", err)
	}
	return a.found(ctx, rows)
}

func (a Admin) found(ctx context.Context, rows []meta.Asset) ([]FoundAsset, error) {
	views, err := a.DB.ViewsOf(ctx, rows)
	if err != nil {
		return nil, fmt.Errorf("read blobs: %w", err)
	}
	names, err := a.tenantNames(ctx, views)
	if err != nil {
		return nil, err
	}
	out := make([]FoundAsset, 0, len(views))
	for _, v := range views {
		out = append(out, foundAsset(v, names[v.TenantID]))
	}
	return out, nil
}

func (a Admin) tenantNames(ctx context.Context, views []meta.AssetView) (map[string]string, error) {
	var ids []string
	for _, v := range views {
		ids = append(ids, v.TenantID)
	}
	return a.names(ctx, ids)
}

// names gives the names of tenants by id.
func (a Admin) names(ctx context.Context, ids []string) (map[string]string, error) {
	rows := make([]meta.AuditRecord, 0, len(ids))
	for _, id := range ids {
		rows = append(rows, meta.AuditRecord{TenantID: id})
	}
	return a.namesIn(ctx, rows)
}

func foundAsset(v meta.AssetView, tenant string) FoundAsset {
	return FoundAsset{
		Asset: Asset{
			ID: v.ID, Name: v.Name, State: v.State, Category: v.Category, MediaType: v.MediaType, Size: v.Size, SHA256: v.SHA256,
			Scan: v.Blob.ScanStatus, Signature: v.Blob.ScanSignature, CreatedAt: v.CreatedAt.Time(),
		},
		TenantID: v.TenantID, Tenant: tenant, Media: v.Blob.MediaStatus, Damage: v.Blob.Damage, Duplicate: v.Duplicate,
		DeletedAt: v.DeletedAt.TimeIfSet(),
	}
}
