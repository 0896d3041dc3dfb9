package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"gatehouse/storage"
)

// BrokerConfig says where RabbitMQ is. Zero values take the defaults beside them.
type BrokerConfig struct {
	// URL is amqp://user:password@host:5672/vhost or amqps://.
	URL string
	// Prefix of the queues' names ("gatehouse").
	Prefix string
	// PublishTimeout is how long a round of rings may wait for its confirms (5 s).
	PublishTimeout time.Duration
	// Patience is how long a task that was rung may stay unanswered before it is rung again (30 s). A quorum queue that
	// is electing its leader turns rings away like a full one; that must not cost minutes.
	Patience time.Duration
}

// The broker's limits and times.
const (
	// queueLength bounds the rings that wait in one queue: repeated ones cannot make it grow without end.
	queueLength = 100_000
	// dialTimeout bounds connecting, handshake included.
	dialTimeout = 10 * time.Second
	// amqpHeartbeat finds dead connections: the library gives up after three silent ones.
	amqpHeartbeat = 10 * time.Second
	// closeTimeout bounds saying goodbye to a broker that may be gone.
	closeTimeout = 2 * time.Second
)

// Broker is the doorbell through RabbitMQ: one quorum queue a lane, publishing confirmed, a connection for rings and
// one for the bells of each lane. A connection that breaks is given up together with its channel and made anew
// (the library's own recovery reuses channels, so that a late acknowledgement hits another message).
type Broker struct {
	cfg BrokerConfig
	log *slog.Logger

	mu        sync.Mutex // rings one round at a time
	publisher *publisher // nil while there is none
}

type publisher struct {
	conn    *amqp.Connection
	ch      *amqp.Channel
	returns chan amqp.Return
}

// NewBroker does not connect yet: tasks and uploads go on without a broker, and it is dialled when it is needed.
func NewBroker(cfg BrokerConfig, log *slog.Logger) (*Broker, error) {
	cfg.Prefix = cmp.Or(cfg.Prefix, "gatehouse")
	cfg.PublishTimeout = cmp.Or(cfg.PublishTimeout, 5*time.Second)
	cfg.Patience = cmp.Or(cfg.Patience, 30*time.Second)
	if _, err := amqp.ParseURI(cfg.URL); err != nil {
		// The error may repeat the URL, which holds the password.
		return nil, errors.New("broker URL: not a valid amqp:// or amqps:// URL")
	}
	return &Broker{cfg: cfg, log: log}, nil
}

// Patience of the broker: long, because its queues survive what happens to workers.
func (b *Broker) Patience() time.Duration { return b.cfg.Patience }

// Close closes the connection for rings.
func (b *Broker) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hangUp()
	return nil
}

// Ring publishes and waits for the confirms.
func (b *Broker) Ring(ctx context.Context, rings []Ring) (unheard []string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, b.cfg.PublishTimeout)
	defer cancel()
	for batch := range slices.Chunk(rings, relayBatch) {
		missed, problem := b.ringBatch(ctx, batch)
		unheard, err = append(unheard, missed...), cmp.Or(err, problem)
	}
	return unheard, err
}

func (b *Broker) ringBatch(ctx context.Context, batch []Ring) ([]string, error) {
	if b.publisher == nil {
		p, err := b.newPublisher()
		if err != nil {
			return idsOf(batch), fmt.Errorf("reach the broker: %w", err)
		}
		b.publisher = p
	}
	unheard, err := b.publish(ctx, b.publisher, batch)
	if err != nil {
		b.hangUp()
	}
	return unheard, err
}

