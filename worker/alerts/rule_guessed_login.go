package alerts

import (
	"context"
	"fmt"
	"time"

	"gatehouse/storage/meta"
)

// guessing is how old the failures before a login may be: the next day somebody types it right.
const guessing = time.Hour

// guessedLogin tells of a login that came right after failed ones of its name: somebody may have guessed the password.
func guessedLogin(ctx context.Context, look *Look) ([]Finding, error) {
	least := look.Limits.FailuresBeforeLogin
	list, err := look.DB.LoginsAfterFailures(ctx, look.operatorsSince(), least, meta.Stamp(guessing.Microseconds()), mostActs)
	if err != nil {
		return nil, err
	}
	latest := map[string]meta.AuditRecord{} // one a name; the list is in the order of time
	var names []string
	for _, r := range list {
		if _, there := latest[r.Target]; !there {
			names = append(names, r.Target)
		}
		latest[r.Target] = r
	}
	var out []Finding
	for _, name := range names {
		r := latest[name]
		out = append(out, Finding{
			Subject: name, Severity: Critical,
			Message: fmt.Sprintf("The operator %q got in at %s from %s right after %d or more failed attempts. If that was not the operator, end the sessions of the account and change its password. `gateway audit --action operator` shows what came before.",
				name, at(r.At.Time()), orUnknown(r.Address), least),
			Facts: map[string]any{"name": name, "at": r.At.Time(), "address": r.Address, "record": r.ID, "action": r.Action},
		})
	}
	return out, nil
}

func orUnknown(address string) string {
	if address == "" {
		return "an unknown address"
	}
	return address
}
