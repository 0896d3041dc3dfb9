package api

import (
	"context"
	"time"

	"gatehouse/gateway/admin"
	"gatehouse/storage/release"
)

// publishTime bounds a call that reads every file of a release: four of 600 MiB at 10 MB/s, which is a slow store, take four
// minutes.
const publishTime = 10 * time.Minute

// Publication publishes a release.
type Publication struct {
	Why
	ID         string  `path:"id" json:"-"`
	Percentage *int    `json:"percentage" required:"true" doc:"How many of a hundred devices get it, 0 to 100."`
	Replaces   *string `json:"replaces" doc:"The id of the release that you saw as published, empty for none: refused when it is another one."`
	Revision   *int64  `json:"revision" doc:"The revision of this release that you saw: refused when it or its files have changed since."`
}

// Rollback goes back to a release.
type Rollback struct {
	Why
	ID         string  `path:"id" json:"-"`
	Percentage *int    `json:"percentage" doc:"How many of a hundred devices get it; 100 unless given."`
	Replaces   *string `json:"replaces" doc:"The id of the release that you saw as published, empty for none: refused when it is another one."`
}

// Stage changes how many devices get a release.
type Stage struct {
	Why
	ID         string `path:"id" json:"-"`
	Percentage *int   `json:"percentage" required:"true" doc:"How many of a hundred devices get it, 0 to 100."`
}

// Forced says whether clients must update. Both are asked for: what is left out by mistake must not take a force off.
type Forced struct {
	Why
	ID         string  `path:"id" json:"-"`
	Forced     *bool   `json:"forced" required:"true" doc:"All clients must update."`
	MinVersion *string `json:"min_required_version" required:"true" doc:"Clients below it must update; empty: none. Not later than the release."`
}

// CheckRelease says why a release cannot be published.
func (a *API) CheckRelease() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByID) (admin.ReleaseCheck, error) {
		return r.Admin.CheckRelease(ctx, in.ID)
	})
}

// PublishRelease publishes a draft.
func (a *API) PublishRelease() Endpoint {
	return CallWithin(a, publishTime, func(ctx context.Context, r *Request, in Publication) (admin.ClientReleaseDetail, error) {
		if err := r.because(in.Why); err != nil {
			return admin.ClientReleaseDetail{}, err
		}
		if in.Percentage == nil {
			return admin.ClientReleaseDetail{}, percentageMissing()
		}
		return r.Admin.PublishRelease(ctx, release.Ask{ReleaseID: in.ID, Percentage: *in.Percentage, Replaces: in.Replaces, Revision: in.Revision})
	})
}

// SetReleasePercentage changes how many devices get a release.
func (a *API) SetReleasePercentage() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in Stage) (admin.ClientReleaseDetail, error) {
		if err := r.because(in.Why); err != nil {
			return admin.ClientReleaseDetail{}, err
		}
		if in.Percentage == nil {
			return admin.ClientReleaseDetail{}, percentageMissing()
		}
		return r.Admin.SetReleasePercentage(ctx, in.ID, *in.Percentage)
	})
}

// PauseRelease stops a release.
func (a *API) PauseRelease() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (admin.ClientReleaseDetail, error) {
		if err := r.because(in.Why); err != nil {
			return admin.ClientReleaseDetail{}, err
		}
		return r.Admin.PauseRelease(ctx, in.ID)
	})
}

// ResumeRelease lets a paused release go on.
func (a *API) ResumeRelease() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (admin.ClientReleaseDetail, error) {
		if err := r.because(in.Why); err != nil {
			return admin.ClientReleaseDetail{}, err
		}
		return r.Admin.ResumeRelease(ctx, in.ID)
	})
}

// UnpublishRelease takes a release back.
func (a *API) UnpublishRelease() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (admin.ClientReleaseDetail, error) {
		if err := r.because(in.Why); err != nil {
			return admin.ClientReleaseDetail{}, err
		}
		return r.Admin.UnpublishRelease(ctx, in.ID)
	})
}

// ForceRelease says whether clients must update.
func (a *API) ForceRelease() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in Forced) (admin.ClientReleaseDetail, error) {
		if err := r.because(in.Why); err != nil {
			return admin.ClientReleaseDetail{}, err
		}
		if in.Forced == nil || in.MinVersion == nil {
			return admin.ClientReleaseDetail{}, malformed("force",
				"Say both: forced, true or false, and min_required_version, a version or an empty text for none.",
				"请同时指定 forced（true 或 false）和 min_required_version（版本号，留空字符串表示无）。")
		}
		return r.Admin.ForceRelease(ctx, in.ID, *in.Forced, *in.MinVersion)
	})
}

// ArchiveRelease puts a release away for good.
func (a *API) ArchiveRelease() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (admin.ClientReleaseDetail, error) {
		if err := r.because(in.Why); err != nil {
			return admin.ClientReleaseDetail{}, err
		}
		return r.Admin.ArchiveRelease(ctx, in.ID)
	})
}

// ForeseeRollback says what a rollback to a release would do.
func (a *API) ForeseeRollback() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByID) (release.Outlook, error) {
		return r.Admin.ForeseeRollback(ctx, in.ID)
	})
}

// RollBackRelease goes back to a release that was published before.
func (a *API) RollBackRelease() Endpoint {
	return CallWithin(a, publishTime, func(ctx context.Context, r *Request, in Rollback) (admin.ReleaseRollback, error) {
		if err := r.because(in.Why); err != nil {
			return admin.ReleaseRollback{}, err
		}
		ask := release.Ask{ReleaseID: in.ID, Percentage: 100, Replaces: in.Replaces}
		if in.Percentage != nil {
			ask.Percentage = *in.Percentage
		}
		return r.Admin.RollBackRelease(ctx, ask)
	})
}

func percentageMissing() error {
	return malformed("percentage", "Say to how many of a hundred devices: percentage, from 0 to 100.", "请用 percentage 指定设备百分比（0 到 100）。")
}
