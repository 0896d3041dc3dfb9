package dispatch

import (
	"context"
	"errors"
	"time"

	"gatehouse/storage/meta"
	"gatehouse/worker/jobs"
)

// beat keeps the lease of a running task until ctx ends, and cancels the job when it is lost: taken over, or the
// task was cancelled, or the database has been away for longer than the lease lasts.
func (d *Dispatcher) beat(ctx context.Context, cancel context.CancelCauseFunc, run *jobs.Run) {
	until := time.Now().Add(d.cfg.Lease)
	tick := time.NewTicker(d.cfg.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asked := time.Now()
		bctx, stop := context.WithDeadline(ctx, until)
		err := d.db.Heartbeat(bctx, run.Lease, d.cfg.Lease, run.Reached())
		stop()
		switch {
		case err == nil:
			until = asked.Add(d.cfg.Lease)
		case errors.Is(err, meta.ErrLeaseLost):
			cancel(meta.ErrLeaseLost)
			return
		case ctx.Err() != nil:
			return
		default:
			run.Log.Warn("extend the lease of a task", "error", err)
			if !time.Now().Before(until) {
				cancel(meta.ErrLeaseLost)
				return
			}
		}
	}
}
