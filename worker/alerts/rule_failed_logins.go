package alerts

import (
	"context"
	"fmt"

	"gatehouse/storage/meta"
)

// mostActs bounds what one rule tells about operators: of an attack from a whole network, a part is enough.
const mostActs = 200

// operatorsSince is how far back the rules about operators look. What they find stays open as long, and a worker that was
// away misses nothing that is younger.
func (l *Look) operatorsSince() meta.Stamp { return l.Now.Add(-l.Limits.OperatorsFor) }

// failedLogins tells of names, and of addresses, with many failed logins in a short time.
func failedLogins(ctx context.Context, look *Look) ([]Finding, error) {
	limits := look.Limits
	names, addresses, err := look.DB.FailedLogins(ctx, look.operatorsSince(), limits.FailedLogins,
		meta.Stamp(limits.FailedLoginsWindow.Microseconds()), mostActs)
	if err != nil {
		return nil, err
	}
	var out []Finding
	add := func(kind, what, hint string, list []meta.Burst) {
		for _, b := range list {
			out = append(out, Finding{
				Subject: kind + ":" + b.Subject, Severity: Warning,
				Message: fmt.Sprintf("%s of operators %s %q in the last %s, %d or more of them within %s; the last at %s. %s `gateway audit --action operator` lists them.",
					plural(b.Count, "failed login", "failed logins"), what, b.Subject, spell(limits.OperatorsFor), limits.FailedLogins,
					spell(limits.FailedLoginsWindow), at(b.Last.Time()), hint),
				Facts: map[string]any{kind: b.Subject, "count": b.Count, "last_at": b.Last.Time()},
			})
		}
	}
	add("name", "under the name", "Five failures lock an account for 15 minutes; ask whoever has it.", names)
	add("address", "from the address", "Twenty failures lock an address for an hour; the allow-list of addresses keeps strangers out for good.", addresses)
	return out, nil
}
