package reconcile

import (
	"context"
	"errors"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// holdLease is how long a task may be held; deletions under it are cut well before.
const (
	holdLease = time.Minute
	holdTime  = 20 * time.Second
)

// removeMisplaced deletes a blob's objects from the zone where its row does not say it is. A scan copies a blob
// before it moves the row, so the row alone proves nothing: the scan's task is held meanwhile.
func (r *Reconciler) removeMisplaced(ctx context.Context, rep *Report, zone storage.Zone, f family) error {
	return r.whileHeld(ctx, rep, meta.BlobTask(storage.TaskScan, f.tenantID, f.sha256), func(ctx context.Context) error {
		b, err := r.db.Tenant(ctx, f.tenantID).Blob(f.sha256)
		if errors.Is(err, storage.ErrNotFound) || (err == nil && (b.Sweeping || b.Zone == zone)) {
			return nil
		}
		if err != nil {
			return err
		}
		n, err := r.deleteOld(ctx, zone, f.objects)
		rep.Misplaced += n
		return err
	})
}

// removeStrays deletes variants of a clean blob that no row speaks of. The media job of its category puts them before
// their rows, so its task is held meanwhile.
func (r *Reconciler) removeStrays(ctx context.Context, rep *Report, zone storage.Zone, category storage.Category, f family) error {
	if len(f.objects) == 0 {
		return nil
	}
	kind, ok := storage.MediaTask(category)
	if !ok {
		kind = storage.TaskImage // no job puts variants of it
	}
	return r.whileHeld(ctx, rep, meta.BlobTask(kind, f.tenantID, f.sha256), func(ctx context.Context) error {
		tenant := r.db.Tenant(ctx, f.tenantID)
		var strays []object
		for _, o := range f.objects {
			v, err := tenant.Variant(f.sha256, o.preset)
			switch {
			case errors.Is(err, storage.ErrNotFound) || err == nil && v.Key() != o.key:
				strays = append(strays, o)
			case err != nil:
				return err
			}
		}
		n, err := r.deleteOld(ctx, zone, strays)
		rep.Strays += n
		return err
	})
}

// whileHeld does something while no task of that kind can run about that blob; when one is open already it does
// nothing, and the next sweep tries again. A task that somebody wanted to queue meanwhile is found by
// requeueStranded.
func (r *Reconciler) whileHeld(ctx context.Context, rep *Report, n meta.NewTask, do func(context.Context) error) error {
	lease, held, err := r.db.Hold(ctx, n, "sweeper", holdLease)
	if err != nil || !held {
		return err
	}
	dctx, cancel := context.WithTimeout(ctx, holdTime)
	defer cancel()
	problem := do(dctx)
	err = r.db.InTx(context.WithoutCancel(ctx), func(tx *meta.Tx) error { return tx.Finish(lease) })
	if errors.Is(err, meta.ErrLeaseLost) {
		err = nil // the reaper has made it an ordinary task
	}
	if problem != nil {
		return errors.Join(err, r.failed(ctx, rep, "remove a stray object", problem, "tenant", n.TenantID, "sha256", n.Subject))
	}
	return err
}
