package alerts

import (
	"context"
	"fmt"
	"time"

	"gatehouse/storage/meta"
)

// manyQueries tells of accounts that read more than people do: a stolen session that copies everything, or a program.
func manyQueries(ctx context.Context, look *Look) ([]Finding, error) {
	most := look.Limits.QueriesPerHour
	list, err := look.DB.QueryBursts(ctx, look.operatorsSince(), most+1, meta.Stamp(time.Hour.Microseconds()), mostActs)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, b := range list {
		out = append(out, Finding{
			Subject: b.Subject, Severity: Warning,
			Message: fmt.Sprintf("The %s has read more than %s within an hour: %d in the last %s, the last at %s. `gateway audit` shows what. The setting alerts.queries_per_hour changes the limit.",
				b.Subject, plural(most, "list or page", "lists or pages"), b.Count, spell(look.Limits.OperatorsFor), at(b.Last.Time())),
			Facts: map[string]any{"actor": b.Subject, "count": b.Count, "last_at": b.Last.Time(), "limit": most},
		})
	}
	return out, nil
}
