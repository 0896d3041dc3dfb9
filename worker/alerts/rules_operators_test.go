package alerts

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/alerts"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// at writes a record as of a time.
func (b *bench) auditAt(t *testing.T, when time.Time, e audit.Entry) {
	t.Helper()
	data := "{}"
	for _, word := range []string{"read", "dangerous"} {
		if e.Data[word] == true {
			data = fmt.Sprintf(`{"%s":true,"reason":"\"read\":true \u0000"}`, word)
		}
	}
	if reasons, many := e.Data["reasons"]; many {
		raw, err := json.Marshal(map[string]any{"call": "POST", "reasons": reasons})
		require.NoError(t, err)
		data = string(raw)
	}
	b.inTx(t, func(tx *meta.Tx) error {
		return tx.Create(&meta.AuditRecord{
			At: meta.StampOf(when), ActorKind: e.Actor.Kind, ActorID: e.Actor.ID, ActorRole: e.Actor.Role, Action: e.Action, Target: e.Target,
			Result: e.Result, Code: e.Code, Address: e.Actor.Address, Data: data,
		})
	})
}

func stranger(address string) audit.Actor {
	return audit.Actor{Kind: audit.KindStranger, Address: address}
}

func op(id, address string) audit.Actor {
	return audit.Actor{Kind: audit.KindOperator, ID: id, Role: "ops", Address: address}
}

func subjects(list []meta.Alert) (out []string) {
	for _, a := range list {
		out = append(out, a.Subject)
	}
	return out
}

func TestFailedLogins(t *testing.T) {
	ruleBench(t, "failed_logins", func(t *testing.T, b *bench) {
		now := b.clock.now()
		fail := func(ago time.Duration, name, address string) {
			b.auditAt(t, now.Add(-ago), audit.Entry{Actor: stranger(address), Action: "operator.login", Target: name, Result: audit.Refused, Code: "UNAUTHENTICATED"})
		}
		for i := range 5 { // five, but over an hour and more
			fail(time.Duration(i)*16*time.Minute, "slow", fmt.Sprint("10.0.1.", i))
		}
		for i := range 4 {
			fail(time.Duration(i)*time.Minute, "alex", fmt.Sprint("10.0.2.", i))
		}
		require.Empty(t, b.openNow(t))
		fail(14*time.Minute, "alex", "10.0.2.9")
		a := b.one(t)
		require.Equal(t, "name:alex", a.Subject)
		require.Contains(t, a.Message, `5 failed logins of operators under the name "alex"`)
		for i := range 5 { // names that nobody has, from one address, an hour ago: a worker that was away misses nothing
			fail(time.Hour+time.Duration(i)*time.Second, fmt.Sprint("guess", i), "10.0.3.1")
		}
		require.Equal(t, []string{"name:alex", "address:10.0.3.1"}, subjects(b.openNow(t)))
		fail(0, "alex", "10.0.2.9")
		require.Len(t, b.openNow(t), 2, "one a subject")
		b.clock.pass(24*time.Hour + time.Minute)
		require.Empty(t, b.openNow(t))
	})
}

func TestGuessedLogin(t *testing.T) {
	ruleBench(t, "guessed_login", func(t *testing.T, b *bench) {
		now := b.clock.now().Add(-3 * time.Hour)
		login := func(after time.Duration, name, result string) {
			who := stranger("10.0.0.1")
			if result == audit.OK {
				who = op("op-"+name, "10.0.0.1")
			}
			b.auditAt(t, now.Add(after), audit.Entry{Actor: who, Action: "operator.login", Target: name, Result: result})
		}
		for i, result := range []string{audit.Refused, audit.Refused, audit.OK, audit.Refused, audit.OK} {
			login(time.Duration(i)*time.Minute, "two", result)
		}
		for i, result := range []string{audit.Refused, audit.Refused, audit.Refused} {
			login(time.Duration(i)*time.Minute, "late", result)
			login(time.Duration(i)*time.Minute, "alex", result)
		}
		login(2*time.Hour, "late", audit.OK)
		require.Empty(t, b.openNow(t))
		login(4*time.Minute, "alex", audit.OK)
		a := b.one(t)
		require.Equal(t, "alex", a.Subject)
		require.Equal(t, "critical", a.Severity)
		require.Contains(t, a.Message, "10.0.0.1")
		b.clock.pass(22 * time.Hour)
		require.Empty(t, b.openNow(t))
	})
}

