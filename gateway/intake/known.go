package intake

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/remedy"
)

// known reports whether link may find something. A row alone makes no duplicate: the upload is acknowledged on the
// strength of an object, so that is looked for. A blob without it is marked as damaged here, unless the whole store is in doubt,
// and link sends the upload to heal it. Whoever comes without an Idempotency-Key, and most do with new bytes, is spared the transaction of link.
func (in *Intake) known(ctx context.Context, up Upload, digest string) (bool, error) {
	for {
		b, err := in.DB.Tenant(ctx, up.TenantID).Blob(digest)
		if errors.Is(err, storage.ErrNotFound) {
			return up.IdempotencyKey != "", nil
		}
		if err != nil {
			return false, err
		}
		damage, err := in.damageOf(ctx, b)
		if err != nil || damage == "" {
			return true, err
		}
		if err := in.trustStore(ctx, b); err != nil {
			return false, err
		}
		marked, err := in.markDamaged(ctx, up, b, damage)
		if err != nil || marked {
			return true, err
		}
		// The row has moved on: a scan has taken the object to the other zone, or the blob is gone.
	}
}

// damageOf looks for the object of a blob where its row says. Its bytes are not read: that is the reconciliation's. What
// is known to be damaged, or is being removed, is link's.
func (in *Intake) damageOf(ctx context.Context, b meta.Blob) (storage.Damage, error) {
	if b.Damage != "" || b.Sweeping {
		return "", nil
	}
	info, err := in.Zones.Of(b.Zone).Stat(ctx, storage.BlobKey(b.TenantID, b.SHA256))
	switch {
	case errors.Is(err, blob.ErrNotExist):
		return storage.DamageMissing, nil
	case err != nil:
		return "", fmt.Errorf("look for the bytes of a duplicate: %w", err)
	case info.Size != b.Size:
		return storage.DamageSize, nil
	}
	return "", nil
}

// markDamaged writes down that a blob has lost its object. It reports false when the row has changed since it was read.
func (in *Intake) markDamaged(ctx context.Context, up Upload, b meta.Blob, damage storage.Damage) (bool, error) {
	marked, err := remedy.MarkDamaged(ctx, in.DB, up.Actor, b, damage)
	if err == nil && marked {
		in.Log.Error("the object of a stored file is lost; an upload of the same bytes brings it back",
			"key", storage.BlobKey(b.TenantID, b.SHA256), "zone", b.Zone, "damage", damage)
	}
	return marked, err
}
