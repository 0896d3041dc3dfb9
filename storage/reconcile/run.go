package reconcile

import (
	"context"
	"fmt"

	"gatehouse/storage/meta"
)

// Guard is what every transaction of a run begins with: it fences the lease of the run's task, so that a worker that
// lost it can change nothing. A nil one guards nothing.
type Guard func(*meta.Tx) error

// inTx is one transaction of a run.
func (r *Reconciler) inTx(ctx context.Context, guard Guard, fn func(*meta.Tx) error) error {
	return r.db.InTx(ctx, func(tx *meta.Tx) error {
		if guard != nil {
			if err := guard(tx); err != nil {
				return fmt.Errorf("reconcile: %w", err)
			}
		}
		return fn(tx)
	})
}
