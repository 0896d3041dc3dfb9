package dispatch

import (
	"context"
	"time"

	"gatehouse/storage"
)

// Ring says that a lane has a task to do.
type Ring struct {
	Lane storage.Lane
	Task string
}

// Bell is a ring as a lane's slot hears it.
type Bell struct {
	Task string
	// Done tells the doorbell that the slot can hear the next one. It may be called more than once.
	Done func()
}

// Doorbell carries rings to the slots of the lanes, in this process (Local) or through a broker (Broker). It may
// lose, double and reorder them.
type Doorbell interface {
	// Ring rings, and returns the tasks whose ring certainly or possibly went nowhere, with the reason. A ring
	// that a full queue turned away counts as heard: there is work enough, and its task is rung again later.
	Ring(ctx context.Context, rings []Ring) (unheard []string, err error)
	// Bells are those of one lane, for that many slots. The channel is closed when ctx ends.
	Bells(ctx context.Context, lane storage.Lane, slots int) <-chan Bell
	// Patience is how long a task that was rung may stay unanswered before it is rung again.
	Patience() time.Duration
	// Close ends what the doorbell holds. Bells end by their contexts.
	Close() error
}
