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
// blobs without references. A tenant where that fails holds up no other; the next hour tries again.
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
				return errors.Join(problems...) // the next turn goes on: what is deleted is not found again
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
	for _, state := range []storage.AssetState{storage.AssetQuarantined, storage.AssetAvailable, storage.AssetRejected} {
		if err := endOldAssetsIn(ctx, db, t.ID, state, made, spec.RetentionDays); err != nil {
			return err
		}
	}
	return nil
}

// endOldAssetsIn goes through the assets of one state from the oldest on, up to the first that is young enough: what
// stays is not looked at again every hour.
func endOldAssetsIn(ctx context.Context, db *meta.DB, tenantID string, state storage.AssetState, made meta.Stamp, days int64) error {
	for after := ""; ; {
		list, err := db.Tenant(ctx, tenantID).OldestAssets(state, after, retentionAssets)
		if err != nil {
			return err
		}
		for _, a := range list {
			if a.CreatedAt >= made {
				return nil
			}
			if err := endOldAsset(ctx, db, a, days); err != nil {
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
	if errors.Is(err, storage.ErrNotFound) || errors.Is(err, meta.ErrChanged) || errors.Is(err, meta.ErrInRelease) {
		return nil // its tenant was quicker, or is at it: the next hour sees what became of it; or a release needs it
	}
	return err
}
