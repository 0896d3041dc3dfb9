package reconcile

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// place is where a blob's bytes may lie.
type place struct {
	zone storage.Zone
	key  string
	// name is for the audit log.
	name string
}

// places lists where a blob's bytes may lie: its zones, and what the trash has of them.
func (r *Reconciler) places(tenantID, sha256 string) []place {
	key := storage.BlobKey(tenantID, sha256)
	return []place{
		{storage.ZoneQuarantine, key, string(storage.ZoneQuarantine)},
		{storage.ZoneClean, key, string(storage.ZoneClean)},
		{storage.ZoneQuarantine, storage.TrashKey(storage.ZoneQuarantine, key), "trash"},
		{storage.ZoneQuarantine, storage.TrashKey(storage.ZoneClean, key), "trash"},
	}
}

// sizeIn is the size of the blob's object in a zone, -1 when there is none.
func (r *Reconciler) sizeIn(ctx context.Context, p place) (int64, error) {
	info, err := r.zones.Of(p.zone).Stat(ctx, p.key)
	switch {
	case errors.Is(err, blob.ErrNotExist):
		return -1, nil
	case err != nil:
		return -1, fmt.Errorf("look for the blob's bytes: %w", err)
	}
	return info.Size, nil
}

// find looks for bytes that have the blob's size and digest, and reads them to be sure.
func (r *Reconciler) find(ctx context.Context, tenantID, sha256 string, size int64) (place, bool, error) {
	for _, p := range r.places(tenantID, sha256) {
		there, err := r.sizeIn(ctx, p)
		if err != nil {
			return p, false, err
		}
		if there != size {
			continue
		}
		digest, err := blob.Digest(ctx, r.zones.Of(p.zone), p.key)
		switch {
		case errors.Is(err, blob.ErrNotExist):
			continue
		case err != nil:
			return p, false, fmt.Errorf("read what turned up: %w", err)
		case digest == sha256:
			return p, true, nil
		}
	}
	return place{}, false, nil
}

// turnedUp reports whether a damaged blob's bytes may be found again, so that to heal it is worth a try. It looks and does
// not read. A blob whose scan is under way heals by itself.
func (r *Reconciler) turnedUp(ctx context.Context, b meta.Blob) (bool, error) {
	tasks, err := r.db.Tenant(ctx, b.TenantID).TasksAbout(b.SHA256)
	if err != nil {
		return false, err
	}
	for _, t := range tasks {
		if t.Kind == storage.TaskScan && (t.State == storage.TaskQueued || t.State == storage.TaskRunning) {
			return false, nil
		}
	}
	for _, p := range r.places(b.TenantID, b.SHA256) {
		info, err := r.zones.Of(p.zone).Stat(ctx, p.key)
		switch {
		case errors.Is(err, blob.ErrNotExist):
			continue
		case err != nil:
			return false, fmt.Errorf("look for the blob's bytes: %w", err)
		}
		// Of wrong bytes with the right size it is known in which zone they lie, unless they were replaced.
		known := b.Damage == storage.DamageDigest && p.zone == b.Zone && p.key == storage.BlobKey(b.TenantID, b.SHA256) && meta.StampOf(info.ModTime) < b.DamagedAt
		if info.Size == b.Size && !known {
			return true, nil
		}
	}
	return false, nil
}

// markDamaged writes down what is wrong with a blob's bytes. Should the right ones lie in another place, in the other zone
// or in the trash, a scan takes them from there, or the blob begins to heal at once.
func markDamaged(ctx context.Context, m *mending) (string, error) {
	b, err := m.blob(m.tenant(ctx))
	if err != nil {
		return "", err
	}
	damage, err := m.damageOf(ctx, b)
	switch {
	case errors.Is(err, errElsewhere):
		return m.scanThere(ctx, b)
	case err != nil:
		return "", err
	case damage == "" && m.f.Repair == storage.RepairRescan && b.ScanStatus == storage.ScanInfected: // a run that was cut off had brought them
		return m.leaveOther(ctx, b)
	case damage == "":
		return "", errInOrder
	case damage == b.Damage:
		return "", &gone{"the blob is marked already"}
	}
	p, found, err := m.bring(ctx, b.SHA256, b.Size)
	if err != nil {
		return "", err
	}
	data, state := map[string]any{"damage": damage}, meta.FindingMarked
	if found {
		data["from"], state = p.name, meta.FindingRepaired
	}
	return m.commitAs(ctx, state, data, func(tx *meta.Tx) error {
		tenant, err := m.same(tx, b)
		if err != nil {
			return err
		}
		if err := tenant.MarkDamaged(b.SHA256, b.Revision, damage); err != nil || !found {
			return err
		}
		return tx.Heal(b, b.Revision+1)
	})
}

