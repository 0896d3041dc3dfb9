package admin

import (
	"context"

	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

// ReleaseEdit changes a draft; nil leaves what there is.
type ReleaseEdit struct {
	Channel, Platform, Arch, Version, Notes *string
}

// releaser is who acts, for package release.
func (a Admin) releaser() release.By { return release.By{Actor: a.Actor, Reason: a.Reason} }

// CreateRelease makes a draft. An empty channel is the default one.
func (a Admin) CreateRelease(ctx context.Context, c release.Content) (ClientReleaseDetail, error) {
	if c.Channel == "" {
		c.Channel = release.DefaultChannel
	}
	return a.changed(ctx, func(tx *meta.Tx) (meta.ClientRelease, error) { return release.Create(tx, a.releaser(), c) })
}

// EditRelease changes a draft.
func (a Admin) EditRelease(ctx context.Context, id string, e ReleaseEdit) (ClientReleaseDetail, error) {
	return a.changed(ctx, func(tx *meta.Tx) (meta.ClientRelease, error) {
		return release.Edit(tx, a.releaser(), id, func(c *release.Content) {
			for to, value := range map[*string]*string{
				&c.Channel: e.Channel, &c.Platform: e.Platform, &c.Arch: e.Arch, &c.Version: e.Version, &c.Notes: e.Notes,
			} {
				if value != nil {
					*to = *value
				}
			}
		})
	})
}

// AttachArtifact makes an asset a file of a draft.
func (a Admin) AttachArtifact(ctx context.Context, id string, f release.File) (ClientReleaseDetail, error) {
	err := a.DB.InTx(ctx, func(tx *meta.Tx) error {
		_, err := release.Attach(tx, a.releaser(), id, f)
		return err
	})
	if err != nil {
		return ClientReleaseDetail{}, err
	}
	return a.ShowClientRelease(ctx, id)
}

// DetachArtifact takes a file out of a draft.
func (a Admin) DetachArtifact(ctx context.Context, id, artifactID string) error {
	return a.DB.InTx(ctx, func(tx *meta.Tx) error { return release.Detach(tx, a.releaser(), id, artifactID) })
}

func (a Admin) changed(ctx context.Context, do func(*meta.Tx) (meta.ClientRelease, error)) (ClientReleaseDetail, error) {
	var r meta.ClientRelease
	err := a.DB.InTx(ctx, func(tx *meta.Tx) error {
		var err error
		r, err = do(tx)
		return err
	})
	return a.steered(ctx, r, err)
}

// steered shows a release after it was changed.
func (a Admin) steered(ctx context.Context, r meta.ClientRelease, err error) (ClientReleaseDetail, error) {
	if err != nil {
		return ClientReleaseDetail{}, err
	}
	return a.ShowClientRelease(ctx, r.ID)
}
