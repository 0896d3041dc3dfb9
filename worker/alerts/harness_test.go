package alerts

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/settings"
)

// clock is a time that the test sets.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now().Truncate(time.Second)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func testLimits() Limits {
	return Limits{
		InfectedFor: 24 * time.Hour, Refusals: 3, RefusalsWindow: 10 * time.Minute, ScannerUnready: 2 * time.Minute,
		SignaturesMaxAge: 7 * 24 * time.Hour, DiskWarning: 85, DiskCritical: 95, SnapshotMaxAge: 26 * time.Hour, ReconcileMaxAge: 26 * time.Hour, Trash: 30 * 24 * time.Hour,
		OperatorsFor: 24 * time.Hour, FailedLogins: 5, FailedLoginsWindow: 15 * time.Minute, FailuresBeforeLogin: 3, QueriesPerHour: 100,
		NightFrom: "22:00", NightUntil: "07:00", Timezone: time.UTC,
		MaxWait: map[storage.Lane]time.Duration{storage.LaneScan: 15 * time.Minute},
	}
}

// bench is an engine on a real database, with a clock of its own and rules that the test chooses.
type bench struct {
	*Engine
	clock *clock
}

func newBench(t *testing.T, db *meta.DB, channels ...ChannelConfig) *bench {
	t.Helper()
	c := newClock()
	cfg := Config{Repeat: 4 * time.Hour, History: 90 * 24 * time.Hour, Limits: testLimits(), Channels: channels, Now: c.now, Settings: settings.Values{
		AlertsRefusals: testLimits().Refusals, AlertsQueriesPerHour: 100, AlertsNightFrom: "22:00", AlertsNightUntil: "07:00", AlertsRepeat: 4 * time.Hour,
	}}
	e, err := NewEngine(cfg, db, slog.New(slog.NewTextHandler(t.Output(), nil)))
	require.NoError(t, err)
	return &bench{Engine: e, clock: c}
}

// sender is a sender of the same configuration and clock.
func (b *bench) sender(t *testing.T) *Sender {
	t.Helper()
	s, err := NewSender(b.cfg, b.db, prometheus.NewRegistry(), b.log)
	require.NoError(t, err)
	return s
}

// only makes the engine ask one rule.
func (b *bench) only(t *testing.T, name string) {
	t.Helper()
	for _, r := range Rules(b.cfg.Channels) {
		if r.Name == name {
			b.rules = []Rule{r}
			return
		}
	}
	require.Fail(t, "no such rule", name)
}

// switched is a rule that finds what the test says.
func (b *bench) switched() func(...Finding) {
	var now []Finding
	b.rules = []Rule{{Name: "quota", Find: func(context.Context, *Look) ([]Finding, error) { return now, nil }}}
	return func(f ...Finding) { now = f }
}

func (b *bench) tick(t *testing.T) {
	t.Helper()
	require.NoError(t, b.Tick(t.Context()))
}

// openNow lists the open alerts; a rule that could not be asked fails the test by what it left out.
func (b *bench) openNow(t *testing.T) []meta.Alert {
	t.Helper()
	b.tick(t)
	list, err := b.db.OpenAlerts(t.Context(), "")
	require.NoError(t, err)
	return list
}

// one ticks and gives the one alert that is open.
func (b *bench) one(t *testing.T) meta.Alert {
	t.Helper()
	list := b.openNow(t)
	require.Len(t, list, 1)
	return list[0]
}

// events lists what was told of an alert on a channel, oldest first.
func (b *bench) events(t *testing.T, id, channel string) []Event {
	t.Helper()
	list, err := b.db.NoticesOf(t.Context(), id)
	require.NoError(t, err)
	var out []Event
	for _, n := range list {
		if n.Channel != channel {
			continue
		}
		var e Event
		require.NoError(t, json.Unmarshal([]byte(n.Body), &e))
		require.Equal(t, n.Event, e.Event)
		out = append(out, e)
	}
	return out
}

func kinds(events []Event) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, e.Event)
	}
	return out
}

func logTo(name string) ChannelConfig { return ChannelConfig{Name: name, Kind: KindLog} }
