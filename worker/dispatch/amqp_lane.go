package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"gatehouse/storage"
)

// maxRing bounds the body of a message that can be a task's id.
const maxRing = 64

// Bells consumes the lane's queue on a connection of its own, with as many unacknowledged messages as there are
// slots, and connects again with growing pauses when that breaks.
func (b *Broker) Bells(ctx context.Context, lane storage.Lane, slots int) <-chan Bell {
	out := make(chan Bell)
	go func() {
		defer close(out)
		for failures := 1; ; failures++ {
			heard, err := b.consume(ctx, lane, slots, out)
			if ctx.Err() != nil {
				return
			}
			if heard {
				failures = 1
			}
			next := backoff(failures, 250*time.Millisecond, 10*time.Second)
			b.log.Warn("the broker is away", "lane", lane, "error", err, "next_try", next)
			if !pause(ctx, next) {
				return
			}
		}
	}()
	return out
}

// consume hands messages out until the connection breaks or ctx ends; it reports whether it came as far as
// consuming. Messages that are not acknowledged by then are delivered anew, to this worker or another.
func (b *Broker) consume(ctx context.Context, lane storage.Lane, slots int, out chan<- Bell) (bool, error) {
	conn, ch, err := b.open("bells of " + string(lane))
	if err != nil {
		return false, err
	}
	defer b.closeQuietly(conn)
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	if err := b.declare(ch, lane); err != nil {
		return false, err
	}
	if err := ch.Qos(slots, 0, false); err != nil {
		return false, fmt.Errorf("set prefetch: %w", err)
	}
	messages, err := ch.Consume(b.queue(lane), "", false, false, false, false, nil)
	if err != nil {
		return false, fmt.Errorf("consume: %w", err)
	}
	for {
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case why := <-closed:
			return true, fmt.Errorf("the channel was closed: %w", cmpError(why))
		case m, ok := <-messages:
			if !ok {
				return true, errors.New("the broker cancelled the consumer")
			}
			select {
			case out <- b.bell(m):
			case <-ctx.Done():
				return true, ctx.Err()
			case why := <-closed:
				return true, fmt.Errorf("the channel was closed: %w", cmpError(why))
			}
		}
	}
}

// bell turns a message into a bell. What cannot be a task's id rings for no task.
func (b *Broker) bell(m amqp.Delivery) Bell {
	id := string(m.Body)
	if len(id) > maxRing {
		b.log.Warn("a message that is no task's id", "queue", m.RoutingKey, "bytes", len(id))
		id = ""
	}
	return Bell{Task: id, Done: sync.OnceFunc(func() {
		// On a channel that is gone there is nothing to acknowledge: the message is delivered anew and finds its
		// task taken.
		if err := m.Ack(false); err != nil && !errors.Is(err, amqp.ErrClosed) {
			b.log.Debug("acknowledge a bell", "error", err)
		}
	})}
}

// cmpError keeps a nil *amqp.Error, which an orderly close gives, from becoming an error that is not nil.
func cmpError(e *amqp.Error) error {
	if e == nil {
		return amqp.ErrClosed
	}
	return e
}