func (b *Broker) publish(ctx context.Context, p *publisher, batch []Ring) (unheard []string, err error) {
	confirms := make([]*amqp.DeferredConfirmation, 0, len(batch))
	for _, r := range batch {
		c, perr := p.ch.PublishWithDeferredConfirmWithContext(ctx, "", b.queue(r.Lane), true, false, amqp.Publishing{
			DeliveryMode: amqp.Persistent, MessageId: r.Task, ContentType: "text/plain", Body: []byte(r.Task),
		})
		if perr != nil {
			err = fmt.Errorf("publish: %w", perr)
			break
		}
		confirms = append(confirms, c)
	}
	unheard = idsOf(batch[len(confirms):])
	turnedAway := 0
	for i, c := range confirms {
		acked, werr := c.WaitContext(ctx)
		switch {
		case werr != nil:
			unheard, err = append(unheard, batch[i].Task), fmt.Errorf("wait for the broker's confirm: %w", werr)
		case !acked && p.ch.IsClosed():
			unheard, err = append(unheard, batch[i].Task), fmt.Errorf("the broker closed the channel: %w", amqp.ErrClosed)
		case !acked:
			turnedAway++
		}
	}
	if turnedAway > 0 {
		b.log.Warn("the broker's queue is full; the tasks are rung again later", "tasks", turnedAway)
	}
	// A message without a queue is returned first and confirmed then, so all returns are here by now.
	for {
		select {
		case r, ok := <-p.returns:
			if !ok {
				return unheard, err
			}
			unheard, err = append(unheard, r.MessageId), fmt.Errorf("the broker returned a ring: %s", r.ReplyText)
		default:
			return unheard, err
		}
	}
}

func (b *Broker) newPublisher() (*publisher, error) {
	conn, ch, err := b.open("rings")
	if err != nil {
		return nil, err
	}
	p := &publisher{conn: conn, ch: ch, returns: ch.NotifyReturn(make(chan amqp.Return, relayBatch))}
	for _, lane := range storage.Lanes {
		if err = b.declare(ch, lane); err != nil {
			break
		}
	}
	if err == nil {
		err = ch.Confirm(false)
	}
	if err != nil {
		b.closeQuietly(conn)
		return nil, err
	}
	return p, nil
}

// hangUp gives the connection for rings up; the next round makes a new one, queues included.
func (b *Broker) hangUp() {
	if b.publisher != nil {
		b.closeQuietly(b.publisher.conn)
		b.publisher = nil
	}
}

// open makes a connection with one channel.
func (b *Broker) open(what string) (*amqp.Connection, *amqp.Channel, error) {
	conn, err := amqp.DialConfig(b.cfg.URL, amqp.Config{
		Heartbeat: amqpHeartbeat, Dial: amqp.DefaultDial(dialTimeout), Recovery: nil,
		Properties: amqp.Table{"connection_name": b.cfg.Prefix + " worker: " + what},
	})
	if err != nil {
		return nil, nil, err
	}
	ch, err := conn.Channel()
	if err != nil {
		b.closeQuietly(conn)
		return nil, nil, err
	}
	return conn, ch, nil
}

// declare makes a lane's queue. Its arguments must stay what they are: the broker refuses to declare a queue anew
// with others.
func (b *Broker) declare(ch *amqp.Channel, lane storage.Lane) error {
	_, err := ch.QueueDeclare(b.queue(lane), true, false, false, false, amqp.Table{
		"x-queue-type": "quorum", "x-max-length": queueLength, "x-overflow": "reject-publish",
	})
	if err != nil {
		return fmt.Errorf("declare queue %s: %w", b.queue(lane), err)
	}
	return nil
}

func (b *Broker) queue(lane storage.Lane) string { return b.cfg.Prefix + "." + string(lane) }

func (b *Broker) closeQuietly(conn *amqp.Connection) {
	if err := conn.CloseDeadline(time.Now().Add(closeTimeout)); err != nil && !errors.Is(err, amqp.ErrClosed) {
		b.log.Debug("close a connection to the broker", "error", err)
	}
}

func idsOf(rings []Ring) []string {
	out := make([]string, 0, len(rings))
	for _, r := range rings {
		out = append(out, r.Task)
	}
	return out
}
