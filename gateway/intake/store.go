package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// storeAttempts bounds how often an upload steps aside for a sweep or another upload of the same bytes: with the
// pauses about 15 seconds, which a batch of the sweeper takes at most on a store in health.
const storeAttempts = 20

// putHolds is how long a put object is sure to be there without its row. The reconciliation removes only what is old,
// but it may have judged the object's predecessor under the same key just before the put, and it keeps its claim on the
// digest for longer than this after a deletion (reconcile.Config.Settle).
const putHolds = time.Second

// store makes a checked file durable: link it to bytes that are there, or put the object first and then write
// all rows in one transaction. A crash between the two leaves an orphan object, which the reconciliation
// moves to the trash.
func (in *Intake) store(ctx context.Context, up Upload, c *Candidate, digest string, body *Spooled, h *hold) (Receipt, error) {
	receipt, fresh, err := in.settleIn(ctx, up, c, digest, body, h)
	if err != nil && fresh {
		in.discard(ctx, up.TenantID, digest)
	}
	return receipt, err
}

// settleIn is store without its tidying up; it also reports whether it put an object where there was none.
func (in *Intake) settleIn(ctx context.Context, up Upload, c *Candidate, digest string, body *Spooled, h *hold) (_ Receipt, fresh bool, _ error) {
	pause, stored, found := 25*time.Millisecond, false, storage.Zone("")
	for range storeAttempts {
		known, err := in.known(ctx, up, digest)
		if err != nil {
			return Receipt{}, fresh, err
		}
		var receipt Receipt
		var done bool
		if known {
			receipt, done, err = h.settle(func() (Receipt, bool, error) { return in.link(ctx, up, c, digest, h.Reservation) })
		}
		switch {
		case errors.Is(err, meta.ErrSweeping):
			// The same bytes are being removed at this moment; ours go in when they are gone.
			if err := sleep(ctx, pause); err != nil {
				return Receipt{}, fresh, err
			}
			pause = min(2*pause, time.Second)
			continue
		case errors.Is(err, errDamaged):
			if receipt, done, err = in.heal(ctx, up, c, digest, body, h); err != nil || done {
				return receipt, fresh, err
			}
			continue
		case err != nil || done:
			return receipt, fresh, err
		}
		// From here on the upload costs quota: it is new.
		if err := in.Ledger.Grow(ctx, &h.Reservation, c.Size); err != nil {
			return Receipt{}, fresh, withUpgrade(err, up.Policy)
		}
		if !stored {
			if found, err = in.found(ctx, up.TenantID, digest); err != nil {
				return Receipt{}, false, err
			}
			stored, fresh = true, found != storage.ZoneQuarantine
		}
		if receipt, done, err = in.putAndCommit(ctx, up, c, digest, body, h, found); err != nil || done {
			return receipt, fresh, err
		}
		// Another upload of the same bytes was quicker: link to its blob.
	}
	return Receipt{}, fresh, storage.Refuse(storage.CodeUnavailable, nil).CausedBy(errors.New("the same bytes were busy for too long"))
}

// putAndCommit puts the object and then writes its rows; it reports false when another upload of the same bytes was quicker.
func (in *Intake) putAndCommit(ctx context.Context, up Upload, c *Candidate, digest string, body *Spooled, h *hold, found storage.Zone) (Receipt, bool, error) {
	if err := in.put(ctx, up, c, digest, body); err != nil {
		return Receipt{}, false, err
	}
	put := time.Now()
	receipt, done, err := h.settle(func() (Receipt, bool, error) { return in.commit(ctx, up, c, digest, h.Reservation, found) })
	if err == nil && done && time.Since(put) > putHolds {
		// The database was slow. From now on the row protects the object, but it may have been swept before.
		err = in.put(ctx, up, c, digest, body)
	}
	return receipt, done, err
}

