package alerts

import (
	"cmp"
	"context"
	"fmt"
)

// dangerousCalls tells of dangerous calls that came to nothing, whatever the cause: somebody tried to delete for good, or
// to change what protects operators. Those without the right or the second factor are told by refused_calls.
func dangerousCalls(ctx context.Context, look *Look) ([]Finding, error) {
	list, err := look.DB.DangerousFailures(ctx, look.operatorsSince(), mostActs)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, a := range list {
		out = append(out, Finding{
			Subject: a.Actor, Severity: Warning,
			Message: fmt.Sprintf("%s of the %s came to nothing in the last %s, %d of them by a fault of the system; the last was %s of %q at %s (%s). `gateway audit` lists them.",
				plural(a.Count, "dangerous call", "dangerous calls"), a.Actor, spell(look.Limits.OperatorsFor), a.Counted, a.Last.Action, a.Last.Target,
				at(a.Last.At.Time()), cmp.Or(a.Last.Code, a.Last.Result)),
			Facts: map[string]any{
				"actor": a.Actor, "count": a.Count, "failed": a.Counted, "action": a.Last.Action, "target": a.Last.Target, "code": a.Last.Code,
				"result": a.Last.Result, "record": a.Last.ID, "address": a.Last.Address, "last_at": a.Last.At.Time(),
			},
		})
	}
	return out, nil
}
