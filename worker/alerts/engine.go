package alerts

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"gatehouse/storage/alerts"
	"gatehouse/storage/meta"
	"gatehouse/storage/settings"
)

// ruleTime bounds the questions of one rule: they are indexed and take milliseconds. A database in trouble must not hold
// up the rules that could still be asked. What is found is written without it: thousands of alerts may open at once.
const ruleTime = 15 * time.Second

// Config is what the engine and the sender are told.
type Config struct {
	// Repeat is the pace at which an alert that nobody has acknowledged is told again.
	Repeat time.Duration
	// History is how long an alert that is over is kept.
	History  time.Duration
	Limits   Limits
	Channels []ChannelConfig
	// Manifest reads the manifest of a snapshot where it lies; nil does not look.
	Manifest func(ctx context.Context, id string) error
	// All are the channels as others are told of them, those that are off too.
	All []alerts.Channel
	// Settings are what operators may change at run time, as it is configured.
	Settings settings.Values
	// Now is the clock; nil is the real one.
	Now func() time.Time
}

func (c Config) now() meta.Stamp {
	if c.Now != nil {
		return meta.StampOf(c.Now())
	}
	return meta.Now()
}

// Engine asks the rules and keeps the alerts.
type Engine struct {
	cfg   Config
	db    *meta.DB
	rules []Rule
	log   *slog.Logger
}

// NewEngine makes an engine with all rules; the sender of the same Config tells what it writes down.
func NewEngine(cfg Config, db *meta.DB, log *slog.Logger) (*Engine, error) {
	if err := checkChannels(cfg.Channels); err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, db: db, rules: Rules(cfg.Channels), log: log}
	if cfg.Manifest != nil {
		e.rules = append(e.rules, snapshotGoneRule(cfg.Manifest))
	}
	return e, nil
}

// Tick asks every rule once. A rule that fails is logged and changes nothing; the others go on. Without the database
// none is asked.
func (e *Engine) Tick(ctx context.Context) error {
	if err := e.db.Ping(ctx); err != nil {
		return err
	}
	set, err := settings.Read(ctx, e.db, e.cfg.Settings)
	if err != nil {
		return err
	}
	now := e.under(set)
	for _, r := range e.rules {
		if err := now.ask(ctx, r); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			e.log.Error("alert rule", "rule", r.Name, "error", err)
		}
	}
	return e.tidy(ctx)
}

// under is the engine with the limits that operators have set.
func (e *Engine) under(set settings.Values) *Engine {
	out := *e
	out.cfg.Repeat = set.AlertsRepeat
	out.cfg.Limits.Refusals, out.cfg.Limits.QueriesPerHour = set.AlertsRefusals, set.AlertsQueriesPerHour
	out.cfg.Limits.NightFrom, out.cfg.Limits.NightUntil = string(set.AlertsNightFrom), string(set.AlertsNightUntil)
	return &out
}

