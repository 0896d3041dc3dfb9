package alerts

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/alerts"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

func TestListSaysWhoWasNotTold(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		r := newReceiver(t, status(500))
		b := newBench(t, db, hookTo(r.URL), logTo("log"))
		set := b.switched()
		s := b.sender(t)
		list := func() []alerts.Listed {
			l, err := alerts.List(t.Context(), db, 5, meta.StampOf(b.clock.now()))
			require.NoError(t, err)
			return l
		}
		table := func() []string {
			var out strings.Builder
			require.NoError(t, WriteTable(&out, list()))
			return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		}
		require.Empty(t, list())
		set(find("a", Critical))
		b.tick(t)
		require.Equal(t, "hook (waits), log (waits)", notTold(list()[0]))
		send(t, s, "hook")
		send(t, s, "log")
		told := b.clock.now().UTC()
		lines := table()
		require.Regexp(t, `^ID +SEVERITY +RULE +SINCE +LAST TOLD +STATE +NOT TOLD ON$`, lines[0])
		require.Regexp(t, `critical +quota +\S+Z +`+told.Format(time.RFC3339)+` +open +hook \(1 attempt\)$`, lines[1])
		require.Equal(t, "    Something about a is wrong.", lines[2])
		require.Len(t, lines, 3)

		b.clock.pass(25 * time.Hour)
		send(t, s, "hook")
		got := list()[0]
		require.Equal(t, []alerts.NotTold{{Channel: "hook", Attempts: 2, GivenUp: true, Problem: "HTTP 500"}}, got.NotTold)
		require.Equal(t, told, *got.ToldAt)
		r.says(status(200))
		b.tick(t) // the repetition
		send(t, s, "hook")
		send(t, s, "log")
		require.Empty(t, list()[0].NotTold, "a later message got through")
		_, err := alerts.Acknowledge(t.Context(), db, got.ID, audit.Actor{Kind: audit.CLI.Kind, ID: "ann"}, alerts.By{Name: "ann"})
		require.NoError(t, err)
		require.Contains(t, table()[1], "acknowledged by ann")
		set()
		b.tick(t)
		send(t, s, "hook")
		send(t, s, "log")
		require.Contains(t, table()[1], "over since "+b.clock.now().UTC().Format(time.RFC3339))
		body, err := json.Marshal(list()[0])
		require.NoError(t, err)
		require.Contains(t, string(body), `"not_told":[]`)
		require.Contains(t, string(body), `"rule":"quota"`)
	})
}

// A worker that is killed between the opening of an alert and the sending of its message leaves it to another one, which
// sends it when the claim has run out.
func TestSenderThatIsKilled(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		r := newReceiver(t, status(204))
		b := newBench(t, one, hookTo(r.URL))
		other := newBench(t, two, hookTo(r.URL))
		other.clock, other.cfg.Now = b.clock, b.clock.now
		set := b.switched()
		set(find("a", Critical))
		b.tick(t)
		s := other.sender(t)

		now := meta.StampOf(b.clock.now())
		taken, err := one.TakeNotices(t.Context(), "hook", now, now.Add(claimTime), 1) // and then it is killed
		require.NoError(t, err)
		require.Len(t, taken, 1)
		send(t, s, "hook")
		require.Zero(t, r.count(), "it might be sending still")
		b.clock.pass(claimTime)
		send(t, s, "hook")
		b.clock.pass(claimTime)
		send(t, s, "hook")
		require.Equal(t, 1, r.count())
		require.Equal(t, taken[0].ID, r.got[0].Header.Get(HeaderDelivery), "by this a receiver knows it, had it been sent before")
	})
}