// found is the zone in which an object of the digest lies before the put, "" when there is none. It may be all that is left
// of a blob whose rows were lost: it is the reconciliation's. Whether one lies in the clean zone only decides how the blob is
// removed one day, so an upload does not fail for it: what cannot be seen may be there.
func (in *Intake) found(ctx context.Context, tenantID, digest string) (storage.Zone, error) {
	key := storage.BlobKey(tenantID, digest)
	_, err := in.Zones.Quarantine.Stat(ctx, key)
	if err == nil {
		return storage.ZoneQuarantine, nil
	}
	if !errors.Is(err, blob.ErrNotExist) {
		return "", fmt.Errorf("store upload: %w", err)
	}
	_, err = in.Zones.Clean.Stat(ctx, key)
	if errors.Is(err, blob.ErrNotExist) {
		return "", nil
	}
	return storage.ZoneClean, nil
}

// discard removes the object of an upload that was refused after all, as the repair of an orphan does: under a claim
// that makes uploads of the same bytes wait, held until a commit that was on its way has noticed. Bytes that an asset speaks of stay.
// What cannot be done now is left to the reconciliation.
func (in *Intake) discard(ctx context.Context, tenantID, digest string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookkeepingTime)
	defer cancel()
	var claimed bool
	err := in.DB.InTx(ctx, func(tx *meta.Tx) (err error) {
		claimed = false
		if _, err = tx.Tenant(tenantID).LiveAsset(digest); !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		claimed, err = tx.ClaimOrphan(tenantID, digest)
		return err
	})
	if err == nil && claimed {
		err = in.Zones.Quarantine.Delete(ctx, storage.BlobKey(tenantID, digest))
		if err == nil {
			err = sleep(ctx, discardSettles)
		}
		if err == nil {
			err = in.DB.InTx(ctx, func(tx *meta.Tx) error { return tx.EndClaim(tenantID, digest) })
		}
	}
	if err != nil {
		in.Log.Warn("discard a refused upload's object; the reconciliation will", "tenant", tenantID, "sha256", digest, "error", err)
	}
}

// discardSettles is how long the claim of discard outlives the deletion: longer than putHolds, after which a slow
// commit puts its object again.
const discardSettles = 3 * putHolds

func (in *Intake) put(ctx context.Context, up Upload, c *Candidate, digest string, body *Spooled) error {
	err := in.Zones.Quarantine.Put(ctx, storage.BlobKey(up.TenantID, digest), body.Reader(), c.Size, blob.PutOptions{ContentType: c.MediaType})
	if err != nil {
		return fmt.Errorf("store upload: %w", err)
	}
	return nil
}

// link settles the upload against what is there already: an asset made under the same Idempotency-Key, or a
// blob with the same digest. It reports false when there is neither.
func (in *Intake) link(ctx context.Context, up Upload, c *Candidate, digest string, r quota.Reservation) (Receipt, bool, error) {
	current, err := in.currentDatabase(ctx)
	if err != nil {
		return Receipt{}, false, err
	}
	var receipt Receipt
	var done bool
	err = in.DB.InTx(ctx, func(tx *meta.Tx) error {
		receipt, done = Receipt{}, false
		tenant := tx.Tenant(up.TenantID)
		var err error
		if receipt, done, err = repeated(tenant, up, digest); err != nil || done {
			if b := receipt.Asset.Blob; done && b.Damage != "" && b.Refs > 0 { // and it has a row
				return errDamaged
			}
			return err
		}
		linked, err := tenant.LinkBlob(digest)
		if err != nil || !linked {
			return err
		}
		b, err := tenant.Blob(digest)
		if err != nil {
			return err
		}
		if b.Damage != "" {
			return errDamaged
		}
		if up.Policy.RejectDuplicates && b.Refs > 1 {
			return in.refuseDuplicate(tenant, digest)
		}
		if receipt, err = in.writeRows(tx, up, c, b, true); err != nil {
			return err
		}
		if err := resume(tx, b, current); err != nil {
			return err
		}
		done = true
		return in.Ledger.Settle(tx, r, 0)
	})
	if errors.Is(err, errKeyTaken) {
		return Receipt{}, false, nil
	}
	return receipt, done && err == nil, err
}

