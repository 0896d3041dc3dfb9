package admin

import (
	"context"

	"gatehouse/storage/release"
)

// ReleaseCheck is what a rehearsal of a publication found.
type ReleaseCheck struct {
	Publishable bool              `json:"publishable"`
	Reasons     []release.Problem `json:"reasons" doc:"Why it cannot be published, by what is recorded of its files and by the text of its manifest. Publishing also reads every byte of every file."`
}

// ReleaseRollback is a rollback that was done, and what it does.
type ReleaseRollback struct {
	Release ClientReleaseDetail `json:"release"`
	Outlook release.Outlook     `json:"outlook"`
}

// CheckRelease says why a release cannot be published, or gone back to. It changes nothing.
func (a Admin) CheckRelease(ctx context.Context, id string) (ReleaseCheck, error) {
	r, _, err := release.Show(ctx, a.DB, id)
	if err != nil {
		return ReleaseCheck{}, err
	}
	x, err := release.Rehearse(ctx, a.DB, a.Zones, release.Ask{ReleaseID: id, Percentage: 100, Back: release.State(r.State) != release.Draft})
	if err != nil {
		return ReleaseCheck{}, err
	}
	return ReleaseCheck{Publishable: len(x.Problems) == 0, Reasons: append([]release.Problem{}, x.Problems...)}, nil
}

// PublishRelease publishes a draft. It reads every byte of it, which may take minutes.
func (a Admin) PublishRelease(ctx context.Context, ask release.Ask) (ClientReleaseDetail, error) {
	r, err := release.Switch(ctx, a.DB, a.Zones, a.releaser(), ask)
	return a.steered(ctx, r, err)
}

// SetReleasePercentage changes how many devices get a release.
func (a Admin) SetReleasePercentage(ctx context.Context, id string, percentage int) (ClientReleaseDetail, error) {
	r, err := release.SetPercentage(ctx, a.DB, a.releaser(), id, percentage)
	return a.steered(ctx, r, err)
}

// PauseRelease stops a release.
func (a Admin) PauseRelease(ctx context.Context, id string) (ClientReleaseDetail, error) {
	r, err := release.Pause(ctx, a.DB, a.releaser(), id)
	return a.steered(ctx, r, err)
}

// ResumeRelease lets a paused release go on.
func (a Admin) ResumeRelease(ctx context.Context, id string) (ClientReleaseDetail, error) {
	r, err := release.Resume(ctx, a.DB, a.releaser(), id)
	return a.steered(ctx, r, err)
}

// UnpublishRelease takes a release back.
func (a Admin) UnpublishRelease(ctx context.Context, id string) (ClientReleaseDetail, error) {
	r, err := release.Unpublish(ctx, a.DB, a.releaser(), id)
	return a.steered(ctx, r, err)
}

// ForceRelease says whether clients must update.
func (a Admin) ForceRelease(ctx context.Context, id string, forced bool, minVersion string) (ClientReleaseDetail, error) {
	r, err := release.Force(ctx, a.DB, a.releaser(), id, forced, minVersion)
	return a.steered(ctx, r, err)
}

// ArchiveRelease puts a release away for good.
func (a Admin) ArchiveRelease(ctx context.Context, id string) (ClientReleaseDetail, error) {
	r, err := release.Archive(ctx, a.DB, a.releaser(), id)
	return a.steered(ctx, r, err)
}

// ForeseeRollback says what a rollback to a release would do.
func (a Admin) ForeseeRollback(ctx context.Context, id string) (release.Outlook, error) {
	return release.Foresee(ctx, a.DB, id)
}

// RollBackRelease goes back to a release that was published before. It reads every byte of it, which may take minutes.
func (a Admin) RollBackRelease(ctx context.Context, ask release.Ask) (ReleaseRollback, error) {
	outlook, err := release.Foresee(ctx, a.DB, ask.ReleaseID)
	if err != nil {
		return ReleaseRollback{}, err
	}
	// The figures are of the release that is published now: another one may not take its place before the rollback does.
	if ask.Replaces == nil {
		ask.Replaces = &outlook.FromID
	}
	ask.Back = true
	r, err := release.Switch(ctx, a.DB, a.Zones, a.releaser(), ask)
	shown, err := a.steered(ctx, r, err)
	return ReleaseRollback{Release: shown, Outlook: outlook}, err
}
