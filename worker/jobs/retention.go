package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// How many tenants and assets are read at once.
const (
	retentionTenants = 200
	retentionAssets  = 500
)

// reasonRetention is why, in the audit log.
const reasonRetention = "plan_retention"

// endOldAssets deletes the assets that are older than the plan of their tenant keeps them. Their blobs go the way of all
// blobs without references. One asset that cannot be deleted now keeps no other; the next hour tries again.
func endOldAssets(ctx context.Context, db *meta.DB) error {
	var problems []error
	for after := ""; ; {
		list, err := db.ServedSpecs(ctx, after, retentionTenants)
		if err != nil {
			return errors.Join(append(problems, err)...)
		}
		for _, t := range list {
			if err := endOldAssetsOf(ctx, db, t); err != nil {
				problems = append(problems, fmt.Errorf("tenant %s: %w", t.ID, err))
			}
			if ctx.Err() != nil {
				return errors.Join(problems...)
			}
			after = t.ID
		}
		if len(list) < retentionTenants {
			return errors.Join(problems...)
		}
	}
}

func endOldAssetsOf(ctx context.Context, db *meta.DB, t meta.TenantSpec) error {
	spec, err := quota.SpecOf(t.Spec, t.Overrides)
	if err != nil || spec.RetentionDays == 0 {
		return err
	}
	made := meta.Now().Add(-time.Duration(spec.RetentionDays) * 24 * time.Hour)
	for after := ""; ; {
		list, err := db.Tenant(ctx, t.ID).AssetsBefore(made, after, retentionAssets)
		if err != nil {
			return err
		}
		for _, a := range list {
			if err := endOldAsset(ctx, db, a, spec.RetentionDays); err != nil {
				return fmt.Errorf("asset %s: %w", a.ID, err)
			}
			after = a.ID
		}
		if len(list) < retentionAssets {
			return nil
		}
	}
}

func endOldAsset(ctx context.Context, db *meta.DB, a meta.Asset, days int64) error {
	err := db.InTx(ctx, func(tx *meta.Tx) error {
		if _, err := tx.Tenant(a.TenantID).DeleteAsset(a.ID); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{
			Actor: audit.Worker, TenantID: a.TenantID, Action: "asset.delete", Target: a.ID, Result: audit.OK,
			Data: map[string]any{
				"reason": reasonRetention, "retention_days": days, "name": a.Name, "sha256": a.SHA256, "size": a.Size, "state": a.State,
			},
		})
	})
	if errors.Is(err, storage.ErrNotFound) {
		return nil // its tenant was quicker
	}
	return err
}
