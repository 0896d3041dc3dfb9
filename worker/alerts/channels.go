package alerts

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"gatehouse/storage/meta"
)

// The kinds of channel.
const (
	KindWeCom   = "wecom"
	KindWebhook = "webhook"
	KindLog     = "log"
)

// ChannelConfig is where alerts are told.
type ChannelConfig struct {
	Name string
	Kind string
	// URL is a secret: that of a robot has its key in it. Secret signs what a webhook gets.
	URL    string
	Secret string
	// Severities and Rules confine what is told; empty means all.
	Severities []string
	Rules      []string
}

// checkChannels refuses names that do not exist: a typing error would silence a channel.
func checkChannels(list []ChannelConfig) error {
	for _, c := range list {
		for _, r := range c.Rules {
			if !slices.Contains(RuleNames(), r) {
				return fmt.Errorf("alerts.channels.%s.rules: there is no rule %q; there are %s", c.Name, r, strings.Join(RuleNames(), ", "))
			}
		}
		if _, err := newChannel(c, nil, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// wants reports whether the channel is told of an event. Whoever was told of an alert is told how it goes on.
func (c ChannelConfig) wants(a meta.Alert, event string, told []string) bool {
	if a.Rule == ruleChannel && a.Subject == c.Name {
		return false // that the channel fails cannot be told there
	}
	if slices.Contains(told, c.Name) && (event == Changed || event == Closed) {
		return true
	}
	if event == Closed {
		return false // it was never told of it
	}
	return (len(c.Rules) == 0 || slices.Contains(c.Rules, a.Rule)) &&
		(len(c.Severities) == 0 || slices.Contains(c.Severities, a.Severity))
}

// channel takes messages to people. There is one implementation a kind.
type channel interface {
	// batch is how many messages deliver takes at once.
	batch() int
	// deliver sends messages, and gives what came back. A *failure says what went wrong in words without secrets, and
	// a *wait that nothing was sent because it is too early.
	deliver(ctx context.Context, list []message) (answer string, err error)
}

// message is a notice with its event.
type message struct {
	ID    string
	Body  string
	Event Event
}

// failure says why a message could not be sent.
type failure struct {
	problem string
	// pause is the least time until the next attempt.
	pause time.Duration
}

func (f *failure) Error() string { return f.problem }

// wait says when a message may be sent.
type wait struct{ after time.Duration }

func (w *wait) Error() string { return fmt.Sprintf("the channel is full for %s", w.after) }

func newChannel(c ChannelConfig, db *meta.DB, log *slog.Logger, now func() meta.Stamp) (channel, error) {
	switch c.Kind {
	case KindLog:
		return &logChannel{log: log}, nil
	case KindWeCom:
		return newWeCom(c, db, now)
	case KindWebhook:
		return newWebhook(c, now)
	}
	return nil, fmt.Errorf("alerts.channels.%s.kind: %q is none of %s, %s, %s", c.Name, c.Kind, KindWeCom, KindWebhook, KindLog)
}
