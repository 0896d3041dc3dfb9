package dispatch

import (
	"context"
	"time"

	"gatehouse/storage/meta"
)

// holdBell is how long a running task keeps its bell, and with it one place in the broker's prefetch, so that the
// broker gives waiting tasks to workers with free slots. It stays far below the broker's consumer timeout
// (30 minutes from delivery), after which the broker would cut the channel.
const holdBell = 10 * time.Minute

// serve is one slot of a lane: one bell, one task, at a time.
func (d *Dispatcher) serve(ctx, work context.Context, bells <-chan Bell) {
	for {
		select {
		case <-ctx.Done():
			return
		case b, ok := <-bells:
			if !ok {
				return
			}
			d.answer(ctx, work, b)
		}
	}
}

// answer claims the task that the bell rang for and runs it. A bell for a task that is not to be had (done,
// taken, cancelled: the ring was doubled or late) has no effect.
func (d *Dispatcher) answer(ctx, work context.Context, b Bell) {
	defer b.Done()
	lease, won := d.claim(ctx, b.Task)
	if !won {
		return
	}
	hold := time.AfterFunc(holdBell, b.Done)
	defer hold.Stop()
	_ = d.Attempt(work, lease) // it has been logged, counted and written down
}

// claim tries until the database answers: with a database that is away there is nothing else to do.
func (d *Dispatcher) claim(ctx context.Context, id string) (meta.Lease, bool) {
	for failures := 1; ; failures++ {
		// A claim that is cut off may have happened or not, so stopping does not cut it.
		cctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.Lease)
		lease, won, err := d.db.Claim(cctx, id, d.cfg.Worker, d.cfg.Lease)
		cancel()
		if err == nil {
			return lease, won
		}
		d.log.Error("claim a task", "task", id, "error", err)
		if !pause(ctx, backoff(failures, 100*time.Millisecond, 10*time.Second)) {
			return meta.Lease{}, false
		}
	}
}
