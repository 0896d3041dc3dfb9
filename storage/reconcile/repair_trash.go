package reconcile

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// trash moves an object that nothing speaks of into the trash, guarded like a deletion (see doc.go): the copy comes
// first, because it harms nobody however long it takes, then the claim or the hold, then the deletion.
func trash(ctx context.Context, m *mending) (string, error) {
	o, ok := storage.ParseKey(m.f.ObjectKey)
	if !ok || o.TenantID != m.f.TenantID || o.SHA256 != m.f.SHA256 {
		return "", fmt.Errorf("%q is no object of the finding's blob", m.f.ObjectKey)
	}
	if m.f.Kind == storage.DriftOrphan {
		if err := m.claimAndTrash(ctx); err != nil {
			return "", err
		}
		if err := m.settle(ctx); err != nil {
			return "", err
		}
		return m.endClaimed(ctx)
	}
	b, err := m.blob(m.tenant(ctx))
	if err != nil {
		return "", err
	}
	c, err := m.copyToTrash(ctx, m.f.Zone, m.f.ObjectKey)
	if err != nil {
		return "", err
	}
	kind := storage.TaskScan // copies between the zones
	if media, makes := storage.MediaTask(b.Category); makes && o.Preset != "" && m.f.Zone == storage.ZoneClean {
		kind = media // puts variants before their rows
	}
	return m.removeHeld(ctx, meta.BlobTask(kind, b.TenantID, b.SHA256), c, func(ctx context.Context) error { return m.unwanted(ctx, o) })
}

// removeHeld is the second half of a move, while no such task can run about the blob and if the object is unwanted still.
func (m *mending) removeHeld(ctx context.Context, task meta.NewTask, c copied, unwanted func(context.Context) error) (string, error) {
	return m.whileHeld(ctx, task, func(ctx context.Context) error {
		if err := unwanted(ctx); err != nil {
			return err
		}
		return m.remove(ctx, c)
	}, map[string]any{"bytes": c.was.Size, "trash": c.copy.Key}, func(*meta.Tx) error { return nil })
}

// unwanted fails unless the object may go: a variant without a row, or the second copy of a blob.
func (m *mending) unwanted(ctx context.Context, o storage.Key) error {
	if o.Preset == "" {
		return m.unwantedCopy(ctx, m.f.Zone, m.f.ObjectKey)
	}
	tenant := m.tenant(ctx)
	if _, err := m.blob(tenant); err != nil {
		return err
	}
	v, err := tenant.Variant(o.SHA256, o.Preset)
	switch {
	case err != nil && !errors.Is(err, storage.ErrNotFound):
		return err
	case err == nil && v.Key() == m.f.ObjectKey && m.f.Zone == storage.ZoneClean:
		return &gone{"a row speaks of the variant"}
	}
	return nil
}

// unwantedCopy fails unless the blob's object is where its row says, whole, and not in that zone.
func (m *mending) unwantedCopy(ctx context.Context, zone storage.Zone, key string) error {
	b, err := m.blob(m.tenant(ctx))
	switch {
	case err != nil:
		return err
	case b.Zone == zone:
		return &gone{"the object is where its row says"}
	case b.Damage != "":
		return &gone{"the blob is damaged: it may need this copy"}
	}
	info, err := m.zones.Of(b.Zone).Stat(ctx, key)
	switch {
	case errors.Is(err, blob.ErrNotExist) || err == nil && info.Size != b.Size:
		return &gone{"the object where the row says is not whole: this copy is needed"}
	case err != nil:
		return fmt.Errorf("look at the blob's object: %w", err)
	}
	return nil
}

// claimAndTrash takes an orphan under a claim, which stays: endClaimed ends it after it has settled.
func (m *mending) claimAndTrash(ctx context.Context) error {
	c, err := m.copyToTrash(ctx, m.f.Zone, m.f.ObjectKey)
	if err != nil {
		return err
	}
	if err := m.claimDigest(ctx); err != nil {
		return err
	}
	dctx, cancel := context.WithTimeout(ctx, batchTime)
	defer cancel()
	err = m.remove(dctx, c)
	if _, untouched := errors.AsType[*gone](err); untouched {
		return errors.Join(err, m.inTx(ctx, func(tx *meta.Tx) error { return tx.EndClaim(m.f.TenantID, m.f.SHA256) }))
	}
	return err // after another error the object may be gone all the same: the claim settles until it is taken over
}

// claimDigest makes uploads of the finding's digest wait. A *gone when a row or an asset speaks of it.
func (m *mending) claimDigest(ctx context.Context) error {
	return m.inTx(ctx, func(tx *meta.Tx) error {
		tenant := tx.Tenant(m.f.TenantID)
		switch _, err := tenant.LiveAsset(m.f.SHA256); {
		case err == nil:
			return &gone{"an asset speaks of the digest"}
		case !errors.Is(err, storage.ErrNotFound):
			return err
		}
		claimed, err := tx.ClaimOrphan(m.f.TenantID, m.f.SHA256)
		if err != nil || claimed {
			return err
		}
		b, known, err := tenant.BlobIfAny(m.f.SHA256)
		switch {
		case err != nil:
			return err
		case !known:
			return errMoved
		case !b.OnlyClaim():
			return &gone{"a row speaks of the digest"}
		}
		took, err := tx.TakeOverClaim(m.f.TenantID, m.f.SHA256, meta.Now().Add(-m.cfg.Takeover))
		if err == nil && !took {
			err = errors.New("somebody else has claimed the digest; the next run looks again")
		}
		return err
	})
}

func (m *mending) endClaimed(ctx context.Context) (string, error) {
	return m.commit(ctx, map[string]any{"trash": storage.TrashKey(m.f.Zone, m.f.ObjectKey)}, func(tx *meta.Tx) error {
		return tx.EndClaim(m.f.TenantID, m.f.SHA256)
	})
}
