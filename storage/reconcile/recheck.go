package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// recheckTries is how often a digest is looked at again whose rows move on meanwhile: somebody is at work on it, and a
// later run finds what is left.
const recheckTries = 3

// suspect is a digest with what a first look found.
type suspect struct {
	*kin
	found []meta.ReconcileFinding
}

// recheck looks again at what the streams made suspicious, and returns what is so beyond doubt. The streams read rows
// and objects at different times, minutes apart perhaps; here the rows are read, then the objects, then the rows again,
// and nothing counts unless the rows stayed what they were: a row that is there and does not change while its object is
// not there is a loss, however young it is, because objects come before rows and go only under a claim, which changes
// the row. The two looks must also agree.
func (r *Reconciler) recheck(ctx context.Context, list []suspect) ([]meta.ReconcileFinding, error) {
	var out []meta.ReconcileFinding
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].tenantID == list[0].tenantID {
			n++
		}
		sure, err := r.recheckTenant(ctx, list[0].tenantID, list[:n])
		if err != nil {
			return nil, fmt.Errorf("look again: %w", err)
		}
		out = append(out, sure...)
		list = list[n:]
	}
	return out, nil
}

func (r *Reconciler) recheckTenant(ctx context.Context, tenantID string, list []suspect) ([]meta.ReconcileFinding, error) {
	var out []meta.ReconcileFinding
	tenant := r.db.Tenant(ctx, tenantID)
	for range recheckTries {
		digests := make([]string, 0, len(list))
		for _, s := range list {
			digests = append(digests, s.sha256)
		}
		before, err := tenant.Families(digests)
		if err != nil {
			return nil, err
		}
		looked := make([]*kin, 0, len(list))
		for _, s := range list {
			k, err := r.look(ctx, s, before[s.sha256])
			if err != nil {
				return nil, err
			}
			looked = append(looked, k)
		}
		after, err := tenant.Families(digests)
		if err != nil {
			return nil, err
		}
		var moved []suspect
		for i, s := range list {
			if !same(before[s.sha256], after[s.sha256]) {
				moved = append(moved, s)
				continue
			}
			sure := agreed(s.found, looked[i].judge(r.old), after[s.sha256])
			if err := r.planHealing(ctx, sure, after[s.sha256].Blob); err != nil {
				return nil, err
			}
			out = append(out, sure...)
		}
		if list = moved; len(list) == 0 {
			break
		}
	}
	return out, nil
}

// planHealing plans to heal a blob that is known to be damaged when bytes have turned up that may be its own.
func (r *Reconciler) planHealing(ctx context.Context, found []meta.ReconcileFinding, b *meta.Blob) error {
	if b == nil || b.Damage == "" {
		return nil
	}
	for i, f := range found {
		if f.Preset != "" || f.Kind != damages[b.Damage] {
			continue
		}
		up, err := r.turnedUp(ctx, *b)
		if err != nil {
			return err
		}
		if up {
			found[i].Repair = storage.RepairHeal
		}
	}
	return nil
}

// look reads the objects of one digest: those that were listed, and those its rows speak of.
func (r *Reconciler) look(ctx context.Context, s suspect, rows *meta.FamilyRows) (*kin, error) {
	k := &kin{key: s.key, tenantID: s.tenantID, sha256: s.sha256, objects: map[storage.Zone][]listed{}}
	keys := map[storage.Zone]map[string]bool{storage.ZoneQuarantine: {s.key: true}, storage.ZoneClean: {s.key: true}}
	for zone, objects := range s.objects {
		for _, o := range objects {
			keys[zone][o.Key] = true
		}
	}
	if b := rows.Blob; b != nil {
		k.blob = &meta.BlobLine{
			TenantID: b.TenantID, SHA256: b.SHA256, Size: b.Size, Zone: b.Zone, Category: b.Category, Refs: b.Refs,
			Sweeping: b.Sweeping, Damage: b.Damage, Revision: b.Revision,
		}
	}
	for _, v := range rows.Variants {
		line := meta.VariantLine{TenantID: v.TenantID, SHA256: v.SHA256, Preset: v.Preset, KeyTag: v.KeyTag, Ext: v.Ext, Size: v.Size}
		k.variants = append(k.variants, line)
		keys[storage.ZoneClean][line.Key()] = true
	}
	for _, zone := range bothZones {
		for key := range keys[zone] {
			info, err := r.zones.Of(zone).Stat(ctx, key)
			if errors.Is(err, blob.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			k.objects[zone] = append(k.objects[zone], seen(info))
		}
	}
	return k, nil
}

// same reports whether rows stayed what they were between two reads.
func same(a, b *meta.FamilyRows) bool {
	switch {
	case a.Assets != b.Assets || a.Busy != b.Busy || (a.Blob == nil) != (b.Blob == nil) || len(a.Variants) != len(b.Variants):
		return false
	case a.Blob != nil && (a.Blob.Revision != b.Blob.Revision || a.Blob.CreatedAt != b.Blob.CreatedAt || a.Blob.Sweeping != b.Blob.Sweeping):
		return false
	}
	for _, v := range a.Variants {
		if !slices.Contains(b.Variants, v) {
			return false
		}
	}
	return true
}

// agreed is what both looks found and nobody is at work on.
func agreed(first, second []meta.ReconcileFinding, rows *meta.FamilyRows) []meta.ReconcileFinding {
	if rows.Blob != nil && !rows.Assets {
		return nil // nobody has the file: the sweeper takes all of it. A wrong count of references is found among the rows
	}
	var out []meta.ReconcileFinding
	for _, f := range second {
		twice := slices.ContainsFunc(first, func(g meta.ReconcileFinding) bool {
			return g.Kind == f.Kind && g.Zone == f.Zone && g.ObjectKey == f.ObjectKey && g.Repair == f.Repair
		})
		switch f.Kind {
		case storage.DriftOrphan:
			// An asset speaks of it: its blob's row is what was lost (asset_without_blob).
			twice = twice && !rows.Assets
		case storage.DriftZone, storage.DriftStray, storage.DriftVariantMissing:
			// A scan or a media job is about to move, publish or replace these. A blob's only object it leaves where the
			// row says.
			twice = twice && (!rows.Busy || f.Repair == storage.RepairRescan)
		}
		if twice {
			out = append(out, f)
		}
	}
	return out
}

// old reports whether an object has outlived the grace that every writer has to write its row.
func (r *Reconciler) old(info blob.Info) bool {
	return time.Since(info.ModTime) >= r.cfg.OrphanGrace
}
