package intake

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

// errDamaged sends an upload of bytes whose blob is damaged another way: merely to link to it would help nobody.
var errDamaged = errors.New("the blob is damaged: its bytes are wanted")

// heal puts the bytes of a damaged blob into quarantine once more and joins the upload to it. A scan decides about them as
// about any upload, and ends the damage for all assets on the blob; what is known to be infected stays so without one. It reports
// false when the blob is no longer damaged.
func (in *Intake) heal(ctx context.Context, up Upload, c *Candidate, digest string, body *Spooled, h *hold) (Receipt, bool, error) {
	b, err := in.DB.Tenant(ctx, up.TenantID).Blob(digest)
	if errors.Is(err, storage.ErrNotFound) {
		return Receipt{}, false, nil
	}
	if err != nil {
		return Receipt{}, false, err
	}
	if err := in.trustStore(ctx, b); err != nil { // nobody would find the bytes when the right one is back
		return Receipt{}, false, err
	}
	if err := in.put(ctx, up, c, digest, body); err != nil {
		return Receipt{}, false, err
	}
	put := time.Now()
	receipt, done, err := h.settle(func() (Receipt, bool, error) { return in.join(ctx, up, c, digest, h.Reservation) })
	if err == nil && done && time.Since(put) > putHolds {
		err = in.put(ctx, up, c, digest, body) // see settleIn
	}
	return receipt, done, err
}

// join makes the damaged blob an unscanned one and queues its scan, or lets it be infected, together with the rows of the upload.
func (in *Intake) join(ctx context.Context, up Upload, c *Candidate, digest string, r quota.Reservation) (Receipt, bool, error) {
	var receipt Receipt
	var done bool
	err := in.DB.InTx(ctx, func(tx *meta.Tx) error {
		receipt, done = Receipt{}, false
		tenant := tx.Tenant(up.TenantID)
		b, err := tenant.LockBlob(digest)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			return nil
		case err != nil || b.Sweeping || b.Damage == "":
			return err
		}
		if err := tx.Heal(b, b.Revision); err != nil {
			return fmt.Errorf("take the blob back into quarantine: %w", err)
		}
		if err := audit.Write(tx, audit.Entry{
			Actor: up.Actor, TenantID: up.TenantID, Action: "blob.heal", Target: digest, Result: audit.OK,
			Data: map[string]any{"damage": b.Damage, "size": b.Size},
		}); err != nil {
			return err
		}
		receipt, err = in.joined(tx, up, c, digest, r)
		done = err == nil
		return err
	})
	if errors.Is(err, errKeyTaken) {
		return Receipt{}, false, nil
	}
	return receipt, done && err == nil, err
}

// joined is the asset that the upload gets: the one its Idempotency-Key made before; where the plan refuses duplicates,
// or has no room, the one that is there, which the upload has mended; else a new one.
func (in *Intake) joined(tx *meta.Tx, up Upload, c *Candidate, digest string, r quota.Reservation) (Receipt, error) {
	tenant := tx.Tenant(up.TenantID)
	if receipt, done, err := repeated(tenant, up, digest); err != nil || done {
		return receipt, err
	}
	old, err := tenant.LiveAsset(digest)
	switch {
	case err != nil && !errors.Is(err, storage.ErrNotFound):
		return Receipt{}, err
	case err == nil && (up.Policy.RejectDuplicates || r.NoRoom):
		view, err := tenant.Asset(old.ID)
		return Receipt{Asset: view, Duplicate: true, Mended: true}, err
	}
	linked, err := tenant.LinkBlob(digest)
	if err != nil {
		return Receipt{}, err
	}
	if !linked {
		return Receipt{}, meta.ErrChanged
	}
	b, err := tenant.Blob(digest)
	if err != nil {
		return Receipt{}, err
	}
	receipt, err := in.writeRows(tx, up, c, b, true)
	if err != nil {
		return Receipt{}, err
	}
	return receipt, in.Ledger.Settle(tx, r, 0)
}
