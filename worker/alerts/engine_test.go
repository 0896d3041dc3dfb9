package alerts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/alerts"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

func find(subject string, s Severity) Finding {
	return Finding{Subject: subject, Severity: s, Message: "Something about " + subject + " is wrong.", Facts: map[string]any{"n": 1}}
}

func TestLifeOfAnAlert(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		b := newBench(t, db, logTo("all"), ChannelConfig{Name: "worst", Kind: KindLog, Severities: []string{"critical"}},
			ChannelConfig{Name: "other", Kind: KindLog, Rules: []string{"disk"}})
		set := b.switched()
		require.Empty(t, b.openNow(t))

		set(find("a", Warning))
		a := b.one(t)
		b.clock.pass(time.Minute)
		require.Equal(t, a.ID, b.one(t).ID, "it opens once")
		b.clock.pass(4*time.Hour - 2*time.Minute)
		b.tick(t)
		require.Equal(t, []string{Opened}, kinds(b.events(t, a.ID, "all")), "it is not repeated before its time")
		b.clock.pass(time.Minute)
		b.tick(t)
		require.Equal(t, []string{Opened, Repeated}, kinds(b.events(t, a.ID, "all")))

		set(find("a", Critical))
		b.tick(t)
		last := b.events(t, a.ID, "all")[2]
		require.Equal(t, Changed, last.Event)
		require.Equal(t, Warning, last.Alert.Was)
		require.Equal(t, Critical, last.Alert.Severity)
		require.Equal(t, []string{Changed}, kinds(b.events(t, a.ID, "worst")), "now it concerns them too")

		set(find("a", Info))
		b.tick(t)
		set()
		b.clock.pass(time.Hour)
		require.Empty(t, b.openNow(t))
		require.Equal(t, []string{Opened, Repeated, Changed, Changed, Closed}, kinds(b.events(t, a.ID, "all")))
		require.Equal(t, []string{Changed, Changed, Closed}, kinds(b.events(t, a.ID, "worst")), "who was told of it is told how it goes on")
		require.Empty(t, b.events(t, a.ID, "other"))
		end := b.events(t, a.ID, "all")[4].Alert
		require.EqualValues(t, 5*3600, end.LastedSeconds)
		require.NotNil(t, end.ClosedAt)
		require.Equal(t, "[OVER after 5h 0m] Something about a is wrong.", line(b.events(t, a.ID, "all")[4]))

		set(find("a", Warning))
		require.NotEqual(t, a.ID, b.one(t).ID, "what comes again is a new alert")
	})
}

func TestAcknowledgedAlertsAreNotRepeated(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		b := newBench(t, db, logTo("log"))
		set := b.switched()
		set(find("a", Warning))
		a := b.one(t)
		acked, err := alerts.Acknowledge(t.Context(), db, a.ID, audit.Actor{Kind: audit.CLI.Kind, ID: "ann"}, alerts.By{Name: "ann"})
		require.NoError(t, err)
		require.Equal(t, "ann", acked.AcknowledgedBy)
		b.clock.pass(24 * time.Hour)
		b.tick(t)
		require.Equal(t, []string{Opened}, kinds(b.events(t, a.ID, "log")))

		set(find("a", Critical))
		b.tick(t)
		b.clock.pass(4 * time.Hour)
		b.tick(t)
		require.Equal(t, []string{Opened, Changed, Repeated}, kinds(b.events(t, a.ID, "log")), "worse than what was acknowledged")
		records, err := db.AuditAfter(t.Context(), 0, "alert.acknowledge", 10)
		require.NoError(t, err)
		require.Len(t, records, 1)
		require.Equal(t, a.ID, records[0].Target)

		set()
		b.tick(t)
		_, err = alerts.Acknowledge(t.Context(), db, a.ID, audit.Actor{Kind: audit.CLI.Kind, ID: "ann"}, alerts.By{Name: "ann"})
		require.ErrorIs(t, err, storage.ErrNotFound)
	})
}

// Engines in two programs that decide at the same time open, repeat and close once.
func TestEnginesThatRace(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		b1, b2 := newBench(t, one, logTo("log")), newBench(t, two, logTo("log"))
		b2.clock, b2.cfg.Now = b1.clock, b1.clock.now
		set1, set2 := b1.switched(), b2.switched()
		both := func() {
			var all sync.WaitGroup
			for _, b := range []*bench{b1, b2, b1, b2} {
				all.Go(func() {
					if err := b.Tick(context.Background()); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
		for range 5 {
			set1(find("a", Warning))
			set2(find("a", Warning))
			both()
			list, err := one.OpenAlerts(t.Context(), "")
			require.NoError(t, err)
			require.Len(t, list, 1)
			b1.clock.pass(5 * time.Hour)
			both()
			set1()
			set2()
			b1.clock.pass(time.Minute)
			both()
			require.Equal(t, []string{Opened, Repeated, Closed}, kinds(b1.events(t, list[0].ID, "log")))
			b1.clock.pass(time.Minute)
		}
	})
}

// A crash is a transaction that does not commit: the change and what is to be told of it are there or not, together.
func TestCrashBetweenAlertAndNotice(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		b := newBench(t, db, logTo("log"))
		set := b.switched()
		set(find("a", Warning))
		crash := errors.New("the power is out")
		a := meta.Alert{Rule: "quota", Subject: "a", Severity: "warning", Data: "{}", OpenedAt: 1, SeenAt: 1, SentAt: 1}
		err := db.InTx(t.Context(), func(tx *meta.Tx) error {
			if _, err := tx.OpenAlert(&a); err != nil {
				return err
			}
			return errors.Join(b.tell(tx, a, Opened, ""), crash)
		})
		require.ErrorIs(t, err, crash)
		notices, err := db.NoticesOf(t.Context(), a.ID)
		require.NoError(t, err)
		require.Empty(t, notices)

		got := b.one(t)
		require.Equal(t, []string{Opened}, kinds(b.events(t, got.ID, "log")), "it is opened and told once")
		b.tick(t)
		require.Equal(t, []string{Opened}, kinds(b.events(t, got.ID, "log")))
	})
}

