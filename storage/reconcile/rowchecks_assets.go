package reconcile

import (
	"context"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// assetsDiffering asks for assets that are not what their blob's row says. A verdict changes both in one transaction, so
// no task would ever put them right.
func (r *Reconciler) assetsDiffering(ctx context.Context, tenants []string, after meta.RowDrift, limit int) ([]meta.ReconcileFinding, error) {
	rows, err := r.db.AssetsDiffering(ctx, tenants, after, limit)
	return drifts(storage.DriftAsset, rows, err, func(d meta.RowDrift) facts {
		return facts{"asset": d.Subject, "other_state": d.Have, "other_size": d.Truth}
	})
}

// setAssets writes what the blob's row says into its assets. Whoever makes, moves or deletes one locks the blob's row first,
// as this does. The size is written only while the blob's object has it: else it may be the wrong one of the two. The ledger
// adds up blobs, so it stays as it is.
func setAssets(ctx context.Context, m *mending) (string, error) {
	seen, err := m.blob(m.tenant(ctx))
	if err != nil {
		return "", err
	}
	home, _ := m.zonePlaces(seen)
	lies, err := m.sizeIn(ctx, home)
	if err != nil {
		return "", err
	}
	data := map[string]any{}
	return m.commit(ctx, data, func(tx *meta.Tx) error {
		tenant := tx.Tenant(m.f.TenantID)
		if _, err := m.same(tx, seen); err != nil {
			return err
		}
		b, err := tenant.LockBlob(m.f.SHA256)
		if err != nil {
			return err
		}
		if b.Revision != seen.Revision+1 {
			return errMoved
		}
		states, sizes, err := tenant.SetAssets(b, lies == b.Size && b.Damage == "")
		switch {
		case err != nil:
			return err
		case states+sizes == 0:
			return &gone{"the assets are what their blob's record says, or its own size is in doubt"}
		}
		data["scan"], data["size"], data["states"], data["sizes"] = b.ScanStatus, b.Size, states, sizes
		return nil
	})
}

// tenantsEnded asks for tenants whose row says that they are over although they have files: nobody can reach these, and
// nobody deleted them.
func (r *Reconciler) tenantsEnded(ctx context.Context, tenants []string, after meta.RowDrift, limit int) ([]meta.ReconcileFinding, error) {
	list, err := r.db.TenantsEnded(ctx, tenants, after.TenantID, limit)
	var out []meta.ReconcileFinding
	for _, t := range list {
		out = append(out, rowFinding(storage.DriftTenant, t.TenantID, "", facts{"state": t.State, "records": map[string]int64{"assets": t.Assets, "blobs": t.Blobs}}))
	}
	return out, err
}
