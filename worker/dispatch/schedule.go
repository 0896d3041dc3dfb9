package dispatch

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"gatehouse/storage/meta"
	"gatehouse/worker/jobs"
)

// dailyLook is how often a job that is due once a day is looked at: machines sleep and their clocks are set.
const dailyLook = 5 * time.Minute

// repeat does a periodic job whenever its turn in the database is this worker's. Of several workers that ask, one
// gets the turn; that all of them ask keeps the period when one of them dies.
func (d *Dispatcher) repeat(ctx context.Context, p jobs.Periodic) {
	for {
		wait, err := d.turn(ctx, p)
		if err != nil && ctx.Err() == nil {
			d.log.Error("periodic job", "name", p.Name, "error", err)
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// turn does the job if it is due and this worker's, and says when to ask again.
func (d *Dispatcher) turn(ctx context.Context, p jobs.Periodic) (wait time.Duration, err error) {
	now := time.Now()
	last, next, err := p.Due(now)
	if err != nil {
		return dailyLook, err
	}
	var won bool
	if p.At == "" {
		// Asking twice a period bounds how late a turn is when the worker that took the last one has died.
		wait = backoff(1, p.Every/2+time.Millisecond, p.Every)
		won, err = d.db.TakeTurn(ctx, "turn."+p.Name, meta.StampOf(last))
	} else {
		wait = min(dailyLook, next.Sub(now)+time.Second)
		won, err = d.db.TakeDailyTurn(ctx, "turn."+p.Name, meta.StampOf(last))
	}
	if err == nil && won {
		err = d.once(ctx, p)
		d.Nudge()
	}
	return wait, err
}

func (d *Dispatcher) once(ctx context.Context, p jobs.Periodic) (err error) {
	ctx, cancel := context.WithTimeout(ctx, max(p.Every, time.Minute))
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return p.Do(ctx)
}
