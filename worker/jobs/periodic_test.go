package jobs_test

import (
	"testing"
	"time"
	_ "time/tzdata" // the test names a zone, whatever the machine has

	"github.com/stretchr/testify/require"

	"gatehouse/worker/jobs"
)

func TestTimeOfDayIsByTheClockOnTheWallAlsoWhenClocksChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	at := func(s string) time.Time {
		v, err := time.ParseInLocation("2006-01-02 15:04", s, berlin)
		require.NoError(t, err)
		return v
	}
	for now, want := range map[string][2]string{
		"2026-06-10 01:59": {"2026-06-09 02:00", "2026-06-10 02:00"},
		"2026-06-10 02:00": {"2026-06-10 02:00", "2026-06-11 02:00"},
		"2026-06-10 23:00": {"2026-06-10 02:00", "2026-06-11 02:00"},
		"2026-03-28 12:00": {"2026-03-28 02:00", "2026-03-29 03:00"}, // 02:00 does not exist on the 29th
		"2026-10-25 12:00": {"2026-10-25 02:00", "2026-10-26 02:00"},
	} {
		last, next, err := jobs.Periodic{At: "02:00"}.Due(at(now))
		require.NoError(t, err)
		require.Equal(t, want, [2]string{last.Format("2006-01-02 15:04"), next.Format("2006-01-02 15:04")}, now)
	}
	_, _, err = jobs.Periodic{Name: "x", At: "2 o'clock"}.Due(at("2026-06-10 01:59"))
	require.Error(t, err)
}
