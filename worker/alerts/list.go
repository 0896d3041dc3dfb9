package alerts

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"gatehouse/storage/alerts"
)

// WriteTable writes alerts for people: a line of columns for each, and its message below.
func WriteTable(w io.Writer, list []alerts.Listed) error {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 4, 2, ' ', 0)
	rows := []string{"ID\tSEVERITY\tRULE\tSINCE\tLAST TOLD\tSTATE\tNOT TOLD ON"}
	for _, l := range list {
		told := "-"
		if l.ToldAt != nil {
			told = at(*l.ToldAt)
		}
		rows = append(rows, strings.Join([]string{l.ID, string(l.Severity), l.Rule, at(l.OpenedAt), told, state(l), notTold(l)}, "\t"))
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

func state(l alerts.Listed) string {
	switch {
	case l.ClosedAt != nil:
		return "over since " + at(*l.ClosedAt)
	case l.AcknowledgedAt != nil:
		return "acknowledged by " + oneLine(l.AcknowledgedBy)
	}
	return "open"
}

func notTold(l alerts.Listed) string {
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