// commit writes blob, asset, scan task, event, audit record and ledger in one transaction, and that an object of these bytes
// was found, if it was. It reports false when the digest got a row in the meantime.
func (in *Intake) commit(ctx context.Context, up Upload, c *Candidate, digest string, r quota.Reservation, found storage.Zone) (Receipt, bool, error) {
	var receipt Receipt
	var created bool
	err := in.DB.InTx(ctx, func(tx *meta.Tx) error {
		now := meta.Now()
		b := meta.Blob{
			SHA256: digest, SHA512: c.SHA512, Size: c.Size, MediaType: c.MediaType, Category: c.Category, Zone: storage.ZoneQuarantine,
			Width: c.Width, Height: c.Height, Frames: c.Frames, Refs: 1,
			ScanStatus: storage.ScanPending, MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
		}
		var err error
		created, err = tx.Tenant(up.TenantID).CreateBlob(&b)
		if err != nil || !created {
			return err
		}
		if found != "" {
			if err := tx.Tenant(up.TenantID).FoundAlone(digest, found); err != nil {
				return fmt.Errorf("note an object without records: %w", err)
			}
		}
		if receipt, err = in.writeRows(tx, up, c, b, false); err != nil {
			return err
		}
		if _, err := tx.Enqueue(scanTask(up.TenantID, digest)); err != nil {
			return fmt.Errorf("enqueue scan: %w", err)
		}
		return in.Ledger.Settle(tx, r, c.Size)
	})
	if errors.Is(err, errKeyTaken) {
		return Receipt{}, false, nil
	}
	return receipt, created && err == nil, err
}

// errKeyTaken rolls back an upload whose Idempotency-Key another one has bound meanwhile.
var errKeyTaken = errors.New("the Idempotency-Key was bound by a parallel upload")

// writeRows writes what every accepted upload has: the asset, its idempotency key, its event, its audit record.
func (in *Intake) writeRows(tx *meta.Tx, up Upload, c *Candidate, b meta.Blob, duplicate bool) (Receipt, error) {
	state, err := storage.StateOf(b.ScanStatus)
	if err != nil {
		return Receipt{}, err
	}
	now, tenant := meta.Now(), tx.Tenant(up.TenantID)
	if c.SHA512 != "" && b.SHA512 == "" { // the blob came in when nobody asked for it
		if err := tenant.SetSHA512(b.SHA256, c.SHA512); err != nil {
			return Receipt{}, fmt.Errorf("note the SHA-512: %w", err)
		}
		b.SHA512 = c.SHA512
	}
	a := meta.Asset{
		ID: meta.NewID(), SHA256: b.SHA256, Name: c.Name, Ext: c.Ext, Category: c.Category, MediaType: c.MediaType,
		Size: c.Size, State: state, Duplicate: duplicate, CreatedAt: now, UpdatedAt: now,
	}
	if err := tenant.CreateAsset(&a); err != nil {
		return Receipt{}, fmt.Errorf("create asset: %w", err)
	}
	if up.IdempotencyKey != "" {
		bound, err := tenant.Remember(up.IdempotencyKey, a.ID, a.SHA256)
		if err != nil {
			return Receipt{}, err
		}
		if !bound {
			// A parallel request with the same key was quicker; the next round finds its asset.
			return Receipt{}, errKeyTaken
		}
	}
	if err := tenant.Record(a.ID, storage.EventAccepted, map[string]any{"state": state, "duplicate": duplicate}); err != nil {
		return Receipt{}, fmt.Errorf("record event: %w", err)
	}
	if err := audit.Write(tx, audit.Entry{
		Actor: up.Actor, TenantID: up.TenantID, Action: "asset.upload", Target: a.ID, Result: audit.OK,
		Data: map[string]any{"name": a.Name, "size": a.Size, "sha256": a.SHA256, "media_type": a.MediaType, "duplicate": duplicate},
	}); err != nil {
		return Receipt{}, err
	}
	view := meta.AssetView{Asset: a, Blob: b}
	if duplicate { // new bytes have none yet
		if view.Variants, err = tenant.Variants(b.SHA256); err != nil {
			return Receipt{}, err
		}
	}
	return Receipt{Asset: view, Duplicate: duplicate}, nil
}

func (in *Intake) refuseDuplicate(tenant meta.Tenant, digest string) error {
	ids, err := tenant.AssetsOn(digest)
	if err != nil {
		return err
	}
	d := storage.Details{"sha256": digest}
	if len(ids) > 0 {
		d["asset_id"] = ids[0]
	}
	return storage.Refuse(storage.CodeDuplicateFile, d)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
