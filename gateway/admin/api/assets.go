package api

import (
	"context"
	"time"

	"gatehouse/gateway/admin"
	"gatehouse/storage"
	"gatehouse/storage/remedy"
)

// AssetFilter is admin.AssetQuery as parameters of an address.
type AssetFilter struct {
	Tenant    string              `query:"tenant" json:"-" doc:"Name or id of the tenant."`
	State     storage.AssetState  `query:"state" json:"-" doc:"quarantined, available, rejected; or deleted, which are listed only so."`
	Scan      storage.ScanStatus  `query:"scan" json:"-" doc:"pending, clean, infected, unscannable."`
	Media     storage.MediaStatus `query:"media" json:"-" doc:"none, pending, running, done, failed."`
	Category  storage.Category    `query:"category" json:"-" doc:"image, video, document, release."`
	Signature string              `query:"signature" json:"-" doc:"The whole name of what was found."`
	SHA256    string              `query:"sha256" json:"-" doc:"A whole digest."`
	Damaged   *bool               `query:"damaged" json:"-" doc:"Whether the stored bytes are missing or wrong."`
	Query     string              `query:"q" json:"-" doc:"A part of the name, or the beginning of an id or a digest."`
	Since     time.Time           `query:"since" json:"-" doc:"Uploaded at this time or later."`
	Until     time.Time           `query:"until" json:"-" doc:"Uploaded before this time."`
}

// Assets lists the files of all tenants, newest first.
func (a *API) Assets() Endpoint {
	return List(a, func(ctx context.Context, r *Request, in AssetFilter, p Page) ([]admin.FoundAsset, error) {
		return r.Admin.SearchAssets(ctx, admin.AssetQuery(in), p.After, p.Limit)
	}, func(x admin.FoundAsset) string { return x.ID })
}

// Asset shows a file.
func (a *API) Asset() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByID) (admin.AssetDetail, error) {
		return r.Admin.ShowAsset(ctx, in.ID)
	})
}

// AssetHistory lists what is recorded about a file, newest first.
func (a *API) AssetHistory() Endpoint {
	return List(a, func(ctx context.Context, r *Request, in ByID, p Page) ([]admin.HistoryEntry, error) {
		return r.Admin.AssetHistory(ctx, in.ID, p.After, p.Limit)
	}, admin.HistoryEntry.Key)
}

// Retry says what is retried.
type Retry struct {
	ByIDWhy
	What string `json:"what" doc:"scan or media."`
}

// RetryAsset retries the scan or the variants of a file.
func (a *API) RetryAsset() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in Retry) (remedy.Outcome, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.RetryAsset(ctx, in.ID, in.What)
	})
}

// RescanAsset has a file scanned again.
func (a *API) RescanAsset() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (remedy.Outcome, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.RescanAsset(ctx, in.ID)
	})
}

// RescanInfected has an infected file scanned again.
func (a *API) RescanInfected() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (remedy.Outcome, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.RescanInfected(ctx, in.ID)
	})
}

// DeleteAsset deletes a file.
func (a *API) DeleteAsset() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (remedy.Outcome, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.DeleteAsset(ctx, in.ID)
	})
}
