package tenancy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// Errors that ask for a later attempt, with nothing wrong.
var (
	// ErrBusy: tasks of the tenant were running; their workers need a moment to notice that they are cancelled.
	ErrBusy = errors.New("tasks of the tenant were still running")
	// ErrNotEmpty: something was written for the tenant while it was being purged.
	ErrNotEmpty = errors.New("something of the tenant is left")
)

// How much is done in one transaction, and how many objects are deleted between two notes of it. Others wait for a
// transaction on SQLite, so it is small.
const (
	rowBatch    = 500
	objectBatch = 500
)

// Purger removes tenants for good.
type Purger struct {
	DB    *meta.DB
	Zones *blob.Zones
	// Fenced runs a transaction that fails when the purge is not this caller's any more.
	Fenced func(context.Context, func(*meta.Tx) error) error
}

// Removed counts what a purge has removed, over all of its attempts. An attempt that was killed may have deleted up to
// a batch of objects more.
type Removed struct {
	Objects int64            `json:"objects"`
	Bytes   int64            `json:"bytes"`
	Rows    map[string]int64 `json:"rows"`
}

// purge is one attempt.
type purge struct {
	Purger
	id      string
	removed Removed
}

// Run removes everything of the tenant but its row and its audit trail, and returns what ends the purge: to be run in
// the transaction that ends its task. It is nil, and so is the error, when the tenant is not to be purged.
func (p Purger) Run(ctx context.Context, tenantID string) (end func(*meta.Tx) error, err error) {
	w := &purge{Purger: p, id: tenantID}
	due, err := w.begin(ctx)
	if err != nil || !due {
		return nil, err
	}
	for _, step := range []func(context.Context) error{
		w.removeObjects, w.removeRows,
		// What a worker put while its task was being cancelled.
		w.removeObjects,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return w.end, nil
}

// begin takes the way back, and everything that could still write for the tenant.
func (w *purge) begin(ctx context.Context) (due bool, err error) {
	var running int64
	err = w.Fenced(ctx, func(tx *meta.Tx) error {
		running = 0
		before, err := tx.LockTenant(w.id)
		if err != nil {
			return err
		}
		if due, err = tx.BeginPurge(w.id); err != nil || !due {
			return err
		}
		if running, err = tx.Tenant(w.id).CancelAll(); err != nil {
			return fmt.Errorf("cancel tasks: %w", err)
		}
		if before.Purging() {
			return nil // begun before
		}
		holdings, err := tx.Tenant(w.id).Holdings()
		if err != nil {
			return fmt.Errorf("count rows: %w", err)
		}
		return w.write(tx, "tenant.purge_begin", map[string]any{
			"name": before.Name, "reason": before.StateReason, "rows": holdings, "used_bytes": before.UsedBytes,
		})
	})
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("begin: %w", err)
	case !due:
		return false, nil
	case running > 0:
		return false, fmt.Errorf("%w: %d", ErrBusy, running)
	}
	return true, w.recall(ctx)
}

// removeObjects deletes what lies under the tenant's prefix in both zones, and what was moved to the trash from there.
func (w *purge) removeObjects(ctx context.Context) error {
	for _, zone := range zones {
		if err := w.removeUnder(ctx, w.Zones.Of(zone), w.id+"/"); err != nil {
			return fmt.Errorf("zone %s: %w", zone, err)
		}
		if err := w.removeUnder(ctx, w.Zones.Quarantine, storage.TrashKey(zone, w.id)+"/"); err != nil {
			return fmt.Errorf("trash of zone %s: %w", zone, err)
		}
	}
	return nil
}

func (w *purge) removeUnder(ctx context.Context, bucket blob.Bucket, prefix string) error {
	noted := w.removed.Objects
	for info, err := range bucket.List(ctx, prefix, "") {
		if err != nil {
			return err
		}
		if err := bucket.Delete(ctx, info.Key); err != nil {
			return err
		}
		w.removed.Objects++
		w.removed.Bytes += info.Size
		if w.removed.Objects-noted >= objectBatch {
			if err := w.Fenced(ctx, func(tx *meta.Tx) error { return w.note(tx, w.removed) }); err != nil {
				return err
			}
			noted = w.removed.Objects
		}
	}
	return nil
}

func (w *purge) removeRows(ctx context.Context) error {
	for _, table := range meta.WipedTables() {
		for {
			gone, err := w.wipe(ctx, table)
			if err != nil {
				return fmt.Errorf("rows of %s: %w", table, err)
			}
			if gone == 0 {
				break
			}
		}
	}
	return nil
}

// wipe removes a batch of rows, together with the note of it.
func (w *purge) wipe(ctx context.Context, table string) (gone int64, err error) {
	var next Removed
	err = w.Fenced(ctx, func(tx *meta.Tx) error {
		var err error
		if gone, err = tx.Tenant(w.id).Wipe(table, rowBatch); err != nil || gone == 0 {
			return err
		}
		next = w.removed
		next.Rows = maps.Clone(w.removed.Rows)
		next.Rows[table] += gone
		return w.note(tx, next)
	})
	if err == nil && gone > 0 {
		w.removed = next
	}
	return gone, err
}

// end buries the tenant, if nothing is left of it.
func (w *purge) end(tx *meta.Tx) error {
	t, err := tx.LockTenant(w.id)
	if err != nil {
		return err
	}
	if !t.Purging() {
		return fmt.Errorf("tenant %s is %s and cannot be purged", w.id, t.State)
	}
	// Its row is locked and every upload settles there last: what is not seen here cannot come.
	left, err := tx.Tenant(w.id).Holdings()
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("%w: %v", ErrNotEmpty, left)
	}
	if err := tx.BuryTenant(t, FormerName(t.Name, "deleted", w.id)); err != nil {
		return err
	}
	if err := tx.DropFact(factName(w.id)); err != nil {
		return err
	}
	return w.write(tx, "tenant.purge", map[string]any{
		"before": t.State, "after": storage.TenantDeleted, "name": t.Name, "reason": t.StateReason, "removed": w.removed,
	})
}

func (w *purge) write(tx *meta.Tx, action string, data map[string]any) error {
	return audit.Write(tx, audit.Entry{
		Actor: audit.Worker, TenantID: w.id, Action: action, Target: w.id, Result: audit.OK, Data: data,
	})
}

// factName is where an attempt tells the next one what has been removed so far.
func factName(id string) string { return "purge." + id }

// recall reads what earlier attempts have removed.
func (w *purge) recall(ctx context.Context) error {
	f, err := w.DB.FactByName(ctx, factName(w.id))
	if err == nil {
		err = json.Unmarshal([]byte(f.Value), &w.removed)
	}
	if w.removed.Rows == nil {
		w.removed.Rows = map[string]int64{}
	}
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

// note writes down what has been removed so far.
func (w *purge) note(tx *meta.Tx, so Removed) error {
	raw, err := json.Marshal(so)
	if err != nil {
		return err
	}
	return tx.SetFact(factName(w.id), string(raw))
}
