package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// family is the objects of one digest in one zone that are old enough to be orphans: the blob's own and its
// variants, which follow each other in the order of keys.
type family struct {
	tenantID, sha256 string
	objects          []object
}

// removeOrphans walks both zones in one stream each. The stream covers all tenants, those without a row too.
func (r *Reconciler) removeOrphans(ctx context.Context, rep *Report) error {
	var errs []error
	for _, zone := range []storage.Zone{storage.ZoneQuarantine, storage.ZoneClean} {
		w := walk{Reconciler: r, rep: rep, zone: zone}
		if err := w.all(ctx); err != nil {
			errs = append(errs, fmt.Errorf("zone %s: %w", zone, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// walk is one pass over a zone.
type walk struct {
	*Reconciler
	rep  *Report
	zone storage.Zone
	// batch is what is to be compared with the rows next, size how many objects it has.
	batch []family
	size  int
	// orphans wait until they are enough for a batch of claims: each batch costs the time to settle.
	orphans []family
}

func (w *walk) all(ctx context.Context) error {
	err := w.list(ctx)
	// What was seen before a listing broke off is worth looking at all the same.
	return errors.Join(err, w.examine(ctx), w.removeUnknown(ctx))
}

func (w *walk) list(ctx context.Context) error {
	for info, err := range w.zones.Of(w.zone).List(ctx, "", "") {
		if err != nil {
			return err
		}
		o, ours := parseKey(info.Key)
		if strings.HasPrefix(info.Key, trashPrefix) {
			continue
		}
		if !ours {
			w.rep.Foreign++
			w.log.Warn("sweep: an object that is none of ours", "zone", w.zone, "key", info.Key)
			continue
		}
		if !w.old(info) {
			continue
		}
		if err := w.add(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// add takes an object to its family. A batch never ends within a family.
func (w *walk) add(ctx context.Context, o object) error {
	w.size++
	if last := len(w.batch) - 1; last >= 0 && w.batch[last].tenantID == o.tenantID && w.batch[last].sha256 == o.sha256 {
		w.batch[last].objects = append(w.batch[last].objects, o)
		return nil
	}
	if w.size > listBatch {
		if err := w.examine(ctx); err != nil {
			return err
		}
		w.size = 1
	}
	w.batch = append(w.batch, family{o.tenantID, o.sha256, []object{o}})
	return nil
}

// old reports whether an object has outlived the grace that every writer has to write its row.
func (r *Reconciler) old(info blob.Info) bool {
	return time.Since(info.ModTime) >= r.cfg.OrphanGrace
}

// examine compares the batch with the rows, tenant by tenant.
func (w *walk) examine(ctx context.Context) error {
	batch := w.batch
	w.batch, w.size = nil, 0
	for len(batch) > 0 {
		n := 1
		for n < len(batch) && batch[n].tenantID == batch[0].tenantID {
			n++
		}
		if err := w.compare(ctx, batch[:n]); err != nil {
			err = w.failed(ctx, w.rep, "compare objects with their rows", err, "zone", w.zone, "tenant", batch[0].tenantID)
			if err != nil {
				return err
			}
		}
		batch = batch[n:]
		if len(w.orphans) >= claimBatch {
			if err := w.removeUnknown(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare looks at families of one tenant.
func (w *walk) compare(ctx context.Context, batch []family) error {
	tenant := w.db.Tenant(ctx, batch[0].tenantID)
	digests := make([]string, 0, len(batch))
	for _, f := range batch {
		digests = append(digests, f.sha256)
	}
	rows, err := tenant.BlobsIn(digests)
	if err != nil {
		return err
	}
	list, err := tenant.VariantsIn(digests)
	if err != nil {
		return err
	}
	variants := make(map[string]bool, len(list))
	for _, v := range list {
		variants[v.Key()] = true
	}
	for _, f := range batch {
		b, known := rows[f.sha256]
		switch {
		case !known:
			w.orphans = append(w.orphans, f)
		case b.Sweeping: // somebody is at it
		case b.Zone != w.zone:
			err = w.removeMisplaced(ctx, w.rep, w.zone, f)
		default:
			f.objects = slices.DeleteFunc(f.objects, func(o object) bool { return o.preset == "" || variants[o.key] })
			err = w.removeStrays(ctx, w.rep, w.zone, b.Category, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeUnknown deletes the objects without a row, under claims.
func (w *walk) removeUnknown(ctx context.Context) error {
	orphans := w.orphans
	w.orphans = nil
	for batch := range slices.Chunk(orphans, claimBatch) {
		began := time.Now()
		var claimed []family
		var problem error
		for _, f := range batch {
			if time.Since(began) > batchTime/4 {
				break
			}
			ok, err := w.claimOrphan(ctx, f)
			if err != nil {
				problem = err
				break
			}
			if ok {
				claimed = append(claimed, f)
			}
		}
		done, err := w.deleteClaimed(ctx, w.rep, w.zone, claimed)
		if err := errors.Join(problem, err, w.endOrphanClaims(ctx, w.rep, done)); err != nil {
			return err
		}
	}
	return nil
}

// claimOrphan makes uploads of the same bytes wait; it reports false when there is a row by now.
func (r *Reconciler) claimOrphan(ctx context.Context, f family) (bool, error) {
	var ok bool
	err := r.db.InTx(ctx, func(tx *meta.Tx) error {
		var err error
		ok, err = tx.ClaimOrphan(f.tenantID, f.sha256)
		return err
	})
	return ok, err
}

// deleteClaimed deletes what is still old, and returns the families whose claim can end.
func (r *Reconciler) deleteClaimed(ctx context.Context, rep *Report, zone storage.Zone, claimed []family) ([]family, error) {
	ctx, cancel := context.WithTimeout(ctx, batchTime)
	defer cancel()
	var done []family
	for _, f := range claimed {
		n, err := r.deleteOld(ctx, zone, f.objects)
		rep.Orphans += n
		if err != nil {
			if err := r.failed(ctx, rep, "remove an orphan", err, "tenant", f.tenantID, "sha256", f.sha256); err != nil {
				return done, err
			}
			continue
		}
		done = append(done, f)
	}
	return done, nil
}

// deleteOld deletes those of the objects that are still old, and returns how many.
func (r *Reconciler) deleteOld(ctx context.Context, zone storage.Zone, objects []object) (int, error) {
	n := 0
	for _, o := range objects {
		info, err := r.zones.Of(zone).Stat(ctx, o.key)
		switch {
		case errors.Is(err, blob.ErrNotExist):
			continue
		case err != nil:
			return n, err
		case !r.old(info):
			continue
		}
		if err := r.zones.Of(zone).Delete(ctx, o.key); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// endOrphanClaims removes the rows that were made for the claims, after they have settled.
func (r *Reconciler) endOrphanClaims(ctx context.Context, rep *Report, done []family) error {
	if len(done) == 0 {
		return nil
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	for _, f := range done {
		err := r.db.InTx(ctx, func(tx *meta.Tx) error {
			_, err := tx.EndSweep(f.tenantID, f.sha256) // such a row counts no bytes
			return err
		})
		if err != nil {
			if err := r.failed(ctx, rep, "end the claim of an orphan", err, "tenant", f.tenantID, "sha256", f.sha256); err != nil {
				return err
			}
		}
	}
	return nil
}
