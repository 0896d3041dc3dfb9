package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// parseTrashKey reads what storage.TrashKey made for the object of a blob; variants are made anew, nobody looks for them.
func parseTrashKey(key string) (storage.Key, bool) {
	rest, ok := strings.CutPrefix(key, storage.TrashPrefix)
	if !ok {
		return storage.Key{}, false
	}
	_, original, _ := strings.Cut(rest, "/")
	o, ok := storage.ParseKey(original)
	return o, ok && o.Preset == ""
}

// copied is an object that lies in the trash and still in its old place.
type copied struct {
	zone      storage.Zone
	key       string
	was, copy blob.Info
}

// copyToTrash is the first half of a move; remove is the other. A crash between leaves both, and a second attempt copies
// again. A *gone when the object is not there, or is so young that somebody may be about to write its row.
func (r *Reconciler) copyToTrash(ctx context.Context, zone storage.Zone, key string) (copied, error) {
	c := copied{zone: zone, key: key}
	var err error
	if c.was, err = r.zones.Of(zone).Stat(ctx, key); errors.Is(err, blob.ErrNotExist) {
		return c, &gone{"the object is gone"}
	}
	if err != nil {
		return c, fmt.Errorf("look at the object: %w", err)
	}
	if !r.old(c.was) {
		return c, &gone{"the object is young: a row may be about to come"}
	}
	return r.copyOver(ctx, c)
}

// copyOver is copyToTrash for an object whatever its age. The copy is as young as this call, also where the trash had the
// same bytes before: its time there begins anew.
func (r *Reconciler) copyOver(ctx context.Context, c copied) (copied, error) {
	zone, key, to := c.zone, c.key, storage.TrashKey(c.zone, c.key)
	there, err := r.zones.Quarantine.Stat(ctx, to)
	switch {
	case errors.Is(err, blob.ErrNotExist):
		err = nil
	case err == nil && there.Size != c.was.Size:
		return c, fmt.Errorf("the trash holds another object under %s", to)
	case err == nil:
		err = r.sameBytes(ctx, zone, key, to) // a crash came between the halves, or the same bytes were here before
	}
	if err == nil {
		err = r.zones.Quarantine.CopyFrom(ctx, r.zones.Of(zone), key, to)
	}
	if err != nil {
		return c, fmt.Errorf("copy to the trash: %w", err)
	}
	if c.copy, err = r.zones.Quarantine.Stat(ctx, to); err != nil {
		return c, fmt.Errorf("look at the copy in the trash: %w", err)
	}
	if c.copy.Size != c.was.Size {
		return c, fmt.Errorf("the copy in the trash has %d bytes instead of %d", c.copy.Size, c.was.Size)
	}
	return c, r.unlessPurged(ctx, c)
}

// unlessPurged takes back a copy that the purge of the tenant may have missed: one that begins later sees it. Under a
// tombstone only a late object is moved, not what the purge took meanwhile.
func (r *Reconciler) unlessPurged(ctx context.Context, c copied) error {
	o, _ := storage.ParseKey(c.key)
	row, err := r.db.Tenant(ctx, o.TenantID).Row()
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil // nobody's: it was never here
	case err != nil:
		return fmt.Errorf("look at the tenant: %w", err)
	}
	purged := row.Purging()
	if row.State == storage.TenantDeleted {
		_, err := r.zones.Of(c.zone).Stat(ctx, c.key)
		if purged = errors.Is(err, blob.ErrNotExist); err != nil && !purged {
			return fmt.Errorf("look at the object: %w", err)
		}
	}
	if !purged {
		return nil
	}
	if err := r.zones.Quarantine.Delete(ctx, storage.TrashKey(c.zone, c.key)); err != nil {
		return fmt.Errorf("take back the copy in the trash: %w", err)
	}
	return &gone{"the tenant is being purged"}
}

// sameBytes fails unless the trash holds the very bytes already.
func (r *Reconciler) sameBytes(ctx context.Context, zone storage.Zone, key, trashed string) error {
	one, err := blob.Digest(ctx, r.zones.Of(zone), key)
	if err != nil {
		return err
	}
	two, err := blob.Digest(ctx, r.zones.Quarantine, trashed)
	if err == nil && one != two {
		err = fmt.Errorf("the trash holds other bytes under %s", trashed)
	}
	return err
}