func (e *Engine) ask(ctx context.Context, r Rule) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	look := &Look{DB: e.db, Limits: e.cfg.Limits, Now: e.cfg.now()}
	found, err := e.find(ctx, r, look)
	if err != nil {
		return err
	}
	if err := e.apply(ctx, r.Name, look, found); err != nil {
		return err
	}
	for _, fn := range look.after {
		if err := fn(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) find(ctx context.Context, r Rule, look *Look) (found []Finding, err error) {
	ctx, cancel := context.WithTimeout(ctx, ruleTime)
	defer cancel()
	if look.Open, err = e.db.OpenAlerts(ctx, r.Name); err != nil {
		return nil, fmt.Errorf("read its open alerts: %w", err)
	}
	return r.Find(ctx, look)
}

// apply brings the alerts of a rule in line with what it found. Each alert that changes is a transaction of its own.
func (e *Engine) apply(ctx context.Context, rule string, look *Look, found []Finding) error {
	open := map[string]meta.Alert{}
	for _, a := range look.Open {
		open[a.Subject] = a
	}
	seen := map[string]bool{}
	var same []string
	var errs []error
	for _, f := range found {
		f.Subject = fitSubject(f.Subject)
		if seen[f.Subject] {
			continue
		}
		seen[f.Subject] = true
		if was, ok := open[f.Subject]; ok {
			delete(open, f.Subject)
			changed, err := e.keep(ctx, was, f, look.Now)
			if errs = append(errs, err); !changed {
				same = append(same, was.ID)
			}
			continue
		}
		errs = append(errs, e.open(ctx, rule, f, look.Now))
	}
	for _, was := range open {
		now := was
		now.ClosedAt, now.SentAt = look.Now, look.Now
		errs = append(errs, e.save(ctx, was, now, Closed))
	}
	return joinSome(append(errs, e.db.SawAlerts(ctx, same, look.Now)))
}

// errorsTold is how many errors of one rule are told: a database in trouble has the same for thousands of alerts.
const errorsTold = 3

func joinSome(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if more := len(errs) - errorsTold; more > 0 {
		return fmt.Errorf("%w\nand %d more", errors.Join(errs[:errorsTold]...), more)
	}
	return errors.Join(errs...)
}

// subjectBytes is what the column of the subject holds.
const subjectBytes = 190

// fitSubject shortens a long subject in a way that keeps it its own.
func fitSubject(s string) string {
	if len(s) <= subjectBytes {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return clip(s, subjectBytes-17) + "#" + hex.EncodeToString(sum[:8])
}

func (e *Engine) open(ctx context.Context, rule string, f Finding, now meta.Stamp) error {
	a := meta.Alert{Rule: rule, Subject: f.Subject, OpenedAt: now, SentAt: now}
	if err := fill(&a, f, now); err != nil {
		return err
	}
	return e.db.InTx(ctx, func(tx *meta.Tx) error {
		created, err := tx.OpenAlert(&a)
		if err != nil || !created {
			return err // another engine was quicker
		}
		return e.tell(tx, a, Opened, "")
	})
}

// messageBytes is what the column of the message holds, in characters; bytes are never fewer.
const messageBytes = 1000

// fill writes what a finding says into an alert.
func fill(a *meta.Alert, f Finding, now meta.Stamp) error {
	facts, err := json.Marshal(cmpFacts(f.Facts))
	if err != nil {
		return fmt.Errorf("facts of %s: %w", f.Subject, err)
	}
	a.TenantID, a.Severity, a.SeenAt, a.Data = f.TenantID, string(f.Severity), now, string(facts)
	a.Message = clip(oneLine(f.Message), messageBytes)
	return nil
}

func cmpFacts(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// keep goes on with an alert whose rule still says so. A rise of its severity is news: it takes an acknowledgement back.
// One of which nothing is new is not written, and reported as unchanged.
func (e *Engine) keep(ctx context.Context, was meta.Alert, f Finding, at meta.Stamp) (changed bool, err error) {
	now := was
	if err := fill(&now, f, at); err != nil {
		return true, err
	}
	event := ""
	switch {
	case now.Severity != was.Severity:
		event, now.SentAt = Changed, at
		if rank(Severity(now.Severity)) > rank(Severity(was.Severity)) {
			now.AcknowledgedAt, now.AcknowledgedBy = 0, ""
		}
	case was.AcknowledgedAt == 0 && at >= was.SentAt.Add(e.cfg.Repeat):
		event, now.SentAt = Repeated, at
	}
	if event == "" && now.Message == was.Message && now.Data == was.Data && now.TenantID == was.TenantID {
		return false, nil
	}
	return true, e.save(ctx, was, now, event)
}

// save writes the new state of an alert and what is to be told of it; nothing when another engine has been quicker.
func (e *Engine) save(ctx context.Context, was, now meta.Alert, event string) error {
	return e.db.InTx(ctx, func(tx *meta.Tx) error {
		saved, err := tx.SaveAlert(was, now)
		if err != nil || !saved || event == "" {
			return err
		}
		return e.tell(tx, now, event, Severity(was.Severity))
	})
}

// tell queues a notice for each channel that wants the event, in the transaction of the alert's change.
func (e *Engine) tell(tx *meta.Tx, a meta.Alert, event string, was Severity) error {
	var told []string
	if event != Opened {
		var err error
		if told, err = tx.ChannelsTold(a.ID); err != nil {
			return err
		}
	}
	now := cmp.Or(a.ClosedAt, a.SeenAt)
	view := alerts.ViewOf(a, now)
	if event == Changed {
		view.Was = was
	}
	body, err := json.Marshal(Event{Event: event, At: now.Time(), Alert: view})
	if err != nil {
		return err
	}
	for _, c := range e.cfg.Channels {
		if !c.wants(a, event, told) {
			continue
		}
		n := meta.Notice{ID: meta.NewID(), AlertID: a.ID, Channel: c.Name, Event: event, Body: string(body), NextAt: now, CreatedAt: now}
		if err := tx.AddNotice(n); err != nil {
			return fmt.Errorf("queue the notice: %w", err)
		}
	}
	return nil
}

// forgetBatch bounds one step of tidying; the next tick does the next.
const forgetBatch = 500

// tidy removes what nobody asks for any more.
func (e *Engine) tidy(ctx context.Context) error {
	now := e.cfg.now()
	var channels []string
	for _, c := range e.cfg.Channels {
		channels = append(channels, c.Name)
	}
	// A sender gives up its own; these have none, also not in another worker that is configured otherwise.
	n, err := e.db.EndNoticesOfOthers(ctx, channels, now.Add(-giveUp-time.Hour), now, "the channel is not configured any more")
	if n > 0 {
		e.log.Warn("gave up messages of channels that are not configured any more", "messages", n)
	}
	return errors.Join(err,
		e.db.ForgetTests(ctx, now.Add(-e.cfg.History)),
		e.db.ForgetAlerts(ctx, now.Add(-e.cfg.History), forgetBatch),
		e.db.ForgetDisks(ctx, now.Add(-wordsKept)), e.db.ForgetScanners(ctx, now.Add(-wordsKept)))
}
