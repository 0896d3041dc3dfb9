package snapshot

import (
	"context"
	"time"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// Keep is the rule of which snapshots stay: the newest of each of the last Daily days and of each of the last Monthly
// months, today and this month included.
type Keep struct {
	Daily   int
	Monthly int
}

// unfinishedFor is how old what an attempt has left must be to be removed: no attempt lasts as long.
const unfinishedFor = 24 * time.Hour

// Prune removes what the rule does not keep, and returns the ids. Days and months are those of now's time zone.
func (s *Store) Prune(ctx context.Context, now time.Time) ([]string, error) {
	all, err := s.folders(ctx)
	if err != nil {
		return nil, err
	}
	var removed []string
	for _, id := range s.Keep.surplus(all, now) {
		if err := s.drop(ctx, id); err != nil {
			return removed, err
		}
		removed = append(removed, id)
	}
	return removed, nil
}

// surplus lists the ids of what may go. all is in the order of time. The newest snapshot always stays, and so does one
// that was taken before a restore, for as many days as the daily ones: it is the way back from a mistake. One whose
// manifest is damaged stands in nobody's place and is left to people.
func (k Keep) surplus(all []Entry, now time.Time) []string {
	firstDay := time.Date(now.Year(), now.Month(), now.Day()-max(k.Daily, 1)+1, 0, 0, 0, 0, now.Location())
	firstMonth := time.Date(now.Year(), now.Month()-time.Month(max(k.Monthly, 1)-1), 1, 0, 0, 0, 0, now.Location())
	days, months := map[string]bool{}, map[string]bool{}
	newest := true
	var out []string
	for i := len(all) - 1; i >= 0; i-- {
		e := all[i]
		if e.Unfinished {
			if now.Sub(e.Newest) > unfinishedFor {
				out = append(out, e.ID)
			}
			continue
		}
		if e.Problem != "" {
			continue
		}
		at := e.CreatedAt.In(now.Location())
		recent := !at.Before(firstDay)
		if e.Reason == ReasonBeforeRestore && recent {
			newest = false
			continue
		}
		day, month := at.Format(time.DateOnly), at.Format("2006-01")
		keep := newest || (k.Daily > 0 && recent && !days[day]) || (k.Monthly > 0 && !at.Before(firstMonth) && !months[month])
		newest, days[day], months[month] = false, true, true
		if !keep {
			out = append(out, e.ID)
		}
	}
	return out
}

// RecordPrune writes what Prune removed into the audit log; nothing is no record.
func RecordPrune(tx *meta.Tx, removed []string, actor audit.Actor) error {
	if len(removed) == 0 {
		return nil
	}
	return audit.Write(tx, audit.Entry{
		Actor: actor, Action: "snapshot.prune", Result: audit.OK, Data: map[string]any{"removed": removed},
	})
}
