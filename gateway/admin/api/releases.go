package api

import (
	"context"

	"gatehouse/gateway/admin"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

// ReleaseFilter narrows the list of releases.
type ReleaseFilter struct {
	Channel  string        `query:"channel" json:"-"`
	Platform string        `query:"platform" json:"-" enum:"win32,darwin,linux"`
	Arch     string        `query:"arch" json:"-" enum:"x64,x86,arm64"`
	State    release.State `query:"state" json:"-"`
}

// NewRelease makes a draft.
type NewRelease struct {
	Why
	Channel  string `json:"channel" doc:"stable unless given."`
	Platform string `json:"platform" required:"true" enum:"win32,darwin,linux"`
	Arch     string `json:"arch" required:"true" enum:"x64,x86,arm64"`
	Version  string `json:"version" required:"true" doc:"A semantic version, used once in its track."`
	Notes    string `json:"notes" doc:"Markdown, at most 64 KiB, without control characters but tabs and line breaks."`
}

// EditedRelease changes a draft.
type EditedRelease struct {
	Why
	ID       string  `path:"id" json:"-"`
	Channel  *string `json:"channel"`
	Platform *string `json:"platform" enum:"win32,darwin,linux"`
	Arch     *string `json:"arch" enum:"x64,x86,arm64"`
	Version  *string `json:"version"`
	Notes    *string `json:"notes" doc:"Markdown, at most 64 KiB, without control characters but tabs and line breaks."`
}

// notesBody bounds bodies that hold notes: JSON may write each byte of them as six.
const notesBody = 6*release.MaxNotes + maxBody

func (*NewRelease) bodyLimit() int64    { return notesBody }
func (*EditedRelease) bodyLimit() int64 { return notesBody }

// NewArtifact makes an asset a file of a draft.
type NewArtifact struct {
	Why
	ID      string       `path:"id" json:"-"`
	Kind    release.Kind `json:"kind" required:"true"`
	Name    string       `json:"name" doc:"That of the asset unless given."`
	AssetID string       `json:"asset_id" required:"true" doc:"An asset of the platform's tenant, of the category release."`
	SHA256  string       `json:"sha256" doc:"What you expect, in hex or in Base64; empty: anything."`
	SHA512  string       `json:"sha512" doc:"What you expect, in hex or, as manifests have it, in Base64; empty: anything."`
}

// ArtifactWhy names a file of a release in the path.
type ArtifactWhy struct {
	Why
	ID       string `path:"id" json:"-"`
	Artifact string `path:"artifact" json:"-"`
}

// ClientReleases lists releases, the newest first.
func (a *API) ClientReleases() Endpoint {
	return List(a, func(ctx context.Context, r *Request, in ReleaseFilter, p Page) ([]admin.ClientRelease, error) {
		f := meta.ReleaseFilter{Channel: in.Channel, Platform: in.Platform, Arch: in.Arch, State: string(in.State)}
		return r.Admin.ClientReleases(ctx, f, p.After, p.Limit)
	}, func(r admin.ClientRelease) string { return r.ID })
}

// ClientRelease shows a release with its files.
func (a *API) ClientRelease() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByID) (admin.ClientReleaseDetail, error) {
		return r.Admin.ShowClientRelease(ctx, in.ID)
	})
}

// CreateRelease makes a draft.
func (a *API) CreateRelease() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in NewRelease) (admin.ClientReleaseDetail, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.CreateRelease(ctx, release.Content{
			Track: release.Track{Channel: in.Channel, Platform: in.Platform, Arch: in.Arch}, Version: in.Version, Notes: in.Notes,
		})
	})
}

// EditRelease changes a draft.
func (a *API) EditRelease() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in EditedRelease) (admin.ClientReleaseDetail, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.EditRelease(ctx, in.ID, admin.ReleaseEdit{
			Channel: in.Channel, Platform: in.Platform, Arch: in.Arch, Version: in.Version, Notes: in.Notes,
		})
	})
}

// AttachArtifact makes an asset a file of a draft.
func (a *API) AttachArtifact() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in NewArtifact) (admin.ClientReleaseDetail, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.AttachArtifact(ctx, in.ID, release.File{Kind: in.Kind, Name: in.Name, AssetID: in.AssetID, SHA256: in.SHA256, SHA512: in.SHA512})
	})
}

// DetachArtifact takes a file out of a draft.
func (a *API) DetachArtifact() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ArtifactWhy) (Nothing, error) {
		r.Admin.Reason = in.Reason
		return Nothing{}, r.Admin.DetachArtifact(ctx, in.ID, in.Artifact)
	})
}
