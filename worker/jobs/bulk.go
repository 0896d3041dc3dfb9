package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/remedy"
)

const (
	// bulkTimeout bounds one attempt at a run; the next one goes on where it was.
	bulkTimeout = 6 * time.Hour
	// bulkPage is how many files are read at once.
	bulkPage = 500
)

// bulk does to many files what an operator asked for; a task's subject is its run (storage/remedy).
type bulk struct{ db *meta.DB }

func (j *bulk) run(ctx context.Context, r *Run) (Commit, error) {
	id := r.Task().Subject
	run, err := j.db.BulkRunBy(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil // forgotten
	}
	if err != nil {
		return nil, fmt.Errorf("read the bulk run: %w", err)
	}
	search, err := run.Search()
	if err != nil {
		return nil, Permanent(err)
	}
	done := run.Done + run.Unchanged + run.Failed
	// Files may begin to match after the count, so no more are dealt with than were counted and agreed to.
	for before := run.CursorAt; ; {
		limit := int(min(bulkPage, run.Expected-done))
		if limit <= 0 {
			return end(id), nil
		}
		page, err := j.db.SearchCounted(ctx, search, before, run.FloorAt, limit)
		if err != nil {
			return nil, fmt.Errorf("list the files: %w", err)
		}
		for _, a := range page {
			err := r.InTx(ctx, func(tx *meta.Tx) error { return remedy.Step(tx, run, a) })
			if errors.Is(err, meta.ErrRunMoved) {
				return nil, nil // cancelled
			}
			if err != nil {
				return nil, fmt.Errorf("asset %s: %w", a.ID, err)
			}
			done++
			r.Progress(min(1, float64(done)/float64(max(1, run.Expected))))
			before = a.ID
		}
		if len(page) < limit {
			return end(id), nil
		}
	}
}

func end(id string) Commit {
	return func(tx *meta.Tx) error { return remedy.EndBulk(tx, id, "") }
}

func (j *bulk) dead(tx *meta.Tx, t meta.Task, cause error) error {
	return remedy.EndBulk(tx, t.Subject, cause.Error())
}
