package dispatch

import (
	"context"
	"fmt"
	"time"

	"gatehouse/storage/meta"
)

// relayBatch bounds how many tasks one round rings for.
const relayBatch = 200

// bookkeeping bounds what must be written even when the worker is stopping.
const bookkeeping = 10 * time.Second

// relay carries due tasks from the database to the doorbell. It is the outbox's other end.
func (d *Dispatcher) relay(ctx context.Context) {
	failures := 0
	var lookedForUnanswered time.Time
	for ctx.Err() == nil {
		// Repeated rings are a slow stream of their own, so that a deep backlog is not rung for all the time.
		var stale meta.Stamp
		if time.Since(lookedForUnanswered) > d.bell.Patience()/10 {
			stale, lookedForUnanswered = meta.Now().Add(-d.bell.Patience()), time.Now()
		}
		n, err := d.ring(ctx, stale)
		next := d.cfg.PollInterval
		switch {
		case err != nil && ctx.Err() == nil:
			failures++
			next = backoff(failures, d.cfg.PollInterval, 10*time.Second)
			d.log.Error("ring for tasks", "error", err, "next_try", next)
		case n == relayBatch:
			failures = 0
			continue // there is more
		default:
			failures = 0
		}
		d.awaitNudge(ctx, next, failures == 0)
	}
}

// awaitNudge waits for the next round. While the doorbell is out of order, nudges do not shorten the pause.
func (d *Dispatcher) awaitNudge(ctx context.Context, wait time.Duration, nudged bool) {
	nudge := d.nudge
	if !nudged {
		nudge = nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-nudge:
	}
}

// ring does one round and returns for how many tasks it rang.
func (d *Dispatcher) ring(ctx context.Context, stale meta.Stamp) (int, error) {
	tasks, err := d.db.Ring(ctx, stale, relayBatch)
	if err != nil || len(tasks) == 0 {
		return 0, err
	}
	rings := make([]Ring, 0, len(tasks))
	for _, t := range tasks {
		rings = append(rings, Ring{Lane: t.Lane, Task: t.ID})
	}
	unheard, err := d.bell.Ring(ctx, rings)
	if len(unheard) > 0 {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookkeeping)
		defer cancel()
		if uerr := d.db.Unring(ctx, unheard); uerr != nil {
			return 0, fmt.Errorf("take %d rings back: %w (%w)", len(unheard), uerr, err)
		}
	}
	return len(tasks), err
}
