package jobs

import (
	"context"
	"errors"
	"time"

	"gatehouse/storage/blob"
	"gatehouse/storage/reconcile"
)

// sweep runs package reconcile as a task.
type sweep struct{ reconciler *reconcile.Reconciler }

// sweepPause is how long a sweep waits for a store that is away.
const sweepPause = time.Minute

func (s *sweep) run(ctx context.Context, r *Run) (Commit, error) {
	_, err := s.reconciler.Sweep(ctx)
	if errors.Is(err, blob.ErrUnavailable) {
		return nil, Wait(err, sweepPause)
	}
	return nil, err
}
