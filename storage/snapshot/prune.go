package snapshot

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// Keep is the rule of which snapshots stay: of those of the night the newest of each of the last Daily days and of each
// of the last Monthly months that have one. Days without one do not count, so no clock that runs ahead, and no pause, makes
// others go: a night takes the place of one day and one month at most. One that was taken by hand or before a restore
// stays for Daily days and takes nobody's place: it may be from after a loss.
type Keep struct {
	Daily   int
	Monthly int
}

// unfinishedFor is how old what an attempt has left must be to be removed: no attempt lasts as long.
const unfinishedFor = 24 * time.Hour

// Surplus is a snapshot that the rule does not keep, and why.
type Surplus struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}

// Surplus lists what Prune would remove. Days and months are those of now's time zone.
func (s *Store) Surplus(ctx context.Context, now time.Time) ([]Surplus, error) {
	all, err := s.Folders(ctx)
	if err != nil {
		return nil, err
	}
	return s.Keep.surplus(all, now), nil
}

// Prune removes what the rule does not keep, and returns the ids.
func (s *Store) Prune(ctx context.Context, now time.Time) ([]string, error) {
	list, err := s.Surplus(ctx, now)
	if err != nil {
		return nil, err
	}
	var removed []string
	for _, e := range list {
		if err := s.drop(ctx, e.ID); err != nil {
			return removed, err
		}
		removed = append(removed, e.ID)
	}
	return removed, nil
}

// surplus lists what may go. all is in the order of time, and so is the list. The newest snapshot always stays, and the
// newest one of the night. One whose manifest is damaged, or that is of the future, stands in nobody's place and is left
// to people.
func (k Keep) surplus(all []Entry, now time.Time) []Surplus {
	why := attempts(all)
	var good []Entry // newest first
	for _, e := range slices.Backward(all) {
		if !e.Unfinished && e.Problem == "" && !e.OfTheFuture(now) {
			e.CreatedAt = e.CreatedAt.In(now.Location())
			good = append(good, e)
		}
	}
	k.choose(good, why)
	var out []Surplus
	for _, e := range all {
		if why[e.ID] != "" {
			out = append(out, Surplus{e.ID, why[e.ID]})
		}
	}
	return out
}

// attempts says of what attempts have left why it may go. It goes by the store's clock alone: by ours, an attempt that is
// under way might be old.
func attempts(all []Entry) map[string]string {
	var written time.Time // the last time that the store knows of
	for _, e := range all {
		if e.Newest.After(written) {
			written = e.Newest
		}
	}
	why := map[string]string{}
	for _, e := range all {
		if e.Unfinished && written.Sub(e.Newest) > unfinishedFor {
			why[e.ID] = "what an attempt has left that ended more than a day ago: it has no manifest"
		}
	}
	return why
}

// choose says why snapshots may go; they come newest first.
func (k Keep) choose(good []Entry, why map[string]string) {
	days, months := places{max(k.Daily, 0), map[string]Entry{}}, places{max(k.Monthly, 0), map[string]Entry{}}
	nights := 0
	for i, e := range good {
		if e.aside() {
			continue
		}
		byDay, byMonth := days.take(e.day(), e), months.take(e.month(), e)
		if i > 0 && nights > 0 && byDay != "" && byMonth != "" {
			why[e.ID] = fmt.Sprintf("days: %s; months: %s", byDay, byMonth)
		}
		nights++
	}
	// After the nights: only a month that none of them stands for is left to these.
	recent := places{max(k.Daily, 1), map[string]Entry{}}
	for i, e := range good {
		if recent.take(e.day(), e); i == 0 || !e.aside() || recent.has(e.day()) {
			continue
		}
		if by := months.take(e.month(), e); by != "" {
			why[e.ID] = fmt.Sprintf("taken %s, before the days that are kept; months: %s", e.Reason.words(), by)
		}
	}
}

func (e Entry) day() string   { return e.CreatedAt.Format(time.DateOnly) }
func (e Entry) month() string { return e.CreatedAt.Format("2006-01") }

// aside: it is no part of the nightly sequence.
func (e Entry) aside() bool { return e.Reason == ReasonManual || e.Reason == ReasonBeforeRestore }

// places are the days, or months, that have a snapshot that stays, up to room.
type places struct {
	room  int
	taken map[string]Entry
}

func (p places) has(name string) bool { _, ok := p.taken[name]; return ok }

// take gives a place to a snapshot, or says why not. They come newest first; one that had lost rows does not keep the
// place from one that had not: then both stay.
func (p places) take(name string, e Entry) string {
	other, held := p.taken[name]
	switch {
	case held && (e.LostRows() || !other.LostRows()):
		return other.ID + " stands for " + name
	case p.room == 0:
		return "none are kept"
	case !held && len(p.taken) >= p.room:
		return fmt.Sprintf("%d newer ones have a snapshot", p.room)
	}
	p.taken[name] = e
	return ""
}

func (r Reason) words() string {
	if r == ReasonManual {
		return "by hand"
	}
	return "before a restore"
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