func TestManyQueries(t *testing.T) {
	ruleBench(t, "many_queries", func(t *testing.T, b *bench) {
		b.cfg.Settings.AlertsQueriesPerHour = 5
		now := b.clock.now()
		read := func(ago time.Duration, id string) {
			b.auditAt(t, now.Add(-ago), audit.Entry{Actor: op(id, ""), Action: "asset.list", Result: audit.OK, Data: map[string]any{"read": true}})
		}
		for i := range 6 {
			read(time.Duration(i)*13*time.Minute, "slow")
			b.auditAt(t, now, audit.Entry{Actor: op("writer", ""), Action: "plan.set", Result: audit.OK, Data: map[string]any{"dangerous": true}})
		}
		for i := range 5 {
			read(time.Duration(i)*time.Minute, "alex")
		}
		require.Empty(t, b.openNow(t))
		read(59*time.Minute, "alex")
		a := b.one(t)
		require.Equal(t, "operator:alex", a.Subject)
		require.Contains(t, a.Message, "has read more than 5 lists or pages within an hour: 6 in")
		b.inTx(t, func(tx *meta.Tx) error {
			return tx.SaveSetting(meta.Setting{Name: "alerts.queries_per_hour", Value: "6", UpdatedAt: meta.Now()})
		})
		require.Empty(t, b.openNow(t), "operators may raise the limit while it runs")
	})
}

func TestNightChanges(t *testing.T) {
	ruleBench(t, "night_changes", func(t *testing.T, b *bench) {
		b.clock.at = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
		evening := time.Date(2026, 11, 21, 22, 0, 0, 0, time.UTC)
		did := func(when time.Time, who audit.Actor, action, result string, data map[string]any) {
			b.auditAt(t, when, audit.Entry{Actor: who, Action: action, Target: "pro", Result: result, Data: data})
		}
		did(evening.Add(-time.Second), op("alex", ""), "plan.set", audit.OK, nil)
		did(evening.Add(9*time.Hour), op("alex", ""), "plan.set", audit.OK, nil)
		did(evening.Add(time.Hour), op("alex", ""), "plan.set", audit.Refused, nil)
		did(evening.Add(time.Hour), op("alex", ""), "operator.login", audit.OK, nil)
		did(evening.Add(time.Hour), op("alex", ""), "plan.list", audit.OK, map[string]any{"read": true})
		did(evening.Add(time.Hour), audit.Worker, "snapshot.create", audit.OK, nil)
		require.Empty(t, b.openNow(t))
		did(evening, op("alex", ""), "plan.set", audit.OK, map[string]any{"dangerous": true})
		did(evening.Add(9*time.Hour-time.Second), op("alex", ""), "plan.remove", audit.OK, nil)
		did(evening.Add(time.Hour), audit.Actor{Kind: audit.KindCLI, ID: "root"}, "tenant.create", audit.OK, nil)
		list := b.openNow(t)
		require.Equal(t, []string{"cli:root 2026-11-21", "operator:alex 2026-11-21"}, subjects(list))
		require.Contains(t, list[1].Message, "2 changes")
		require.Contains(t, list[1].Message, `plan.remove of "pro"`)
		b.inTx(t, func(tx *meta.Tx) error {
			return tx.SaveSetting(meta.Setting{Name: "alerts.night_from", Value: `"07:00"`, UpdatedAt: meta.Now()})
		})
		require.Empty(t, b.openNow(t), "both the same: never")
	})
}

