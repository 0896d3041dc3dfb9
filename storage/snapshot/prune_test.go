package snapshot

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestKeep(t *testing.T) {
	day := func(s string) time.Time {
		at, err := time.Parse("2006-01-02 15:04", s)
		require.NoError(t, err)
		return at
	}
	daily := func(times ...string) (out []Entry) {
		for _, at := range times {
			out = append(out, Entry{Manifest: Manifest{ID: at, CreatedAt: day(at), Reason: ReasonDaily}})
		}
		return out
	}
	before := func(at string) Entry {
		return Entry{Manifest: Manifest{ID: at, CreatedAt: day(at), Reason: ReasonBeforeRestore}}
	}
	hand := func(at string) Entry {
		return Entry{Manifest: Manifest{ID: at, CreatedAt: day(at), Reason: ReasonManual}}
	}
	lost := func(at string) Entry {
		return Entry{Manifest: Manifest{ID: at, CreatedAt: day(at), Reason: ReasonDaily, Counts: &Counts{Lost: 1}}}
	}
	var years []string // one each night for two years, oldest first
	for at := day("2024-06-30 02:00"); at.Before(day("2026-06-30 12:00")); at = at.AddDate(0, 0, 1) {
		years = append(years, at.Format("2006-01-02 15:04"))
	}
	kept := func(k Keep, all []Entry, now string) (out []string) {
		gone := k.surplus(all, day(now))
		for _, e := range all {
			if !slices.ContainsFunc(gone, func(s Surplus) bool { return s.ID == e.ID }) {
				out = append(out, e.ID)
			}
		}
		return out
	}
	rule := Keep{Daily: 30, Monthly: 12}

	got := kept(rule, daily(years...), "2026-06-30 12:00")
	require.Len(t, got, 30+11)
	require.Equal(t, "2026-06-01 02:00", got[11], "the thirtieth day")
	require.Equal(t, []string{"2025-07-31 02:00", "2025-08-31 02:00"}, got[:2], "the newest of each month, twelve with this one")
	require.Equal(t, got, kept(rule, daily(got...), "2026-06-30 12:00"), "pruning again changes nothing")

	ahead := append(slices.Clone(got), "2037-05-01 02:00")
	require.Equal(t, append(slices.Clone(got[1:11]), ahead[12:]...), kept(rule, daily(ahead...), "2037-05-01 02:01"),
		"a night of a clock that is ahead takes the place of one day and one month")
	ahead = append(ahead[:len(ahead)-1], "2026-07-01 02:00", "2037-05-01 02:00")
	require.Equal(t, append(slices.Clone(got[1:11]), ahead[12:]...), kept(rule, daily(ahead...), "2026-07-01 02:01"),
		"and none when it is right again")

	for name, tt := range map[string]struct {
		all  []Entry
		now  string
		rule Keep
		want []string
	}{
		"none": {nil, "2026-01-01 00:00", rule, nil},
		"the newest of a day": {
			daily("2026-01-01 02:00", "2026-01-01 14:00", "2026-01-02 02:00"), "2026-01-02 03:00", rule,
			[]string{"2026-01-01 14:00", "2026-01-02 02:00"},
		},
		"the newest stays, however old": {daily("2010-01-01 02:00", "2010-01-02 02:00"), "2026-01-01 00:00", Keep{Daily: 1}, []string{"2010-01-02 02:00"}},
		"a pause removes nothing":       {daily("2010-01-01 02:00", "2010-01-02 02:00"), "2026-01-01 00:00", rule, []string{"2010-01-01 02:00", "2010-01-02 02:00"}},
		"nothing kept by rule":          {daily("2026-01-01 02:00", "2026-01-02 02:00"), "2026-01-03 00:00", Keep{}, []string{"2026-01-02 02:00"}},
		"no daily": {
			daily("2026-01-01 02:00", "2026-01-02 02:00", "2026-02-01 02:00"), "2026-02-03 00:00", Keep{Monthly: 12},
			[]string{"2026-01-02 02:00", "2026-02-01 02:00"},
		},
		"months of the last day": {
			daily("2025-01-31 02:00", "2025-02-28 02:00", "2026-01-31 02:00"), "2026-01-31 03:00", Keep{Daily: 1, Monthly: 2},
			[]string{"2025-02-28 02:00", "2026-01-31 02:00"},
		},
		"a clock that ran ahead": {daily("2026-01-01 02:00", "2030-01-01 02:00"), "2026-01-01 03:00", rule, []string{"2026-01-01 02:00", "2030-01-01 02:00"}},
		"before a restore": {
			slices.Concat(daily("2026-01-05 02:00"), []Entry{before("2026-01-05 10:00"), before("2026-01-05 11:00")}, daily("2026-01-06 02:00")),
			"2026-01-06 03:00", rule, []string{"2026-01-05 02:00", "2026-01-05 10:00", "2026-01-05 11:00", "2026-01-06 02:00"},
		},
		"before a restore, long ago": {
			slices.Concat([]Entry{before("2026-01-05 10:00")}, daily("2026-01-31 02:00", "2026-03-20 02:00")),
			"2026-03-20 03:00", Keep{Daily: 2, Monthly: 12}, []string{"2026-01-31 02:00", "2026-03-20 02:00"},
		},
		"by hand, after a loss, on the day of a good one": {
			slices.Concat(daily("2026-01-05 02:00"), []Entry{hand("2026-01-05 10:00"), hand("2026-01-05 11:00")}), "2026-01-05 12:00", rule,
			[]string{"2026-01-05 02:00", "2026-01-05 10:00", "2026-01-05 11:00"},
		},
		"by hand, long ago": {
			slices.Concat([]Entry{hand("2025-12-05 10:00")}, daily("2026-01-05 02:00"), []Entry{hand("2026-01-06 10:00")}, daily("2026-03-19 02:00", "2026-03-20 02:00")),
			"2026-03-20 03:00", Keep{Daily: 2, Monthly: 12}, []string{"2025-12-05 10:00", "2026-01-05 02:00", "2026-03-19 02:00", "2026-03-20 02:00"},
		},
		"by hand only": {
			[]Entry{hand("2026-01-01 02:00"), hand("2026-01-02 02:00"), hand("2026-01-02 03:00"), hand("2026-01-03 02:00")},
			"2026-01-03 03:00", Keep{Daily: 2}, []string{"2026-01-02 02:00", "2026-01-02 03:00", "2026-01-03 02:00"},
		},
		"by hand the newest, the night before stays too": {
			slices.Concat(daily("2026-01-01 02:00", "2026-01-02 02:00"), []Entry{hand("2026-01-03 10:00")}), "2026-01-03 11:00", Keep{},
			[]string{"2026-01-02 02:00", "2026-01-03 10:00"},
		},
		"lost rows take no place from a good one": {
			slices.Concat(daily("2026-01-05 02:00", "2026-01-05 03:00"), []Entry{lost("2026-01-05 04:00"), lost("2026-01-05 05:00")},
				daily("2026-01-06 02:00")), "2026-01-06 03:00", rule,
			[]string{"2026-01-05 03:00", "2026-01-05 05:00", "2026-01-06 02:00"},
		},
		"a good one takes it from lost rows": {
			slices.Concat([]Entry{lost("2026-01-05 02:00")}, daily("2026-01-05 03:00", "2026-01-06 02:00")), "2026-01-06 03:00", rule,
			[]string{"2026-01-05 03:00", "2026-01-06 02:00"},
		},
		"a damaged one is nobody's successor": {
			slices.Concat(daily("2026-01-01 02:00"), []Entry{{Manifest: Manifest{ID: "bad"}, Problem: "x"}}), "2026-01-01 03:00", rule,
			[]string{"2026-01-01 02:00", "bad"},
		},
		"an attempt of today and one of yesterday": {
			[]Entry{
				{Manifest: Manifest{ID: "old"}, Unfinished: true, Newest: day("2025-12-31 01:59")},
				{Manifest: Manifest{ID: "new"}, Unfinished: true, Newest: day("2026-01-01 02:00")},
			}, "2037-01-01 03:00", rule, []string{"new"},
		},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tt.want, kept(tt.rule, tt.all, tt.now)) })
	}
}

// TestKeepByLocalDays: a day is the operator's day, not that of Greenwich.
func TestKeepByLocalDays(t *testing.T) {
	east := time.FixedZone("east", 8*3600)
	var all []Entry
	for i, at := range []string{"2026-01-01T15:00:00Z", "2026-01-01T17:00:00Z"} { // 23:00 and, the next day, 01:00
		created, err := time.Parse(time.RFC3339, at)
		require.NoError(t, err)
		all = append(all, Entry{Manifest: Manifest{ID: fmt.Sprint(i), CreatedAt: created}})
	}
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, east)
	require.Empty(t, Keep{Daily: 30}.surplus(all, now))
	require.Equal(t, []Surplus{{"0", "days: 1 stands for 2026-01-01; months: none are kept"}}, Keep{Daily: 30}.surplus(all, now.UTC()))
}
