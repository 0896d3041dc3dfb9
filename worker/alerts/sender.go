package alerts

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/storage/alerts"
	"gatehouse/storage/meta"
)

const (
	// sendPoll is how often a sender looks for messages: one indexed query that mostly finds nothing.
	sendPoll = time.Second
	// claimTime outlasts an attempt. A worker that dies in the middle leaves its claim to run out.
	claimTime = 6 * postTime
	// backoffMin doubles with every attempt up to backoffMax; after giveUp a message is old news.
	backoffMin = 5 * time.Second
	backoffMax = 30 * time.Minute
	giveUp     = 24 * time.Hour
)

// Sender takes notices to the channels. Every worker has one; they share the work by claims.
type Sender struct {
	cfg      Config
	db       *meta.DB
	channels map[string]channel
	metrics  *metrics
	log      *slog.Logger
}

// Run sends until ctx ends. Each channel has a goroutine of its own: one that hangs holds up no other.
func (s *Sender) Run(ctx context.Context) {
	var all sync.WaitGroup
	for name := range s.channels {
		all.Go(func() { s.serve(ctx, name) })
	}
	all.Wait()
}

func (s *Sender) serve(ctx context.Context, name string) {
	for {
		more, err := s.Round(ctx, name)
		if err != nil && ctx.Err() == nil {
			s.log.Error("send alerts", "channel", name, "error", err)
		}
		pause := sendPoll
		if more && err == nil {
			pause = 0
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// Round sends what is due on one channel, at most a batch, and says whether it sent something.
func (s *Sender) Round(ctx context.Context, name string) (bool, error) {
	ch := s.channels[name]
	now := s.cfg.now()
	taken, err := s.db.TakeNotices(ctx, name, now, now.Add(claimTime), ch.batch())
	if err != nil || len(taken) == 0 {
		return false, err
	}
	// What was begun is ended, also when the worker stops meanwhile: it would be sent twice otherwise.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*postTime)
	defer cancel()
	list := make([]message, 0, len(taken))
	for _, n := range taken {
		m := message{ID: n.ID, Body: n.Body}
		if err := json.Unmarshal([]byte(n.Body), &m.Event); err != nil {
			return false, errors.Join(fmt.Errorf("notice %s: %w", n.ID, err),
				s.db.EndNotices(ctx, []string{n.ID}, now, "its body cannot be read"))
		}
		list = append(list, m)
	}
	_, err = ch.deliver(ctx, list)
	return err == nil, s.settle(ctx, name, taken, err)
}

// settle writes down what became of messages.
func (s *Sender) settle(ctx context.Context, name string, taken []meta.Notice, err error) error {
	now := s.cfg.now()
	if err == nil {
		s.metrics.notices.WithLabelValues(name, "sent").Add(float64(len(taken)))
		return s.db.EndNotices(ctx, idsOf(taken), now, "")
	}
	if w, ok := errors.AsType[*wait](err); ok {
		return s.db.DelayNotices(ctx, idsOf(taken), now.Add(w.after), false)
	}
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return errors.Join(err, s.db.DelayNotices(ctx, idsOf(taken), now.Add(backoffMin), false))
	}
	s.metrics.notices.WithLabelValues(name, "failed").Add(float64(len(taken)))
	var late, again []meta.Notice
	pause := f.pause
	for _, n := range taken {
		// Whoever tries a channel wants to know now.
		if n.Event == Tested || n.CreatedAt.Add(giveUp) <= now {
			late = append(late, n)
			continue
		}
		again = append(again, n)
		pause = max(pause, min(backoffMin<<min(n.Attempts-1, 20), backoffMax))
	}
	var errs []error
	if len(again) > 0 {
		s.log.Warn("alerts could not be sent; they are tried again", "channel", name, "messages", len(again), "problem", f.problem, "pause", pause)
		errs = append(errs, s.db.DelayNotices(ctx, idsOf(again), now.Add(pause), true))
	}
	if len(late) > 0 {
		s.metrics.notices.WithLabelValues(name, "given_up").Add(float64(len(late)))
		s.log.Error("alerts could not be sent and are given up", "channel", name, "messages", len(late), "problem", f.problem)
		errs = append(errs, s.db.EndNotices(ctx, idsOf(late), now, clip(f.problem, messageBytes)))
	}
	return errors.Join(errs...)
}

func idsOf(list []meta.Notice) []string {
	ids := make([]string, len(list))
	for i, n := range list {
		ids[i] = n.ID
	}
	return ids
}

// Try sends one message about nothing to a channel, and gives what came back.
func (s *Sender) Try(ctx context.Context, name string) (string, error) {
	ch, ok := s.channels[name]
	if !ok {
		return "", fmt.Errorf("no channel %q is on: it needs a url here (alerts.channels.%s.url), unless its kind is log; on are: %s",
			name, name, cmp.Or(strings.Join(slices.Sorted(maps.Keys(s.channels)), ", "), "none"))
	}
	e := alerts.Test(name, s.cfg.now())
	body, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	return ch.deliver(ctx, []message{{ID: meta.NewID(), Body: string(body), Event: e}})
}
