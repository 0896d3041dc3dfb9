package alerts

import (
	"context"
	"time"

	"gatehouse/storage/meta"
)

// Listed is an alert with what became of the messages about it.
type Listed struct {
	View
	// ToldAt is when a message about it was sent last, by any channel.
	ToldAt *time.Time `json:"told_at,omitempty"`
	// NotTold are the channels whose last message about it was not sent.
	NotTold []NotTold `json:"not_told"`
}

// NotTold says why a channel has not sent a message.
type NotTold struct {
	Channel string `json:"channel"`
	// Attempts is how often it was tried; GivenUp says that it is not tried any more, because of Problem.
	Attempts int    `json:"attempts"`
	GivenUp  bool   `json:"given_up"`
	Problem  string `json:"problem,omitempty"`
}

// List gives the open alerts, oldest first, and then the last ones that are over, newest first.
func List(ctx context.Context, db *meta.DB, closed int, now meta.Stamp) ([]Listed, error) {
	list, err := db.OpenAlerts(ctx, "")
	if err != nil {
		return nil, err
	}
	if closed > 0 {
		over, err := db.ClosedAlerts(ctx, closed)
		if err != nil {
			return nil, err
		}
		list = append(list, over...)
	}
	var ids []string
	for _, a := range list {
		ids = append(ids, a.ID)
	}
	told, err := db.LastTold(ctx, ids)
	if err != nil {
		return nil, err
	}
	untold, err := db.Untold(ctx, ids)
	if err != nil {
		return nil, err
	}
	not := map[string][]NotTold{}
	for _, n := range untold {
		not[n.AlertID] = append(not[n.AlertID], NotTold{Channel: n.Channel, Attempts: n.Attempts, GivenUp: n.EndedAt != 0, Problem: n.Problem})
	}
	var out []Listed
	for _, a := range list {
		l := Listed{View: ViewOf(a, now), ToldAt: told[a.ID].TimeIfSet(), NotTold: not[a.ID]}
		if l.NotTold == nil {
			l.NotTold = []NotTold{} // a list in JSON, not null
		}
		out = append(out, l)
	}
	return out, nil
}