func TestNightsFollowTheClockOnTheWall(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	l := Limits{NightFrom: "22:00", NightUntil: "07:00", Timezone: berlin}
	noon := time.Date(2026, 10, 25, 11, 0, 0, 0, time.UTC) // summer time ended in that night
	nights, err := nightsBetween(noon.Add(-24*time.Hour), noon, l)
	require.NoError(t, err)
	require.Len(t, nights, 1)
	require.Equal(t, 10*time.Hour, nights[0].until.Sub(nights[0].from))
	l.NightFrom, l.NightUntil = "01:00", "05:00"
	nights, err = nightsBetween(noon.Add(-48*time.Hour), noon, l)
	require.NoError(t, err)
	require.Len(t, nights, 2)
	require.Equal(t, 5*time.Hour, nights[1].until.Sub(nights[1].from))
}

func TestNewAddress(t *testing.T) {
	ruleBench(t, "new_address", func(t *testing.T, b *bench) {
		from := func(ago time.Duration, id, address string) {
			b.auditAt(t, b.clock.now().Add(-ago), audit.Entry{Actor: op(id, address), Action: "plan.list", Result: audit.OK})
		}
		from(time.Hour, "alex", "10.0.0.1")
		a := b.one(t)
		require.Equal(t, "info", a.Severity, "the first of all has to be new")
		from(time.Minute, "alex", "10.0.0.1")
		require.Equal(t, a.ID, b.one(t).ID)
		from(time.Minute, "alex", "10.0.0.2")
		from(time.Minute, "kim", "2001:db8:1:2:aaaa::1")
		from(time.Second, "kim", "2001:db8:1:2:bbbb::2")
		list := b.openNow(t)
		require.Equal(t, []string{"operator:alex 10.0.0.1", "operator:alex 10.0.0.2", "operator:kim 2001:db8:1:2::/64"}, subjects(list))
		require.Equal(t, []string{"info", "warning", "info"}, []string{list[0].Severity, list[1].Severity, list[2].Severity})
		b.clock.pass(25 * time.Hour)
		require.Empty(t, b.openNow(t))
		from(0, "alex", "10.0.0.1")
		from(0, "alex", "10.0.0.2")
		require.Empty(t, b.openNow(t), "it was seen before, whatever the log still has")
	})
}

func TestRefusedAndDangerousCalls(t *testing.T) {
	for rule, test := range map[string]func(t *testing.T, b *bench){
		"refused_calls": func(t *testing.T, b *bench) {
			a := b.one(t)
			require.Equal(t, "info", a.Severity)
			require.Contains(t, a.Message, "1 call of the operator:alex was refused in the last 1d 0h for want of a fresh second factor; the last was tenant.destroy")
			b.auditAt(t, b.clock.now(), audit.Entry{Actor: op("alex", "10.0.0.1"), Action: "plan.remove", Result: audit.Refused, Code: "FORBIDDEN"})
			worse := b.one(t)
			require.Equal(t, a.ID, worse.ID)
			require.Equal(t, "warning", worse.Severity)
			require.Contains(t, worse.Message, "The operator:alex (ops) was refused calls as FORBIDDEN, 1 time")
		},
		"dangerous_calls": func(t *testing.T, b *bench) {
			require.Empty(t, b.openNow(t), "that is told by the other rule")
			dangerous := func(result, code string) {
				b.auditAt(t, b.clock.now(), audit.Entry{Actor: op("alex", ""), Action: "tenant.destroy", Target: "t1", Result: result, Code: code, Data: map[string]any{"dangerous": true}})
			}
			dangerous(audit.OK, "")
			require.Empty(t, b.openNow(t))
			dangerous(audit.Refused, "CONFLICT")
			dangerous(audit.Failed, "INTERNAL")
			require.Contains(t, b.one(t).Message, `2 dangerous calls of the operator:alex came to nothing in the last 1d 0h, 1 of them by a fault of the system; the last was tenant.destroy of "t1"`)
		},
	} {
		t.Run(rule, func(t *testing.T) {
			ruleBench(t, rule, func(t *testing.T, b *bench) {
				now := b.clock.now()
				b.auditAt(t, now, audit.Entry{Actor: op("alex", ""), Action: "tenant.destroy", Result: audit.Refused, Code: "MFA_REQUIRED", Data: map[string]any{"dangerous": true}})
				b.auditAt(t, now, audit.Entry{Actor: op("kim", ""), Action: "plan.set", Result: audit.Refused, Code: "MALFORMED_REQUEST"})
				b.auditAt(t, now, audit.Entry{Actor: audit.Actor{Kind: audit.KindKey, ID: "k"}, Action: "asset.upload", Result: audit.Refused, Code: "FORBIDDEN"})
				test(t, b)
			})
		})
	}
}

