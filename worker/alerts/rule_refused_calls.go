package alerts

import (
	"context"
	"fmt"
)

// refusedCalls tells of operators who tried what they have no right to. That a second factor was too old is only noted:
// whoever works in a console meets it every few minutes.
func refusedCalls(ctx context.Context, look *Look) ([]Finding, error) {
	list, err := look.DB.RefusedCalls(ctx, look.operatorsSince(), mostActs)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, a := range list {
		f := Finding{
			Subject: a.Actor, Severity: Info,
			Message: fmt.Sprintf("%s refused in the last %s for want of a fresh second factor; the last was %s at %s from %s. `gateway audit` lists them.",
				isAre(plural(a.Count, "call", "calls")+" of the "+a.Actor, a.Count, "was", "were"), spell(look.Limits.OperatorsFor), a.Last.Action, at(a.Last.At.Time()), orUnknown(a.Last.Address)),
			Facts: map[string]any{
				"actor": a.Actor, "role": a.Last.ActorRole, "count": a.Count, "without_right": a.Counted, "action": a.Last.Action,
				"target": a.Last.Target, "record": a.Last.ID, "address": a.Last.Address, "last_at": a.Last.At.Time(),
			},
		}
		if a.Counted > 0 {
			f.Severity = Warning
			f.Message = fmt.Sprintf("The %s (%s) was refused calls as FORBIDDEN, %s in the last %s: the role does not allow them, or they came without the headers that a page of the gateway sends. The last refused call was %s at %s from %s. `gateway audit` lists them.",
				a.Actor, a.Last.ActorRole, plural(a.Counted, "time", "times"), spell(look.Limits.OperatorsFor), a.Last.Action, at(a.Last.At.Time()), orUnknown(a.Last.Address))
		}
		out = append(out, f)
	}
	return out, nil
}
