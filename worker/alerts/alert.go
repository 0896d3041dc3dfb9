package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/storage/meta"
)

// Severity says how soon somebody should look.
type Severity string

// The severities: info for the next working day, warning for today, critical for now.
const (
	Info     Severity = "info"
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// Severities lists them, the least first.
var Severities = []Severity{Info, Warning, Critical}

// rank orders severities.
func (s Severity) rank() int {
	for i, other := range Severities {
		if s == other {
			return i
		}
	}
	return -1
}

// Finding is something that a rule sees now.
type Finding struct {
	// Subject tells it from other findings of the rule, and is the same every time it is seen.
	Subject  string
	TenantID string
	Severity Severity
	// Message is a sentence or two for people; it may change while the alert is open.
	Message string
	Facts   map[string]any
}

// Rule is one thing that is watched for.
type Rule struct {
	Name string
	// Find says all that is wrong now. An error changes nothing: what is open stays open.
	Find func(ctx context.Context, look *Look) ([]Finding, error)
}

// Look is what a rule works with, once.
type Look struct {
	DB     *meta.DB
	Limits Limits
	Now    meta.Stamp
	// Open are the rule's alerts that are open.
	Open []meta.Alert

	after []func(context.Context) error
}

// wordsKept is how long the last word of a program that has died counts for the alerts that it had opened. A machine that
// is full takes its programs with it: an alert that ended with them would say that all is well.
const wordsKept = 24 * time.Hour

// isOpen reports whether the rule has an open alert about the subject.
func (l *Look) isOpen(subject string) bool {
	subject = fitSubject(subject)
	return slices.ContainsFunc(l.Open, func(a meta.Alert) bool { return a.Subject == subject })
}

// Afterwards registers what is to be done once the alerts of this look are written.
func (l *Look) Afterwards(fn func(context.Context) error) { l.after = append(l.after, fn) }

// Event is what a notice says, and the body of a webhook.
type Event struct {
	Event string    `json:"event"`
	At    time.Time `json:"at"`
	Alert View      `json:"alert"`
}

// The kinds of event.
const (
	Opened   = "opened"
	Changed  = "changed"
	Repeated = "repeated"
	Closed   = "closed"
	// Tested is about no alert: somebody tries the channel.
	Tested = "test"
)

// View is an alert as others see it.
type View struct {
	ID       string   `json:"id"`
	Rule     string   `json:"rule"`
	Subject  string   `json:"subject"`
	TenantID string   `json:"tenant_id,omitempty"`
	Severity Severity `json:"severity"`
	// Was is the severity before, of an event that changes it.
	Was            Severity        `json:"was,omitempty"`
	Message        string          `json:"message"`
	Facts          json.RawMessage `json:"facts"`
	OpenedAt       time.Time       `json:"opened_at"`
	AcknowledgedAt *time.Time      `json:"acknowledged_at,omitempty"`
	AcknowledgedBy string          `json:"acknowledged_by,omitempty"`
	ClosedAt       *time.Time      `json:"closed_at,omitempty"`
	// LastedSeconds is how long it has been open.
	LastedSeconds int64 `json:"lasted_seconds"`
}

// ViewOf shows an alert as it is at a time.
func ViewOf(a meta.Alert, now meta.Stamp) View {
	end := now
	if a.ClosedAt != 0 {
		end = a.ClosedAt
	}
	return View{
		ID: a.ID, Rule: a.Rule, Subject: a.Subject, TenantID: a.TenantID, Severity: Severity(a.Severity), Message: a.Message,
		Facts: json.RawMessage(a.Data), OpenedAt: a.OpenedAt.Time(), AcknowledgedAt: a.AcknowledgedAt.TimeIfSet(),
		AcknowledgedBy: a.AcknowledgedBy, ClosedAt: a.ClosedAt.TimeIfSet(),
		LastedSeconds: int64(end.Time().Sub(a.OpenedAt.Time()).Seconds()),
	}
}

// line says an event in one line for people.
func (e Event) line() string {
	head := strings.ToUpper(string(e.Alert.Severity))
	lasted := spell(time.Duration(e.Alert.LastedSeconds) * time.Second)
	switch e.Event {
	case Changed:
		head += ", was " + strings.ToUpper(string(e.Alert.Was))
	case Repeated:
		head += ", for " + lasted
	case Closed:
		head = "OVER after " + lasted
	}
	return fmt.Sprintf("[%s] %s", head, oneLine(e.Alert.Message))
}

// spell writes a duration with its two largest units: 3d 4h, 2h 5m, 40s.
func spell(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd %dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// oneLine keeps names from outside from making lines of their own.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// clip cuts s to at most n bytes of valid UTF-8, with an ellipsis where something is missing.
func clip(s string, n int) string {
	const dots = "…"
	if len(s) <= n {
		return s
	}
	s = s[:max(n-len(dots), 0)]
	for len(s) > 0 && !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + dots
}