// What is told to others names every rule, its limits in force, and no address of a channel.
func TestConfigured(t *testing.T) {
	b := newBench(t, nil, logTo("log"))
	c := b.Configured()
	require.Len(t, c.Rules, len(RuleNames())-2, "the one that looks at the store is not on here, and a checkpoint is told without being looked for")
	limits := b.cfg.Limits.values()
	for i, r := range Rules(nil) {
		require.NotEmpty(t, c.Rules[i].Watches, r.Name)
		for _, key := range r.Keys {
			if key != "max_wait" {
				require.Contains(t, limits, key)
			}
		}
	}
	for _, r := range c.Rules {
		if r.Name == "many_queries" {
			require.Equal(t, map[string]any{"alerts.queries_per_hour": int64(100), "alerts.operators_for": "24h0m0s"}, r.Thresholds)
		}
	}
}

// operatorsMisbehave makes every rule about operators fire.
func (b *bench) operatorsMisbehave(t *testing.T) {
	t.Helper()
	b.cfg.Settings.AlertsQueriesPerHour = 1
	b.cfg.Settings.AlertsNightFrom, b.cfg.Settings.AlertsNightUntil = "00:00", "23:59"
	now := b.clock.now()
	for i := range 5 {
		b.auditAt(t, now.Add(time.Duration(i-9)*time.Second), audit.Entry{Actor: stranger("10.0.0.1"), Action: "operator.login", Target: "alex", Result: audit.Refused})
	}
	alex := op("01a2037b-04a7-7dbf-a104-fe4724df63d3", "10.0.0.1")
	b.auditAt(t, now, audit.Entry{Actor: alex, Action: "operator.login", Target: "alex", Result: audit.OK})
	for range 2 {
		b.auditAt(t, now, audit.Entry{Actor: alex, Action: "tenant.list", Result: audit.OK, Data: map[string]any{"read": true}})
	}
	b.auditAt(t, now.Add(-2*time.Minute), audit.Entry{Actor: alex, Action: "plan.set", Target: "pro", Result: audit.OK})
	b.auditAt(t, now, audit.Entry{Actor: alex, Action: "plan.remove", Result: audit.Refused, Code: "FORBIDDEN"})
	b.auditAt(t, now, audit.Entry{Actor: alex, Action: "plan.remove", Target: "pro", Result: audit.Refused, Code: "CONFLICT", Data: map[string]any{"dangerous": true}})
}

// A test that somebody asked for in another program is tried once, and says what came of it.
func TestChannelIsTriedOnce(t *testing.T) {
	db := metatest.SQLite(t)
	r := newReceiver(t, status(500))
	b := newBench(t, db, hookTo(r.URL))
	b.only(t, ruleChannel)
	ask := func() (n meta.Notice) {
		b.inTx(t, func(tx *meta.Tx) error {
			var err error
			n, err = alerts.QueueTest(tx, "hook")
			return err
		})
		b.clock.at = time.Now().Add(time.Second)
		send(t, b.sender(t), "hook")
		n, err := db.NoticeBy(t.Context(), n.ID)
		require.NoError(t, err)
		return n
	}
	n := ask()
	require.Equal(t, []any{"HTTP 500", 1}, []any{n.Problem, n.Attempts})
	require.NotZero(t, n.EndedAt)
	require.Empty(t, b.openNow(t), "whoever tried it knows")
	r.says(status(204))
	n = ask()
	require.Empty(t, n.Problem)
	require.NotZero(t, n.EndedAt)
	require.Contains(t, r.bodies[1], `"event":"test"`)
	require.Equal(t, 2, r.count())
}
