package alerts

import (
	"context"
	"fmt"
	"time"
)

// channelWatch is how far back a channel's failures count.
const channelWatch = 24 * time.Hour

// channelFailing tells on the other channels of one that has given messages up and has sent nothing since.
func channelFailing(channels []ChannelConfig) func(context.Context, *Look) ([]Finding, error) {
	return func(ctx context.Context, look *Look) ([]Finding, error) {
		list, err := look.DB.ChannelsHealth(ctx, look.Now.Add(-channelWatch))
		if err != nil {
			return nil, err
		}
		var out []Finding
		for _, h := range list {
			if h.FailedAt <= h.SentAt || !configured(channels, h.Channel) {
				continue
			}
			problem, err := look.DB.LastProblem(ctx, h.Channel)
			if err != nil {
				return nil, err
			}
			out = append(out, Finding{
				Subject: h.Channel, Severity: Critical,
				Message: fmt.Sprintf("Alerts do not get through on the channel %s: %s given up within a day, the last at %s: %s. `worker alerts test %s` sends one and says what comes back; `worker alerts list` shows what was not told.",
					h.Channel, plural(h.Failed, "message was", "messages were"), at(h.FailedAt.Time()), sentence(problem, 300), h.Channel),
				Facts: map[string]any{"channel": h.Channel, "given_up": h.Failed, "problem": problem, "failed_at": h.FailedAt.Time()},
			})
		}
		return out, nil
	}
}

func configured(channels []ChannelConfig, name string) bool {
	for _, c := range channels {
		if c.Name == name {
			return true
		}
	}
	return false
}
