package alerts

import (
	"encoding/json"
	"time"

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
