package reconcile

import (
	"context"
	"errors"
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
// end the claim together with the row and its share of the ledger.
func (r *Reconciler) removeUnreferenced(ctx context.Context, rep *Report) error {
	for {
		now := meta.Now()
		unreferenced, abandoned := now.Add(-r.cfg.DeletedGrace), now.Add(-r.cfg.Takeover)
		list, err := r.db.Sweepable(ctx, unreferenced, abandoned, claimBatch)
		if err != nil || len(list) == 0 {
			return err
		}
		swept, err := r.claimAndDelete(ctx, rep, list, unreferenced, abandoned)
		if err := errors.Join(err, r.endSweeps(ctx, rep, swept)); err != nil {
			return err
		}
		if len(list) < claimBatch {
			return nil
		}
	}
}

// claimAndDelete returns the blobs that were claimed and whose objects are gone. Of the others that were claimed
// the claim stays, for a later run to take over.
func (r *Reconciler) claimAndDelete(ctx context.Context, rep *Report, list []meta.Blob, unreferenced, abandoned meta.Stamp) ([]meta.Blob, error) {
	ctx, cancel := context.WithTimeout(ctx, batchTime)
	defer cancel()
	began := time.Now()
	var swept []meta.Blob
	for _, b := range list {
		if time.Since(began) > batchTime/2 {
			break
		}
		claimed, err := r.claim(ctx, b, unreferenced, abandoned)
		if err != nil {
			return swept, err
		}
		if !claimed {
			continue
		}
		if b.OnlyClaim() { // on an orphan, by somebody who died; objects without a row go to the trash, under a claim of their own
			swept = append(swept, b)
			continue
		}
		if err := r.deleteObjects(ctx, b); err != nil {
			if err := r.failed(ctx, rep, "remove a blob's objects", err, "tenant", b.TenantID, "sha256", b.SHA256); err != nil {
				return swept, err
			}
			continue
		}
		swept = append(swept, b)
	}
	return swept, nil
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
func (r *Reconciler) deleteObjects(ctx context.Context, b meta.Blob) error {
	key := storage.BlobKey(b.TenantID, b.SHA256)
	return errors.Join(
		r.zones.Quarantine.Delete(ctx, key),
		r.zones.Clean.Delete(ctx, key),
		DeleteVariants(ctx, r.zones.Clean, b.TenantID, b.SHA256),
	)
}

// DeleteVariants removes every object that was derived from a blob, whatever its preset.
func DeleteVariants(ctx context.Context, bucket blob.Bucket, tenantID, sha256 string) error {
	key := storage.BlobKey(tenantID, sha256)
	folder := key[:strings.LastIndexByte(key, '/')+1]
	for info, err := range bucket.List(ctx, folder, key) {
		if err != nil {
			return err
		}
		if !strings.HasPrefix(info.Key, key+".") {
			return nil
		}
		if err := bucket.Delete(ctx, info.Key); err != nil {
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
