package jobs

import (
	"context"
	"fmt"
	"time"
)

// Periodic is something that is due again and again; of all workers one does it each time.
type Periodic struct {
	// Name is that of the turn in the database, the same in every worker.
	Name  string
	Every time.Duration
	// At, instead of Every, is a time of day, "02:00", by the clock on the worker's wall. A turn that nobody took, because
	// no worker was running, is taken as soon as one does.
	At string
	// Do does it, or queues the task that does it. It is bounded by Every, at least a minute.
	Do func(ctx context.Context) error
}

// Due is the last instant at or before now at which a turn is due, and the first one after it. Without At the next is
// not known: it depends on when the last turn was taken.
func (p Periodic) Due(now time.Time) (last, next time.Time, err error) {
	if p.At == "" {
		return now.Add(-p.Every), time.Time{}, nil
	}
	at, err := time.Parse("15:04", p.At)
	if err != nil {
		return last, next, fmt.Errorf("periodic job %s: %q is no time of day like 02:00", p.Name, p.At)
	}
	// Days are counted by the calendar and not by hours: with summer time some have 23 or 25.
	on := func(days int) time.Time {
		return time.Date(now.Year(), now.Month(), now.Day()+days, at.Hour(), at.Minute(), 0, 0, now.Location())
	}
	if last, next = on(0), on(1); last.After(now) {
		last, next = on(-1), on(0)
	}
	return last, next, nil
}
