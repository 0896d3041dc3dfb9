package alerts

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/storage/alerts"
	"gatehouse/storage/meta"
)

// The words of package storage/alerts, which are on every line here.
type (
	// Severity says how soon somebody should look.
	Severity = alerts.Severity
	// View is an alert as others see it.
	View = alerts.View
	// Event is what a notice says, and the body of a webhook.
	Event = alerts.Event
)

// The severities.
const (
	Info     = alerts.Info
	Warning  = alerts.Warning
	Critical = alerts.Critical
)

// The kinds of event.
const (
	Opened   = alerts.Opened
	Changed  = alerts.Changed
	Repeated = alerts.Repeated
	Closed   = alerts.Closed
	Tested   = alerts.Tested
)

// rank orders severities.
func rank(s Severity) int { return slices.Index(alerts.Severities, s) }

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
	// Watches says for people what it watches for.
	Watches string
	// Keys are the configuration keys, below alerts, of its limits.
	Keys []string
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

// line says an event in one line for people.
func line(e Event) string {
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