// remove deletes the original of a copy, unless it was replaced since: then it is young. A copy by a hard link makes its
// source as young as itself.
func (r *Reconciler) remove(ctx context.Context, c copied) error {
	now, err := r.zones.Of(c.zone).Stat(ctx, c.key)
	switch {
	case errors.Is(err, blob.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look at the object: %w", err)
	case now.Size != c.was.Size || !now.ModTime.Equal(c.was.ModTime) && !now.ModTime.Equal(c.copy.ModTime):
		return &gone{"the object was replaced: a row may be about to come"}
	}
	if err := r.zones.Of(c.zone).Delete(ctx, c.key); err != nil {
		return fmt.Errorf("remove the object: %w", err)
	}
	return nil
}

// purgeBatch is how many objects are purged before it is written down.
const purgeBatch = 100

// judging are the states of a full run that is not over: what it finds, or the person that it waits for, may want back
// what is in the trash.
var judging = []string{meta.RunRunning, meta.RunHeld, meta.RunConfirmed}

// judged reports whether no full run is open.
func (r *Reconciler) judged(ctx context.Context) (bool, error) {
	open, err := r.db.Runs(ctx, meta.RunFull, 1, judging...)
	if err != nil {
		return false, fmt.Errorf("look for runs that are not over: %w", err)
	}
	return len(open) == 0, nil
}

// purgeTrash removes what has been in the trash for long enough. What may be the only copy of somebody's file stays, and
// everything does while a full run is not over.
func (r *Reconciler) purgeTrash(ctx context.Context, rep *Report) error {
	if judged, err := r.judged(ctx); err != nil || !judged { // before the turn: the sweep after the run takes it
		return err
	}
	if r.cfg.PurgeEvery > 0 { // a listing of all that is there, for days that end once a day
		mine, err := r.db.TakeTurn(ctx, "turn.purge trash", meta.Now().Add(-r.cfg.PurgeEvery))
		if err != nil || !mine {
			return err
		}
	}
	var purged []blob.Info
	for info, err := range r.zones.Quarantine.List(ctx, storage.TrashPrefix, "") {
		if err != nil {
			return errors.Join(err, r.recordPurge(ctx, rep, purged))
		}
		if time.Since(info.ModTime) < r.cfg.Trash {
			continue
		}
		done, err := r.purge(ctx, info)
		if err != nil {
			if err := r.failed(ctx, rep, "purge an object from the trash", err, "key", info.Key); err != nil {
				return errors.Join(err, r.recordPurge(ctx, rep, purged))
			}
			continue
		}
		if done {
			purged = append(purged, info)
		}
		if len(purged) >= purgeBatch {
			if err := r.recordPurge(ctx, rep, purged); err != nil {
				return err
			}
			purged = nil
		}
	}
	return r.recordPurge(ctx, rep, purged)
}

// purge removes one object, and reports whether it did. A run may have begun since the last one.
func (r *Reconciler) purge(ctx context.Context, info blob.Info) (bool, error) {
	if judged, err := r.judged(ctx); err != nil || !judged {
		return false, err
	}
	if o, ok := parseTrashKey(info.Key); ok {
		needed, err := r.needed(ctx, o)
		if err != nil || needed {
			return false, err
		}
	}
	return true, r.zones.Quarantine.Delete(ctx, info.Key)
}

// needed reports whether what the trash has of a blob may be all there is: somebody has the file, and its bytes are not
// where a row says. Nobody need have noticed so far.
func (r *Reconciler) needed(ctx context.Context, o storage.Key) (bool, error) {
	tenant := r.db.Tenant(ctx, o.TenantID)
	if _, err := tenant.LiveAsset(o.SHA256); errors.Is(err, storage.ErrNotFound) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	b, known, err := tenant.BlobIfAny(o.SHA256)
	if err != nil || !known || b.Damage != "" {
		return true, err
	}
	home, _ := r.zonePlaces(b)
	size, err := r.sizeIn(ctx, home)
	return size != b.Size, err
}

// recordPurge counts and audits; that the client of a sweep has gone must not hide what it did.
func (r *Reconciler) recordPurge(ctx context.Context, rep *Report, purged []blob.Info) error {
	if len(purged) == 0 {
		return nil
	}
	for _, info := range purged {
		rep.Purged++
		rep.PurgedBytes += info.Size
	}
	return r.db.InTx(context.WithoutCancel(ctx), func(tx *meta.Tx) error {
		for _, info := range purged {
			o, _ := parseTrashKey(info.Key)
			if err := audit.Write(tx, audit.Entry{
				Actor: audit.Worker, TenantID: o.TenantID, Action: "trash.purge", Target: info.Key, Result: audit.OK,
				Data: map[string]any{"bytes": info.Size, "trashed_at": info.ModTime.UTC()},
			}); err != nil {
				return err
			}
		}
		return nil
	})
}
