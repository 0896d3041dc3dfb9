package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"slices"

	"gatehouse/storage/meta"
)

// choose finds the tenants that a light run compares: those whose rows add up to something else than when they were
// last compared, and those whose ledger is wrong. Other runs have theirs from the request.
func (w *work) choose(ctx context.Context) error {
	if w.run.Kind != meta.RunLight || w.tenants != nil {
		return nil
	}
	now, err := w.sums(ctx, nil)
	if err != nil {
		return err
	}
	noted, err := w.db.NotedMarks(ctx)
	if err != nil {
		return fmt.Errorf("read the marks: %w", err)
	}
	changed := map[string]bool{}
	for id, mark := range now {
		if noted[id] != mark {
			changed[id] = true
		}
	}
	for id := range noted {
		if now[id] == "" { // no row speaks of it any more, perhaps an object does
			changed[id] = true
		}
	}
	ledgers, err := w.db.LedgerDrift(ctx, nil)
	if err != nil {
		return err
	}
	for _, l := range ledgers {
		changed[l.TenantID] = true
	}
	if len(changed) == 0 {
		if err := w.end(ctx); err != nil {
			return err
		}
		return errEnough
	}
	tenants := slices.Sorted(maps.Keys(changed))
	list, err := json.Marshal(tenants)
	if err != nil {
		return err
	}
	err = w.inTx(ctx, w.guard, func(tx *meta.Tx) error { return tx.ChooseTenants(w.run.ID, string(list)) })
	if err != nil {
		return fmt.Errorf("write down the tenants: %w", err)
	}
	w.run.Tenants, w.tenants = string(list), tenants
	return nil
}

// sums makes the marks of tenants (nil: of all) from what their rows add up to.
func (r *Reconciler) sums(ctx context.Context, tenants []string) (map[string]string, error) {
	of := map[string]hash.Hash{}
	err := r.db.Marks(ctx, tenants, func(table string, s meta.Sums) {
		h := of[s.TenantID]
		if h == nil {
			h = sha256.New()
			of[s.TenantID] = h
		}
		_, _ = fmt.Fprintln(h, table, s.Group, s.A, s.B, s.C, s.D) // a hash takes everything
	})
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(of))
	for id, h := range of {
		out[id] = hex.EncodeToString(h.Sum(nil))
	}
	return out, nil
}

// markBefore is the mark of a tenant before its rows are read: what changes during the comparison changes the mark
// after it, and the next light run looks again.
func (w *work) markBefore(ctx context.Context, s scope) (string, error) {
	if w.run.Kind != meta.RunLight {
		return "", nil
	}
	marks, err := w.sums(ctx, []string{s.tenant})
	return marks[s.tenant], err
}

// noteMarks remembers the marks of the tenants that were compared from beginning to end and are in order, apart from
// damage that is known. The others are compared again next time, and so is what a run did before it was interrupted.
func (w *work) noteMarks(ctx context.Context) error {
	drifted, err := w.db.DriftedTenants(ctx, w.run.ID)
	if err != nil {
		return err
	}
	for _, id := range drifted {
		delete(w.marks, id)
	}
	for part := range slices.Chunk(w.tenants, suspectBatch) {
		err := w.inTx(ctx, w.guard, func(tx *meta.Tx) error {
			for _, id := range part {
				if err := tx.NoteMark(id, w.marks[id]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("note the marks: %w", err)
		}
	}
	return nil
}
