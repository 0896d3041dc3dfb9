package reconcile

import (
	"context"
	"errors"
	"fmt"
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
	for _, zone := range []storage.Zone{storage.ZoneQuarantine, storage.ZoneClean} {
		if err := r.walk(ctx, rep, zone); err != nil {
			return fmt.Errorf("zone %s: %w", zone, err)
		}
	}
	return nil
}

func (r *Reconciler) walk(ctx context.Context, rep *Report, zone storage.Zone) error {
	var batch []family
	size := 0
	for info, err := range r.zones.Of(zone).List(ctx, "", "") {
		if err != nil {
			return err
		}
		o, ours := parseKey(info.Key)
		if !ours {
			rep.Foreign++
			r.log.Warn("sweep: an object that is none of ours", "zone", zone, "key", info.Key)
			continue
		}
		if !r.old(info) {
			continue
		}
		last := len(batch) - 1
		if last >= 0 && batch[last].tenantID == o.tenantID && batch[last].sha256 == o.sha256 {
			batch[last].objects = append(batch[last].objects, o)
			size++
			continue
		}
		if last >= 0 && (size >= listBatch || batch[last].tenantID != o.tenantID) {
			if err := r.examine(ctx, rep, zone, batch); err != nil {
				return err
			}
			batch, size = nil, 0
		}
		batch = append(batch, family{o.tenantID, o.sha256, []object{o}})
		size++
	}
	return r.examine(ctx, rep, zone, batch)
}

// old reports whether an object has outlived the grace that every writer has to write its row.
func (r *Reconciler) old(info blob.Info) bool {
	return time.Since(info.ModTime) >= r.cfg.OrphanGrace
}

// examine compares families of one tenant with the rows.
func (r *Reconciler) examine(ctx context.Context, rep *Report, zone storage.Zone, batch []family) error {
	if len(batch) == 0 {
		return nil
	}
	tenant := r.db.Tenant(ctx, batch[0].tenantID)
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
		variants[storage.VariantKey(v.TenantID, v.SHA256, v.Preset, v.Ext)] = true
	}
	var orphans []family
	for _, f := range batch {
		b, known := rows[f.sha256]
		switch {
		case !known:
			orphans = append(orphans, f)
		case b.Sweeping: // somebody is at it
		case b.Zone != zone:
			err = r.removeMisplaced(ctx, rep, zone, f)
		default:
			var strays []object
			for _, o := range f.objects {
				if o.preset != "" && !variants[o.key] {
					strays = append(strays, o)
				}
			}
			f.objects = strays
			err = r.removeStrays(ctx, rep, zone, f)
		}
		if err != nil {
			return err
		}
	}
	for len(orphans) > 0 {
		n := min(claimBatch, len(orphans))
		if err := r.removeUnknown(ctx, rep, zone, orphans[:n]); err != nil {
			return err
		}
		orphans = orphans[n:]
	}
	return nil
}

// removeUnknown deletes objects without a row, under claims.
func (r *Reconciler) removeUnknown(ctx context.Context, rep *Report, zone storage.Zone, batch []family) error {
	began := time.Now()
	var claimed []family
	for _, f := range batch {
		if time.Since(began) > batchTime/4 {
			break
		}
		ok, err := r.claimOrphan(ctx, f)
		if err != nil {
			return err
		}
		if ok {
			claimed = append(claimed, f)
		}
	}
	done, err := r.deleteClaimed(ctx, rep, zone, claimed)
	return errors.Join(err, r.endOrphanClaims(ctx, done))
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
func (r *Reconciler) endOrphanClaims(ctx context.Context, done []family) error {
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
			return fmt.Errorf("end the claim of an orphan: %w", err)
		}
	}
	return nil
}
