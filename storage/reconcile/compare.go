package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/storage/meta"
)

// How often a comparison saves where it is: after so many suspects, objects and rows, or so long.
const (
	suspectBatch = 200
	saveEvery    = 50_000
	saveTime     = 5 * time.Second
)

// compare brings the listings of both zones and the rows together and writes down what does not fit.
func (w *work) compare(ctx context.Context) error {
	w.askAhead(ctx)
	for _, s := range w.scopes() {
		if err := w.compareScope(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// endOf is the cursor behind all of a scope; no key has such a character.
func (s scope) endOf() string { return s.prefix() + "~" }

// scopes are the parts that are still to be compared. The cursor is the key of the last blob that was.
func (w *work) scopes() []scope {
	all := []scope{{}}
	if w.tenants != nil {
		all = nil
		for _, id := range w.tenants {
			all = append(all, scope{id})
		}
	}
	return slices.DeleteFunc(all, func(s scope) bool { return w.run.CursorAt >= s.endOf() })
}

func (w *work) compareScope(ctx context.Context, s scope) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop() // ends what reads ahead
	after := ""
	if strings.HasPrefix(w.run.CursorAt, s.prefix()) {
		after = w.run.CursorAt
	}
	whole := after == ""
	mark, err := w.markBefore(ctx, s)
	if err != nil {
		return err
	}
	m := w.merge(ctx, s, after)
	var list []suspect
	for {
		k, err := m.next(ctx)
		if err != nil {
			return fmt.Errorf("compare: %w", err)
		}
		if k != nil {
			if found := k.judge(w.old); len(found) > 0 {
				list = append(list, suspect{k, found})
			}
			// A row points into the page that was read; a suspect keeps it alive, which a batch bounds.
			if len(list) < w.batch(suspectBatch) && m.objects+m.rows < int64(w.batch(saveEvery)) && time.Since(w.saved) < saveTime {
				continue
			}
		}
		cursor := s.endOf()
		if k != nil {
			cursor = k.key
		}
		if err := w.saveCompared(ctx, m, list, cursor); err != nil {
			return err
		}
		list = nil
		if k == nil {
			break
		}
	}
	if whole && mark != "" {
		w.marks[s.tenant] = mark
	}
	return nil
}

// batch is how many at once, or what a test wants.
func (r *Reconciler) batch(n int) int {
	if r.cfg.batch > 0 {
		return min(n, r.cfg.batch)
	}
	return n
}

// saveCompared looks again at the suspects, then writes the findings and how far the comparison is, in one transaction.
func (w *work) saveCompared(ctx context.Context, m *merge, list []suspect, cursor string) error {
	found, err := w.recheck(ctx, list)
	if err != nil {
		return err
	}
	next := w.run
	next.Objects += m.objects
	next.RowCount += m.rows
	next.ForeignObjects += m.foreign
	next.CursorAt = cursor
	if err := w.save(ctx, next, found); err != nil {
		return err
	}
	m.objects, m.rows, m.foreign = 0, 0, 0
	return nil
}

// add fills in what all findings of a run share.
func (w *work) add(next *meta.ReconcileRun, found []meta.ReconcileFinding) []meta.ReconcileFinding {
	found = slices.Clone(found)
	for i := range found {
		f := &found[i]
		f.ID, f.RunID, f.FoundAt, f.State = meta.NewID(), next.ID, meta.Now(), meta.FindingOpen
		next.Findings++
		if f.Repair != "" {
			next.Planned++
		}
	}
	return found
}