// damageOf looks at a blob's object in both zones, that of its row first: a scan that moves the blob copies before it
// deletes, so the bytes are always in one of them. Bytes of the right size are read only when their digest is in doubt.
func (m *mending) damageOf(ctx context.Context, b meta.Blob) (storage.Damage, error) {
	home, other := m.zonePlaces(b)
	here, err := m.sizeIn(ctx, home)
	if err != nil {
		return "", err
	}
	if here == b.Size {
		if m.f.Kind == storage.DriftDigest {
			return m.digestDamage(ctx, b, home)
		}
		return "", nil
	}
	damage := storage.DamageMissing
	if here >= 0 {
		damage = storage.DamageSize
	}
	there, err := m.sizeIn(ctx, other)
	if err != nil || there != b.Size {
		return damage, err
	}
	wrong, err := m.digestDamage(ctx, b, other)
	if err == nil && wrong == "" {
		err = errElsewhere
	}
	return damage, err
}

// errInOrder ends a finding about a blob that has been mended meanwhile.
var errInOrder = &gone{"the blob's bytes are in order"}

// errElsewhere says that a blob's bytes are in the other zone than its row says.
var errElsewhere = &gone{"the blob's bytes are in the other zone: a scan takes them from there"}

// zonePlaces are the zone that a blob's row names, and the other one.
func (r *Reconciler) zonePlaces(b meta.Blob) (home, other place) {
	p := r.places(b.TenantID, b.SHA256)
	if b.Zone == storage.ZoneQuarantine {
		return p[0], p[1]
	}
	return p[1], p[0]
}

func (m *mending) digestDamage(ctx context.Context, b meta.Blob, p place) (storage.Damage, error) {
	digest, err := blob.Digest(ctx, m.zones.Of(p.zone), p.key)
	switch {
	case errors.Is(err, blob.ErrNotExist):
		return "", errMoved
	case err != nil:
		return "", fmt.Errorf("read the blob: %w", err)
	case digest != b.SHA256:
		return storage.DamageDigest, nil
	}
	return "", nil
}

// heal puts bytes that turned up again into quarantine, from where only a scan takes them; infected ones stay there. Whatever lies in
// the clean zone stays until the scan has decided.
func heal(ctx context.Context, m *mending) (string, error) {
	b, err := m.blob(m.tenant(ctx))
	switch {
	case err != nil:
		return "", err
	case b.Damage == "":
		return "", &gone{"the blob is in order"}
	case b.Refs == 0:
		return "", &gone{"nobody refers to the blob any more"}
	}
	p, found, err := m.bring(ctx, b.SHA256, b.Size)
	switch {
	case err != nil:
		return "", err
	case !found:
		return "", &left{"what turned up are not the blob's bytes"}
	}
	return m.commit(ctx, map[string]any{"from": p.name, "damage": b.Damage}, func(tx *meta.Tx) error {
		if _, err := m.same(tx, b); err != nil {
			return err
		}
		return tx.Heal(b, b.Revision)
	})
}

