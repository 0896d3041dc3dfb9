package dispatch

import (
	"context"
	"sync"
	"time"

	"gatehouse/storage"
)

// localQueue bounds the rings that wait in one lane of this process: some megabytes at most. What does not fit is
// rung again after the patience.
const localQueue = 1 << 16

// localPatience is short: this process drops a ring only with its own life, and ringing twice costs a map look-up.
const localPatience = 10 * time.Second

// Local is the doorbell of the embedded mode: relay and lanes are in one process.
type Local struct {
	mu    sync.Mutex
	lanes map[storage.Lane]*localLane
}

type localLane struct {
	waiting []string
	known   map[string]bool // the same ids, to hear a repeated ring once
	wake    chan struct{}
}

// NewLocal makes a doorbell.
func NewLocal() *Local { return &Local{lanes: map[storage.Lane]*localLane{}} }

// Ring puts the tasks into their lanes' queues.
func (l *Local) Ring(_ context.Context, rings []Ring) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range rings {
		lane := l.lane(r.Lane)
		if lane.known[r.Task] || len(lane.waiting) >= localQueue {
			continue
		}
		lane.known[r.Task] = true
		lane.waiting = append(lane.waiting, r.Task)
		select {
		case lane.wake <- struct{}{}:
		default:
		}
	}
	return nil, nil
}

// lane finds a lane; the caller holds the lock.
func (l *Local) lane(name storage.Lane) *localLane {
	lane, ok := l.lanes[name]
	if !ok {
		lane = &localLane{known: map[string]bool{}, wake: make(chan struct{}, 1)}
		l.lanes[name] = lane
	}
	return lane
}

// Bells hands the lane's tasks out, each to one slot, in the order they were rung.
func (l *Local) Bells(ctx context.Context, name storage.Lane, _ int) <-chan Bell {
	l.mu.Lock()
	lane := l.lane(name)
	l.mu.Unlock()
	out := make(chan Bell)
	go func() {
		defer close(out)
		for {
			id, ok := l.next(lane)
			if !ok {
				select {
				case <-ctx.Done():
					return
				case <-lane.wake:
				}
				continue
			}
			select {
			case <-ctx.Done():
				return
			case out <- Bell{Task: id, Done: func() {}}:
			}
		}
	}()
	return out
}

func (l *Local) next(lane *localLane) (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(lane.waiting) == 0 {
		lane.waiting = nil // lets go of the array behind a burst
		return "", false
	}
	id := lane.waiting[0]
	lane.waiting = lane.waiting[1:]
	delete(lane.known, id)
	return id, true
}

// Patience of the local doorbell.
func (l *Local) Patience() time.Duration { return localPatience }

// Close has nothing to do.
func (l *Local) Close() error { return nil }
