package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// holdLease is how long a task may be held; what is done under it is cut well before.
const (
	holdLease = time.Minute
	holdTime  = 20 * time.Second
)

// removeUnreferenced takes the blobs that nobody has referenced for the grace time: claim, delete the objects,
// end the claim together with the row and its share of the ledger. Of blobs that no deletion left the trash keeps a copy.
// Each blob has its turn once: one that cannot be removed neither holds up the others nor comes again before the next sweep.
func (r *Reconciler) removeUnreferenced(ctx context.Context, rep *Report) error {
	now := meta.Now()
	unreferenced, abandoned := now.Add(-r.cfg.DeletedGrace), now.Add(-r.cfg.Takeover)
	for page, err := range r.db.Sweepable(ctx, unreferenced, abandoned, r.batch(sweepPage)) {
		if err != nil {
			return err
		}
		for list := range slices.Chunk(page, r.batch(claimBatch)) {
			left, err := r.saveUnexplained(ctx, rep, list)
			for err == nil && len(left) > 0 {
				var swept []meta.Blob
				swept, left, err = r.claimAndDelete(ctx, rep, left, unreferenced, abandoned)
				err = errors.Join(err, r.endSweeps(ctx, rep, swept))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// leaving is a blob to be removed. Of one that is saved, the trash has all objects.
type leaving struct {
	meta.Blob
	saved bool
}

// saveUnexplained copies to the trash what lies of blobs that no deletion of an asset left: the rows of their assets may
// have been lost behind the system's back, and what a snapshot brings back must find its bytes. It comes before the claim,
// because uploads wait for that. What could not be copied is not returned: it stays until the next run.
func (r *Reconciler) saveUnexplained(ctx context.Context, rep *Report, list []meta.Blob) ([]leaving, error) {
	var due []leaving
	for _, b := range list {
		deleted := b.OnlyClaim()
		var err error
		if !deleted {
			deleted, err = r.db.Tenant(ctx, b.TenantID).LeftByDeletion(b)
		}
		if err == nil && !deleted {
			err = r.save(ctx, b)
		}
		if err == nil {
			due = append(due, leaving{b, !deleted})
			continue
		}
		if _, purged := errors.AsType[*gone](err); purged {
			continue
		}
		if err := r.failed(ctx, rep, "save an unreferenced blob's objects", err, "tenant", b.TenantID, "sha256", b.SHA256); err != nil {
			return nil, err
		}
	}
	return due, nil
}

// save copies all objects of a blob to the trash.
func (r *Reconciler) save(ctx context.Context, b meta.Blob) error {
	return r.eachObject(ctx, b, func(zone storage.Zone, info blob.Info) error {
		_, err := r.copyOver(ctx, copied{zone: zone, key: info.Key, was: info})
		return err
	})
}

// requireSaved looks again under the claim: nothing goes that is not in the trash.
func (r *Reconciler) requireSaved(ctx context.Context, b meta.Blob) error {
	return r.eachObject(ctx, b, func(zone storage.Zone, info blob.Info) error {
		trashed, err := r.zones.Quarantine.Stat(ctx, storage.TrashKey(zone, info.Key))
		if err == nil && trashed.Size != info.Size {
			err = blob.ErrSize
		}
		if err != nil {
			return fmt.Errorf("look for the copy of %s in the trash: %w", info.Key, err)
		}
		return nil
	})
}

// eachObject hands over what lies of a blob and its variants.
func (r *Reconciler) eachObject(ctx context.Context, b meta.Blob, do func(storage.Zone, blob.Info) error) error {
	key := storage.BlobKey(b.TenantID, b.SHA256)
	for _, zone := range bothZones {
		info, err := r.zones.Of(zone).Stat(ctx, key)
		switch {
		case errors.Is(err, blob.ErrNotExist):
			continue
		case err == nil:
			err = do(zone, info)
		}
		if err != nil {
			return err
		}
	}
	return eachVariant(ctx, r.zones.Clean, key, func(info blob.Info) error { return do(storage.ZoneClean, info) })
}

// claimAndDelete returns the blobs that were claimed and whose objects are gone, and those that there was no time for. Of
// the others that were claimed the claim stays, for a later run to take over.
func (r *Reconciler) claimAndDelete(ctx context.Context, rep *Report, list []leaving, unreferenced, abandoned meta.Stamp) (swept []meta.Blob, left []leaving, err error) {
	ctx, cancel := context.WithTimeout(ctx, batchTime)
	defer cancel()
	began := time.Now()
	for i, b := range list {
		if i > 0 && time.Since(began) > batchTime/2 {
			return swept, list[i:], nil
		}
		claimed, err := r.claim(ctx, b.Blob, unreferenced, abandoned)
		if err != nil {
			return swept, nil, err
		}
		if !claimed {
			continue
		}
		if b.OnlyClaim() { // on an orphan, by somebody who died; objects without a row go to the trash, under a claim of their own
			swept = append(swept, b.Blob)
			continue
		}
		if err := r.deleteObjects(ctx, b); err != nil {
			if err := r.failed(ctx, rep, "remove a blob's objects", err, "tenant", b.TenantID, "sha256", b.SHA256); err != nil {
				return swept, nil, err
			}
			continue
		}
		swept = append(swept, b.Blob)
	}
	return swept, nil, nil
}

func (r *Reconciler) claim(ctx context.Context, b meta.Blob, unreferenced, abandoned meta.Stamp) (bool, error) {
	var claimed bool
	err := r.db.InTx(ctx, func(tx *meta.Tx) error {
		var err error
		claimed, err = tx.BeginSweep(b.TenantID, b.SHA256, unreferenced, abandoned)
		if err != nil || !claimed {
			return err
		}
		return tx.Tenant(b.TenantID).CancelTasks(b.SHA256)
	})
	return claimed, err
}

// deleteObjects removes the blob and all its variants from both zones, also those that no row speaks of.
func (r *Reconciler) deleteObjects(ctx context.Context, b leaving) error {
	if b.saved {
		if err := r.requireSaved(ctx, b.Blob); err != nil {
			return err
		}
	}
	key := storage.BlobKey(b.TenantID, b.SHA256)
	return errors.Join(
		r.zones.Quarantine.Delete(ctx, key),
		r.zones.Clean.Delete(ctx, key),
		DeleteVariants(ctx, r.zones.Clean, b.TenantID, b.SHA256),
	)
}

// DeleteVariants removes every object that was derived from a blob, whatever its preset.
func DeleteVariants(ctx context.Context, bucket blob.Bucket, tenantID, sha256 string) error {
	return eachVariant(ctx, bucket, storage.BlobKey(tenantID, sha256), func(info blob.Info) error { return bucket.Delete(ctx, info.Key) })
}

func eachVariant(ctx context.Context, bucket blob.Bucket, key string, do func(blob.Info) error) error {
	folder := key[:strings.LastIndexByte(key, '/')+1]
	for info, err := range bucket.List(ctx, folder, key) {
		if err != nil {
			return err
		}
		if !strings.HasPrefix(info.Key, key+".") {
			return nil
		}
		if err := do(info); err != nil {
			return err
		}
	}
	return nil
}

// endSweeps ends claims after they have settled.
func (r *Reconciler) endSweeps(ctx context.Context, rep *Report, swept []meta.Blob) error {
	if len(swept) == 0 {
		return nil
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	for _, b := range swept {
		freed, err := r.endSweep(ctx, b)
		if err != nil { // the claim stays, for a later run to take over
			if err := r.failed(ctx, rep, "end the sweep of a blob", err, "tenant", b.TenantID, "sha256", b.SHA256); err != nil {
				return err
			}
			continue
		}
		rep.Blobs++
		rep.Bytes += freed
	}
	return nil
}

func (r *Reconciler) endSweep(ctx context.Context, b meta.Blob) (int64, error) {
	var freed int64
	err := r.db.InTx(ctx, func(tx *meta.Tx) error {
		var err error
		if freed, err = tx.EndSweep(b.TenantID, b.SHA256); err != nil {
			return err
		}
		if err := audit.Write(tx, audit.Entry{
			Actor: audit.Worker, TenantID: b.TenantID, Action: "blob.remove", Target: b.SHA256, Result: audit.OK,
			Data: map[string]any{"bytes": freed},
		}); err != nil {
			return err
		}
		return r.ledger.Refund(tx, b.TenantID, freed)
	})
	return freed, err
}

func (r *Reconciler) settle(ctx context.Context) error {
	t := time.NewTimer(r.cfg.Settle)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
