package dispatch

import "context"

// reap takes back the tasks of workers that died. It buries none: a task that has used its attempts is buried by
// the worker that claims it next, together with what that means for its subject.
func (d *Dispatcher) reap(ctx context.Context) {
	for pause(ctx, d.cfg.Lease/4) {
		requeued, err := d.db.Reap(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			d.log.Error("take back tasks of dead workers", "error", err)
		case requeued > 0:
			d.log.Warn("took back tasks whose worker died or lost its lease", "tasks", requeued)
			d.Nudge()
		}
	}
}
