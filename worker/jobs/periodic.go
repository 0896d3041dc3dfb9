package jobs

import (
	"context"
	"time"
)

// Periodic is something that is due again and again; of all workers one does it each time.
type Periodic struct {
	// Name is that of the turn in the database, the same in every worker.
	Name  string
	Every time.Duration
	// Do does it, or queues the task that does it. It is bounded by Every, at least a minute.
	Do func(ctx context.Context) error
}
