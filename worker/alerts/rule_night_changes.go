package alerts

import (
	"context"
	"fmt"
	"time"

	"gatehouse/storage/meta"
)

// nightChanges tells of changes in the hours in which nobody is expected to work: one alert an actor and night.
func nightChanges(ctx context.Context, look *Look) ([]Finding, error) {
	nights, err := nightsBetween(look.operatorsSince().Time(), look.Now.Time(), look.Limits)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, n := range nights {
		list, err := look.DB.ChangesBetween(ctx, meta.StampOf(n.from), meta.StampOf(n.until), mostActs)
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			out = append(out, Finding{
				Subject: a.Actor + " " + n.from.Format(time.DateOnly), Severity: Warning,
				Message: fmt.Sprintf("The %s made %s between %s and %s (%s), when nobody is expected to: the last was %s of %q at %s. `gateway audit` lists them.",
					a.Actor, plural(a.Count, "change", "changes"), look.Limits.NightFrom, look.Limits.NightUntil, n.from.Location(), a.Last.Action, a.Last.Target, at(a.Last.At.Time())),
				Facts: map[string]any{
					"actor": a.Actor, "count": a.Count, "action": a.Last.Action, "target": a.Last.Target, "record": a.Last.ID,
					"address": a.Last.Address, "last_at": a.Last.At.Time(),
				},
			})
		}
	}
	return out, nil
}

// night is from an evening to a morning.
type night struct{ from, until time.Time }

// nightsBetween lists the nights of which a part lies between two times, each one whole. None: both hours are the same.
func nightsBetween(since, now time.Time, l Limits) ([]night, error) {
	zone := l.Timezone
	if zone == nil {
		zone = time.UTC
	}
	from, err := time.Parse("15:04", l.NightFrom)
	if err != nil {
		return nil, fmt.Errorf("alerts.night_from: %w", err)
	}
	until, err := time.Parse("15:04", l.NightUntil)
	if err != nil {
		return nil, fmt.Errorf("alerts.night_until: %w", err)
	}
	if from.Equal(until) {
		return nil, nil
	}
	morning := 0 // of the same day, for hours like 01:00 to 05:00
	if until.Before(from) {
		morning = 1
	}
	var out []night
	// By the calendar and not by hours: with summer time some days have 23 or 25.
	for day := since.In(zone).AddDate(0, 0, -2); !day.After(now.AddDate(0, 0, 1)); day = day.AddDate(0, 0, 1) {
		on := func(days int, t time.Time) time.Time {
			return time.Date(day.Year(), day.Month(), day.Day()+days, t.Hour(), t.Minute(), 0, 0, zone)
		}
		if n := (night{on(0, from), on(morning, until)}); n.until.After(since) && !n.from.After(now) {
			out = append(out, n)
		}
	}
	return out, nil
}