// A rule that cannot be asked, or panics, changes nothing and holds up no other.
func TestRulesThatFail(t *testing.T) {
	db := metatest.SQLite(t)
	b := newBench(t, db, logTo("log"))
	fine := []Finding{find("a", Warning)}
	broken := false
	b.rules = []Rule{
		{Name: "disk", Find: func(context.Context, *Look) ([]Finding, error) {
			if broken {
				return nil, errors.New("the database is away")
			}
			return []Finding{find("a", Warning)}, nil
		}},
		{Name: "scanner", Find: func(context.Context, *Look) ([]Finding, error) { panic("a fault of ours") }},
		{Name: "quota", Find: func(context.Context, *Look) ([]Finding, error) { return fine, nil }},
	}
	require.Len(t, b.openNow(t), 2)
	broken, fine = true, nil
	left := b.one(t)
	require.Equal(t, "disk", left.Rule, "what could not be looked at is not over")
}

// What a rule finds is written without its time limit, and alerts of which nothing is new with one statement.
func TestManyFindings(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		b := newBench(t, db, logTo("log"))
		var list []Finding
		for n := range 30 {
			list = append(list, find(fmt.Sprint(n), Warning))
		}
		b.rules = []Rule{{Name: "quota", Find: func(ctx context.Context, look *Look) ([]Finding, error) {
			_, bounded := ctx.Deadline()
			require.True(t, bounded)
			look.Afterwards(func(ctx context.Context) error {
				_, bounded := ctx.Deadline()
				require.False(t, bounded)
				return nil
			})
			return list, nil
		}}}
		b.tick(t)
		b.clock.pass(time.Minute)
		list[7].Message = "Something else."
		open := b.openNow(t)
		require.Len(t, open, 30)
		for n, a := range open {
			require.Equal(t, meta.StampOf(b.clock.now()), a.SeenAt)
			require.Equal(t, list[n].Message, a.Message)
		}
	})
}

func TestDatabaseAway(t *testing.T) {
	db := metatest.SQLite(t)
	b := newBench(t, db, logTo("log"))
	set := b.switched()
	set(find("a", Warning))
	a := b.one(t)
	away, cancel := context.WithCancel(t.Context())
	cancel()
	set()
	require.Error(t, b.Tick(away))
	list, err := db.OpenAlerts(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []meta.Alert{a}, list)
}

func TestLongAndStrangeFindings(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		b := newBench(t, db, logTo("log"))
		set := b.switched()
		long := strings.Repeat("长", 200)
		set(Finding{Subject: long + "1", Severity: Info, Message: strings.Repeat("消息", 600) + "\x00\n"},
			Finding{Subject: long + "2", Severity: Info}, Finding{Subject: long + "2", Severity: Info})
		require.Len(t, b.openNow(t), 2, "subjects stay their own when they are shortened")
		require.Len(t, b.openNow(t), 2)
	})
}

func TestOldAlertsAreForgotten(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		b := newBench(t, db, logTo("log"))
		set := b.switched()
		set(find("old", Info), find("lasting", Info))
		old := b.openNow(t)[0]
		set(find("lasting", Info))
		b.tick(t)
		b.clock.pass(90 * 24 * time.Hour)
		b.tick(t)
		closed, err := db.ClosedAlerts(t.Context(), 10)
		require.NoError(t, err)
		require.Len(t, closed, 1)
		b.clock.pass(time.Minute)
		require.Len(t, b.openNow(t), 1)
		closed, err = db.ClosedAlerts(t.Context(), 10)
		require.NoError(t, err)
		require.Empty(t, closed)
		notices, err := db.NoticesOf(t.Context(), old.ID)
		require.NoError(t, err)
		require.Empty(t, notices)
	})
}

func TestSpelling(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", 90 * time.Second: "1m", 3*time.Hour + 5*time.Minute: "3h 5m", 50 * time.Hour: "2d 2h",
	} {
		require.Equal(t, want, spell(d))
	}
	require.Equal(t, "ab…", clip("abcdef", 5))
	require.Equal(t, "长…", clip("长长长", 8))
	require.Equal(t, "a b", oneLine("a\nb"))
}
