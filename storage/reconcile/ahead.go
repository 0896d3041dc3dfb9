package reconcile

import (
	"context"
	"sync"

	"gatehouse/storage/meta"
)

// asked are the checks of the rows that were asked while the store was listed: the listing waits for the store and the
// checks for the database, so that one after the other takes the sum of both for nothing.
//
// Only an answer without findings counts. It is the answer of one statement, and as good as one that comes later. Any
// other is asked for again in its turn, so that no finding is older than the phase that reports it.
type asked struct {
	stop context.CancelFunc
	done sync.WaitGroup
	// healthy are the checks that found nothing, by name; it is read after done.
	healthy map[string]bool
}

// askAhead begins to ask the checks of everything, one after another. Runs of some tenants do not need it.
func (w *work) askAhead(ctx context.Context) {
	if w.tenants != nil {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	a := &asked{stop: stop, healthy: map[string]bool{}}
	a.done.Go(func() {
		for _, c := range checks() {
			var among []string // all
			if c.families {
				list, err := w.disagreeing(ctx, 0, nil)
				if a.healthy[c.name] = err == nil && list != nil && len(list) == 0; err != nil || a.healthy[c.name] {
					continue
				}
				among = list
			}
			found, err := c.page(w.Reconciler, ctx, among, meta.RowDrift{}, 1)
			a.healthy[c.name] = err == nil && len(found) == 0 // an error comes again in its turn, if it is one that lasts
		}
		delete(w.disagree, 0) // others may disagree by the time that findings are asked for
	})
	w.asked = a
}

// answered says that a check was asked ahead and found nothing; it waits for the checks that are still being asked.
func (w *work) answered(c check) bool {
	if w.asked == nil {
		return false
	}
	w.asked.done.Wait()
	return w.asked.healthy[c.name]
}

// endAsking ends what is still being asked.
func (w *work) endAsking() {
	if w.asked != nil {
		w.asked.stop()
		w.asked.done.Wait()
	}
}