// bring finds a blob's bytes and copies them into quarantine.
func (m *mending) bring(ctx context.Context, sha256 string, size int64) (place, bool, error) {
	p, found, err := m.find(ctx, m.f.TenantID, sha256, size)
	if err != nil || !found {
		return p, false, err
	}
	key := storage.BlobKey(m.f.TenantID, sha256)
	if p.zone == storage.ZoneQuarantine && p.key == key {
		return p, true, nil
	}
	if err := m.zones.Quarantine.CopyFrom(ctx, m.zones.Of(p.zone), p.key, key); err != nil {
		return p, false, fmt.Errorf("copy what turned up into quarantine: %w", err)
	}
	err = m.outlived(m.tenant(ctx))
	if _, purged := errors.AsType[*gone](err); purged { // the purge may have been here already
		err = errors.Join(err, m.zones.Quarantine.Delete(ctx, key))
	}
	if err != nil {
		return p, false, err
	}
	return p, true, nil
}

// rescan is for a blob whose object lies in the other zone only; by now its bytes may be gone, or they may be wrong.
func rescan(ctx context.Context, m *mending) (string, error) { return markDamaged(ctx, m) }

// scanThere queues a scan for a blob whose right bytes lie in the other zone only. Those of an infected one are taken back.
func (m *mending) scanThere(ctx context.Context, b meta.Blob) (string, error) {
	if b.ScanStatus == storage.ScanInfected {
		return m.takeBack(ctx, b)
	}
	return m.commit(ctx, nil, func(tx *meta.Tx) error {
		if _, err := m.same(tx, b); err != nil {
			return err
		}
		queued, err := tx.Enqueue(meta.BlobTask(storage.TaskScan, b.TenantID, b.SHA256))
		if err == nil && !queued {
			err = &gone{"a scan of the blob is open: it takes the bytes from where they are"}
		}
		return err
	})
}

// remakeRow makes the row of a blob anew from an asset that speaks of it. Nothing is known of a verdict, so the blob is as
// if it had just been uploaded. Where the bytes are gone too, the row says so.
func remakeRow(ctx context.Context, m *mending) (string, error) {
	tenant := m.tenant(ctx)
	a, err := tenant.LiveAsset(m.f.SHA256)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return "", &gone{"no asset speaks of the digest any more"}
	case err != nil:
		return "", err
	}
	switch b, known, err := tenant.BlobIfAny(m.f.SHA256); {
	case err != nil:
		return "", err
	case known && b.OnlyClaim():
		return "", errors.New("somebody else has claimed the digest; the next run looks again")
	case known:
		return "", &gone{"the blob has a row again"}
	}
	p, found, err := m.bring(ctx, a.SHA256, a.Size)
	if err != nil {
		return "", err
	}
	state := meta.FindingMarked
	if found {
		state = meta.FindingRepaired
	}
	return m.commitAs(ctx, state, map[string]any{"from": p.name, "size": a.Size}, func(tx *meta.Tx) error {
		tenant := tx.Tenant(m.f.TenantID)
		if err := m.insertBlob(tenant, a, found); err != nil {
			return err
		}
		if found {
			if _, err := tx.Enqueue(meta.BlobTask(storage.TaskScan, m.f.TenantID, a.SHA256)); err != nil {
				return err
			}
		}
		return m.correct(tx)
	})
}

// insertBlob writes the row. References are counted after it is there and locked: whoever adds or drops one waits.
func (m *mending) insertBlob(tenant meta.Tenant, a meta.Asset, found bool) error {
	now := meta.Now()
	b := meta.Blob{
		SHA256: a.SHA256, Size: a.Size, MediaType: a.MediaType, Category: a.Category, Zone: storage.ZoneQuarantine, Refs: 1,
		ScanStatus: storage.ScanPending, MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
	}
	if !found {
		b.Damage, b.DamagedAt = storage.DamageMissing, now
	}
	created, err := tenant.CreateBlob(&b)
	if err != nil {
		return fmt.Errorf("create the blob's row: %w", err)
	}
	if !created {
		return errMoved
	}
	refs, err := tenant.References(a.SHA256)
	if err != nil {
		return err
	}
	if refs == 0 {
		return &gone{"no asset speaks of the digest any more"}
	}
	if err := tenant.SetReferences(a.SHA256, 0, refs); err != nil {
		return err
	}
	if found {
		return nil
	}
	return tenant.RecordForBlob(a.SHA256, storage.EventDamaged, map[string]any{"damage": storage.DamageMissing})
}
