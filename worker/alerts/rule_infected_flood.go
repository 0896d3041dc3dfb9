package alerts

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"gatehouse/storage/meta"
)

// floodQuiet is how long a tenant must upload nothing infected until its flood may be over. It is longer than the log is
// read again (audit.Settles).
const floodQuiet = time.Hour

// floodFacts is what the alert about a flood of infected files remembers.
type floodFacts struct {
	// Count is how many files were found infected; Counted are those up to the record CountedTo, which are counted for good.
	Count     int64      `json:"count"`
	Counted   int64      `json:"counted"`
	CountedTo int64      `json:"counted_to"`
	There     int64      `json:"still_there"`
	FirstAt   meta.Stamp `json:"-"`
	LastAt    meta.Stamp `json:"-"`
	First     time.Time  `json:"first_at"`
	Last      time.Time  `json:"last_at"`
	Tenant    string     `json:"tenant"`
}

// openFloods are the floods with an open alert, by tenant; the alert's subject is the tenant.
func openFloods(look *Look) (map[string]floodFacts, error) {
	floods := map[string]floodFacts{}
	for _, a := range look.Open {
		if a.Subject != a.TenantID {
			continue
		}
		var f floodFacts
		if err := json.Unmarshal([]byte(a.Data), &f); err != nil {
			return nil, fmt.Errorf("facts of the alert %s: %w", a.ID, err)
		}
		f.FirstAt, f.LastAt = meta.StampOf(f.First), meta.StampOf(f.Last)
		floods[a.TenantID] = f
	}
	return floods, nil
}

// newFlood begins with the files that have an alert of their own and are not in the feed any more.
func newFlood(tenant string, files []infectedFile, after int64) floodFacts {
	n := countOf(files, func(f infectedFile) bool { return f.tenant == tenant && f.Record <= after })
	return floodFacts{Counted: int64(n), CountedTo: after}
}

// floodFindings tells of tenants that upload many infected files. A flood is over when it has been quiet for a while and
// nothing of it is left, or after Limits.InfectedFor.
func floodFindings(ctx context.Context, look *Look, feed feed, floods map[string]floodFacts) ([]Finding, error) {
	tenants := slices.Sorted(maps.Keys(floods))
	names := map[string]string{}
	if err := addNames(ctx, look, names, tenants); err != nil {
		return nil, err
	}
	there, err := look.DB.CountInfectedThere(ctx, tenants)
	if err != nil {
		return nil, err
	}
	counts := map[string]meta.InfectedCount{}
	for _, c := range feed.counts {
		counts[c.TenantID] = c
	}
	var out []Finding
	for _, tenant := range tenants {
		f, c := floods[tenant], counts[tenant]
		if f.CountedTo > feed.after { // the cursor was not moved after the last look
			r := feed.VerdictRange
			r.After = f.CountedTo
			list, err := look.DB.CountInfected(ctx, r, tenant, feed.settled)
			if err != nil {
				return nil, err
			}
			c = append(list, meta.InfectedCount{})[0]
		}
		f.add(c, feed.settled)
		f.There, f.Tenant = there[tenant], names[tenant]
		quiet := f.LastAt.Add(floodQuiet) <= look.Now && f.There == 0
		if quiet || f.LastAt.Add(look.Limits.InfectedFor) <= look.Now {
			continue
		}
		out = append(out, floodFinding(tenant, f, names))
	}
	return out, nil
}

// add counts what is new.
func (f *floodFacts) add(c meta.InfectedCount, settled int64) {
	f.Counted += c.Settled
	f.Count = f.Counted + c.Fresh
	f.CountedTo = max(f.CountedTo, settled)
	f.FirstAt, f.LastAt = cmp.Or(f.FirstAt, c.FirstAt), max(f.LastAt, c.LastAt)
	f.First, f.Last = f.FirstAt.Time(), f.LastAt.Time()
}

func floodFinding(tenant string, f floodFacts, names map[string]string) Finding {
	left := "None is there any more."
	if f.There > 0 {
		left = fmt.Sprintf("%s still there, in quarantine, and not served.", plural(f.There, "is", "are"))
	}
	return Finding{
		Subject: tenant, TenantID: tenant, Severity: Critical,
		Message: fmt.Sprintf("%s uploaded by %s since %s, the last at %s. %s `gateway asset list %s --state rejected` lists them.%s", plural(f.Count, "infected file was", "infected files were"),
			tenantName(names, tenant), at(f.FirstAt.Time()), at(f.LastAt.Time()), left, tenant, suspendHint(tenant)),
		Facts: map[string]any{
			"count": f.Count, "counted": f.Counted, "counted_to": f.CountedTo, "still_there": f.There,
			"first_at": f.First, "last_at": f.Last, "tenant": f.Tenant,
		},
	}
}
