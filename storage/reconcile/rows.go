package reconcile

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// expireReservations gives back quota that was held for uploads that never ended.
func (r *Reconciler) expireReservations(ctx context.Context, rep *Report) error {
	for {
		n, err := r.ledger.ExpireAbandoned(ctx, listBatch)
		rep.Reservations += n
		if err != nil || n < listBatch {
			return err
		}
	}
}

// endInfected deletes the assets of blobs whose bad verdict is older than the retention. The blobs go the way of
// all blobs without references.
func (r *Reconciler) endInfected(ctx context.Context, rep *Report) error {
	for {
		list, err := r.db.ExpiredInfections(ctx, meta.Now().Add(-r.cfg.Infected), claimBatch)
		if err != nil {
			return err
		}
		ended := 0
		for _, b := range list {
			ids, err := r.db.Tenant(ctx, b.TenantID).AssetsOn(b.SHA256)
			if err != nil {
				return err
			}
			for _, id := range ids {
				if err := r.endAsset(ctx, b, id); err != nil {
					if err := r.failed(ctx, rep, "end an infected asset", err, "tenant", b.TenantID, "asset", id); err != nil {
						return err
					}
					continue
				}
				ended++
			}
		}
		rep.Expired += ended
		if len(list) < claimBatch || ended == 0 {
			return nil
		}
	}
}

func (r *Reconciler) endAsset(ctx context.Context, b meta.Blob, id string) error {
	err := r.db.InTx(ctx, func(tx *meta.Tx) error {
		if _, err := tx.Tenant(b.TenantID).EndInfected(id); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{
			Actor: audit.Worker, TenantID: b.TenantID, Action: "asset.delete", Target: id, Result: audit.OK,
			Data: map[string]any{"reason": "infected_retention", "sha256": b.SHA256, "signature": b.ScanSignature},
		})
	})
	if errors.Is(err, storage.ErrNotFound) {
		return nil // its tenant was quicker
	}
	return err
}

// requeueStranded queues the scan or the variants of blobs that wait for them without a task. No job leaves any; rows that were
// restored or changed by hand may be so.
func (r *Reconciler) requeueStranded(ctx context.Context, rep *Report) error {
	tasks, err := r.db.Stranded(ctx, listBatch)
	if err != nil {
		return err
	}
	for _, n := range tasks {
		if err := r.requeue(ctx, rep, n); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reconciler) requeue(ctx context.Context, rep *Report, n meta.NewTask) error {
	var queued bool
	err := r.db.InTx(ctx, func(tx *meta.Tx) error {
		var err error
		queued, err = tx.Enqueue(n)
		return err
	})
	if err != nil {
		return r.failed(ctx, rep, "queue a task that was lost", err, "kind", n.Kind, "tenant", n.TenantID, "sha256", n.Subject)
	}
	if queued {
		rep.Requeued++
		r.log.Warn("queued a task that was lost", "kind", n.Kind, "tenant", n.TenantID, "sha256", n.Subject)
	}
	return nil
}

func (r *Reconciler) forget(ctx context.Context, _ *Report) error {
	now := meta.Now()
	if err := r.db.ForgetRuns(ctx, now.Add(-r.cfg.History)); err != nil {
		return err
	}
	if err := r.db.ForgetOperatorTraces(ctx, now); err != nil {
		return fmt.Errorf("traces of operators: %w", err)
	}
	return r.db.Forget(ctx, now.Add(-r.cfg.TaskHistory), now.Add(-r.cfg.EventHistory), now.Add(-r.cfg.IdempotencyTTL))
}
