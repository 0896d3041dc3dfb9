package alerts

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
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

// WriteTable writes alerts for people: a line of columns for each, and its message below.
func WriteTable(w io.Writer, list []Listed) error {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 4, 2, ' ', 0)
	rows := []string{"ID\tSEVERITY\tRULE\tSINCE\tLAST TOLD\tSTATE\tNOT TOLD ON"}
	for _, l := range list {
		told := "-"
		if l.ToldAt != nil {
			told = at(*l.ToldAt)
		}
		rows = append(rows, strings.Join([]string{l.ID, string(l.Severity), l.Rule, at(l.OpenedAt), told, l.state(), l.notTold()}, "\t"))
	}
	if _, err := io.WriteString(table, strings.Join(rows, "\n")+"\n"); err != nil {
		return err
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for i, line := range strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n") {
		line = strings.TrimRight(line, " ")
		if i > 0 {
			line += "\n    " + list[i-1].Message
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

func (l Listed) state() string {
	switch {
	case l.ClosedAt != nil:
		return "over since " + at(*l.ClosedAt)
	case l.AcknowledgedAt != nil:
		return "acknowledged by " + oneLine(l.AcknowledgedBy)
	}
	return "open"
}

func (l Listed) notTold() string {
	var words []string
	for _, n := range l.NotTold {
		what := "waits"
		switch {
		case n.GivenUp:
			what = "given up"
		case n.Attempts > 0:
			what = plural(int64(n.Attempts), "attempt", "attempts")
		}
		words = append(words, fmt.Sprintf("%s (%s)", n.Channel, what))
	}
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, ", ")
}
