package dispatch

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"gatehouse/storage/meta"
	"gatehouse/worker/jobs"
)

// repeat does a periodic job whenever its turn in the database is this worker's. Of several workers that ask, one
// gets the turn; that all of them ask keeps the period when one of them dies.
func (d *Dispatcher) repeat(ctx context.Context, p jobs.Periodic) {
	for {
		won, err := d.db.TakeTurn(ctx, "turn."+p.Name, meta.Now().Add(-p.Every))
		if err == nil && won {
			err = d.once(ctx, p)
			d.Nudge()
		}
		if err != nil && ctx.Err() == nil {
			d.log.Error("periodic job", "name", p.Name, "error", err)
		}
		// Asking twice a period bounds how late a turn is when the worker that took the last one has died.
		if !pause(ctx, backoff(1, p.Every/2+time.Millisecond, p.Every)) {
			return
		}
	}
}

func (d *Dispatcher) once(ctx context.Context, p jobs.Periodic) (err error) {
	ctx, cancel := context.WithTimeout(ctx, max(p.Every, time.Minute))
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			d.log.Error("the periodic job panicked", "name", p.Name, "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return p.Do(ctx)
}
