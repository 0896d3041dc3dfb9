package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// repairOrder is THE order of repairs: references come first, because no job works on a blob that nobody refers to; what
// brings bytes and rows back comes before what gives them up; the ledger comes last, when the rows are what they will be.
var repairOrder = []storage.Repair{
	storage.RepairReferences, storage.RepairHeal, storage.RepairRow, storage.RepairRescan, storage.RepairTrash,
	storage.RepairDropVariant, storage.RepairVariants, storage.RepairDamaged,
	storage.RepairAssets, storage.RepairTask, storage.RepairReservation, storage.RepairLedger,
}

// repairsAtOnce is how many digests are repaired at a time: a claim of an orphan waits seconds for its settling, and
// thousands of orphans must not take days.
const repairsAtOnce = 16

// repairAll repairs what is planned and open. There is no cursor: what is done is not open any more.
func (w *work) repairAll(ctx context.Context) error {
	for _, repair := range repairOrder {
		after := ""
		for {
			page, err := w.db.Findings(ctx, w.run.ID, meta.FindingFilter{Repair: repair, State: meta.FindingOpen}, after, w.batch(suspectBatch))
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			after = page[len(page)-1].ID
			if err := errors.Join(w.repairPage(ctx, page), w.recount(ctx)); err != nil {
				return err
			}
		}
	}
	return nil
}

// repairPage repairs several digests at once, the findings about one of them one after another.
func (w *work) repairPage(ctx context.Context, page []meta.ReconcileFinding) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	// What one digest has was found in several phases.
	slices.SortStableFunc(page, func(a, b meta.ReconcileFinding) int {
		return cmp.Or(cmp.Compare(a.TenantID, b.TenantID), cmp.Compare(a.SHA256, b.SHA256))
	})
	var workers sync.WaitGroup
	slots := make(chan struct{}, repairsAtOnce)
	for len(page) > 0 && ctx.Err() == nil {
		n := 1
		for n < len(page) && page[n].TenantID == page[0].TenantID && page[n].SHA256 == page[0].SHA256 {
			n++
		}
		group := page[:n]
		page = page[n:]
		slots <- struct{}{}
		workers.Go(func() {
			defer func() { <-slots }()
			for i, f := range group {
				if _, err := w.repair(ctx, w.guard, f, group[i+1:]...); err != nil {
					stop(fmt.Errorf("%s of %s: %w", f.Repair, f.Kind, err))
					return
				}
			}
		})
	}
	workers.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// recount writes into the run what became of its findings so far.
func (w *work) recount(ctx context.Context) error {
	counts, err := w.db.FindingCounts(ctx, w.run.ID)
	if err != nil {
		return err
	}
	next, marked := w.run, int64(0)
	next.Repaired, next.Failed = 0, 0
	for _, c := range counts {
		switch c.State {
		case meta.FindingRepaired:
			next.Repaired += c.Count
		case meta.FindingMarked:
			marked += c.Count
		case meta.FindingFailed:
			next.Failed += c.Count
		}
	}
	if next.Planned > 0 {
		w.progress(float64(next.Repaired+marked+next.Failed) / float64(next.Planned))
	}
	return w.save(ctx, next, nil)
}
