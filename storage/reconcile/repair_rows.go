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

// remakeVariant takes back the row of a variant whose object is gone or not whole, and has it made anew. The media job is
// held off meanwhile: it would not notice, or do the same. As the job that this queues would keep the repair of the
// blob's next variant from its hold, all that the run found of them are taken back at once.
func remakeVariant(ctx context.Context, m *mending) (string, error) {
	b, err := m.blob(m.tenant(ctx))
	if err != nil {
		return "", err
	}
	kind, makes := storage.MediaTask(b.Category)
	if !makes {
		kind = storage.TaskImage // no job makes variants of it; to hold one costs nothing
	}
	task := meta.BlobTask(kind, b.TenantID, b.SHA256)
	// They are read before the hold, which is for seconds, and under the hold they must be what was read.
	lost, err := m.lostVariants(ctx)
	if err != nil {
		return "", err
	}
	still := func(ctx context.Context) error {
		for _, l := range lost {
			now, err := l.variantObject(ctx)
			if err != nil {
				return err
			}
			if now != l.read {
				return errMoved
			}
		}
		return nil
	}
	return m.whileHeld(ctx, task, still, nil, func(tx *meta.Tx) error {
		b, err := tx.Tenant(m.f.TenantID).LockBlob(m.f.SHA256)
		if err != nil {
			return err
		}
		bytes := int64(0)
		for _, l := range lost {
			if err := l.takeBackRow(tx); err != nil {
				return err
			}
			bytes += l.read.Size
		}
		if makes {
			if err := makeAnew(tx, b, task); err != nil {
				return err
			}
		}
		if err := m.ledger.Refund(tx, m.f.TenantID, bytes); err != nil {
			return err
		}
		for _, l := range lost[1:] { // the first one is m's own
			if err := l.end(tx, meta.FindingRepaired, "", nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// lostVariant is a variant to be taken back, with the finding that says so.
type lostVariant struct {
	*mending
	read variantState
}

// lostVariants are the finding's variant and those of the findings beside it. One that is in order by now, or cannot be
// read, is left to its own turn.
func (m *mending) lostVariants(ctx context.Context) ([]lostVariant, error) {
	read, err := m.variantLost(ctx)
	if err != nil {
		return nil, err
	}
	out := []lostVariant{{m, read}}
	for _, f := range m.beside {
		l := lostVariant{mending: &mending{Reconciler: m.Reconciler, guard: m.guard, f: f}}
		known := slices.ContainsFunc(out, func(o lostVariant) bool { return o.f.Preset == f.Preset })
		if l.read, err = l.variantLost(ctx); err == nil && !known {
			out = append(out, l)
		}
	}
	return out, nil
}

func (l lostVariant) takeBackRow(tx *meta.Tx) error {
	tenant := tx.Tenant(l.f.TenantID)
	v, err := tenant.Variant(l.f.SHA256, l.f.Preset)
	switch {
	case errors.Is(err, storage.ErrNotFound), err == nil && v != l.read.Variant:
		return errMoved
	case err != nil:
		return err
	}
	if _, err := tenant.DropVariant(v.SHA256, v.Preset); err != nil {
		return fmt.Errorf("drop the variant's row: %w", err)
	}
	return nil
}

// variantState is a variant's row with its object; size is -1 where there is none.
type variantState struct {
	meta.Variant
	size     int64
	modified time.Time
}

func (m *mending) variantObject(ctx context.Context) (variantState, error) {
	v, err := m.tenant(ctx).Variant(m.f.SHA256, m.f.Preset)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return variantState{}, &gone{"the variant's row is gone"}
	case err != nil:
		return variantState{}, err
	case v.Key() != m.f.ObjectKey:
		return variantState{}, &gone{"the variant's row is another one by now"}
	}
	info, err := m.zones.Clean.Stat(ctx, v.Key())
	switch {
	case errors.Is(err, blob.ErrNotExist):
		return variantState{Variant: v, size: -1}, nil
	case err != nil:
		return variantState{}, fmt.Errorf("look at the variant: %w", err)
	}
	return variantState{v, info.Size, info.ModTime.UTC()}, nil
}

// variantLost is what there is of a variant whose object is gone or not whole; a *gone when it is.
func (m *mending) variantLost(ctx context.Context) (variantState, error) {
	s, err := m.variantObject(ctx)
	if err == nil && s.size == s.Size {
		err = m.variantDigest(ctx, s.Variant)
	}
	return s, err
}

// variantDigest is for findings that say the bytes are others although they are as many.
func (m *mending) variantDigest(ctx context.Context, v meta.Variant) error {
	whole := &gone{"the variant's object is whole"}
	if m.f.Kind != storage.DriftDigest {
		return whole
	}
	digest, err := blob.Digest(ctx, m.zones.Clean, v.Key())
	switch {
	case err != nil && !errors.Is(err, blob.ErrNotExist):
		return fmt.Errorf("read the variant: %w", err)
	case err == nil && digest == v.Digest:
		return whole
	}
	return nil
}

// makeAnew queues the media task of a clean blob that has made its variants, or failed to. One that is in quarantine gets
// it with its verdict, and one that waits has a task.
func makeAnew(tx *meta.Tx, b meta.Blob, task meta.NewTask) error {
	if b.Zone != storage.ZoneClean || b.ScanStatus != storage.ScanClean || b.MediaStatus == storage.MediaNone {
		return nil
	}
	tenant := tx.Tenant(b.TenantID)
	if storage.CanMoveMedia(b.MediaStatus, storage.MediaPending) {
		if err := tenant.SetMedia(b.SHA256, b.Revision, storage.MediaPending, 0, nil); err != nil {
			return fmt.Errorf("make the variants anew: %w", err)
		}
		if err := tenant.RecordForBlob(b.SHA256, storage.EventMedia, map[string]any{"status": storage.MediaPending, "progress": 0}); err != nil {
			return err
		}
	}
	_, err := tx.Enqueue(task)
	return err
}

// dropVariantRow removes the row of a variant that has no original. Its object, if there is one, goes the way of orphans.
func dropVariantRow(ctx context.Context, m *mending) (string, error) {
	v, err := m.tenant(ctx).Variant(m.f.SHA256, m.f.Preset)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return "", &gone{"the variant's row is gone"}
	case err != nil:
		return "", err
	}
	m.f.ObjectKey, m.f.Zone = v.Key(), storage.ZoneClean
	err = m.claimAndTrash(ctx)
	_, none := errors.AsType[*gone](err)
	switch {
	case none:
		if err := m.claimDigest(ctx); err != nil { // no object, or one that was put just now
			return "", err
		}
	case err != nil:
		return "", err
	default:
		if err := m.settle(ctx); err != nil {
			return "", err
		}
	}
	return m.commit(ctx, map[string]any{"bytes": v.Size}, func(tx *meta.Tx) error {
		if _, err := tx.Tenant(m.f.TenantID).DropVariant(v.SHA256, v.Preset); err != nil {
			return fmt.Errorf("drop the variant's row: %w", err)
		}
		if err := tx.EndClaim(m.f.TenantID, m.f.SHA256); err != nil {
			return err
		}
		return m.correct(tx)
	})
}

// setLedger writes what the tenant's rows add up to.
func setLedger(ctx context.Context, m *mending) (string, error) {
	data := map[string]any{}
	return m.commit(ctx, data, func(tx *meta.Tx) error {
		before, after, err := m.ledger.Correct(tx, m.f.TenantID)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			return &gone{"there is no such tenant any more"}
		case err != nil:
			return err
		case before == after:
			return &gone{"the ledger is in order"}
		}
		data["before"], data["after"] = before, after
		return nil
	})
}

// setReferences writes how many assets the blob has. Whoever links or deletes locks the blob's row first, as this does.
func setReferences(ctx context.Context, m *mending) (string, error) {
	data := map[string]any{}
	return m.commit(ctx, data, func(tx *meta.Tx) error {
		tenant := tx.Tenant(m.f.TenantID)
		if _, err := tenant.LockBlob(m.f.SHA256); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		b, err := m.blob(tenant)
		if err != nil {
			return err
		}
		refs, err := tenant.References(b.SHA256)
		switch {
		case err != nil:
			return err
		case refs == b.Refs && (refs > 0 || b.UnreferencedAt > 0):
			return &gone{"the count of references is right"}
		}
		data["before"], data["after"] = b.Refs, refs
		return tenant.SetReferences(b.SHA256, b.Revision, refs)
	})
}

// queueTask queues what the blob waits for, if nobody has.
func queueTask(ctx context.Context, m *mending) (string, error) {
	data := map[string]any{}
	return m.commit(ctx, data, func(tx *meta.Tx) error {
		tenant := tx.Tenant(m.f.TenantID)
		b, err := m.blob(tenant)
		if err != nil {
			return err
		}
		kind, waits := b.WaitsFor()
		if !waits {
			return &gone{"the blob waits for nothing"}
		}
		open, err := tenant.OpenTask(kind, b.SHA256)
		if err != nil {
			return err
		}
		if !open {
			if open, err = tx.Enqueue(meta.BlobTask(kind, b.TenantID, b.SHA256)); err != nil {
				return err
			}
			open = !open
		}
		if open {
			return &gone{"there is a task"}
		}
		data["task"] = kind
		return nil
	})
}

// dropReservation drops a reservation whose time is over; the key of the finding is its id.
func dropReservation(ctx context.Context, m *mending) (string, error) {
	return m.commit(ctx, nil, func(tx *meta.Tx) error {
		n, err := tx.Exec(`DELETE FROM reservations WHERE id = ? AND tenant_id = ? AND expires_at < (`+tx.Dialect().Epoch()+`) * 1000000`,
			m.f.ObjectKey, m.f.TenantID)
		if err != nil {
			return fmt.Errorf("drop the reservation: %w", err)
		}
		if n == 0 {
			return &gone{"the reservation is gone or alive"}
		}
		return m.correct(tx)
	})
}

// correct sets the tenant's ledger to what its rows are by now; rows may be of a tenant that is no more.
func (m *mending) correct(tx *meta.Tx) error {
	_, _, err := m.ledger.Correct(tx, m.f.TenantID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}
