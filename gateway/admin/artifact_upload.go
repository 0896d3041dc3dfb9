package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

// UploadedArtifact is a file of a release that has just come in.
type UploadedArtifact struct {
	ID      string       `json:"id"`
	Kind    release.Kind `json:"kind"`
	Name    string       `json:"name"`
	AssetID string       `json:"asset_id"`
	SHA256  string       `json:"sha256"`
	SHA512  string       `json:"sha512" doc:"In hex."`
	Size    int64        `json:"size"`
	// ScanStatus is pending as a rule: the release cannot be published before it is clean.
	ScanStatus storage.ScanStatus `json:"scan_status"`
}

// AcceptsArtifact refuses a file of a release before its bytes are read. name may be empty.
func (a Admin) AcceptsArtifact(ctx context.Context, releaseID string, kind release.Kind, name string) error {
	return a.DB.InTx(ctx, func(tx *meta.Tx) error { return release.Accepts(tx, releaseID, kind, name) })
}

// undoTime bounds taking back an upload that no release has taken.
const undoTime = 30 * time.Second

// AttachUpload makes an asset that has just come in a file of a draft. A fresh one that the release does not take is deleted again.
func (a Admin) AttachUpload(ctx context.Context, releaseID string, kind release.Kind, v meta.AssetView, fresh bool) (UploadedArtifact, error) {
	var row meta.ReleaseArtifact
	err := a.DB.InTx(ctx, func(tx *meta.Tx) (err error) {
		if !fresh { // the answer to the first request may have been lost
			row, err = attached(tx, releaseID, v.ID)
			if err != nil || row.ID != "" {
				return err
			}
		}
		row, err = release.Attach(tx, release.By{Actor: a.Actor, Reason: a.Reason}, releaseID, release.File{Kind: kind, AssetID: v.ID})
		return err
	})
	if err != nil && fresh {
		err = errors.Join(err, a.takeBack(ctx, v.Asset))
	}
	return UploadedArtifact{
		ID: row.ID, Kind: release.Kind(row.Kind), Name: row.Name, AssetID: row.AssetID, SHA256: row.SHA256, SHA512: row.SHA512, Size: row.Size,
		ScanStatus: v.Blob.ScanStatus,
	}, err
}

// attached finds the file of a release that stands on an asset; the zero value when there is none.
func attached(tx *meta.Tx, releaseID, assetID string) (meta.ReleaseArtifact, error) {
	list, err := tx.Artifacts(releaseID)
	if err != nil {
		return meta.ReleaseArtifact{}, fmt.Errorf("read the files of the release: %w", err)
	}
	for _, f := range list {
		if f.AssetID == assetID {
			return f, nil
		}
	}
	return meta.ReleaseArtifact{}, nil
}

// takeBack deletes an asset that came in for a release which does not take it, so that a refused upload leaves nothing. It is not
// cut off together with the caller.
func (a Admin) takeBack(ctx context.Context, asset meta.Asset) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	err := a.DB.InTx(ctx, func(tx *meta.Tx) error {
		if _, err := tx.Tenant(asset.TenantID).DeleteAsset(asset.ID); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{
			Actor: a.Actor, TenantID: asset.TenantID, Action: "asset.delete", Target: asset.ID, Result: audit.OK,
			Data: map[string]any{"reason": "the release did not take it", "name": asset.Name, "sha256": asset.SHA256, "size": asset.Size, "state": asset.State},
		})
	})
	if errors.Is(err, storage.ErrNotFound) || errors.Is(err, meta.ErrInRelease) {
		return nil // somebody has deleted it, or has use for it
	}
	return err
}
