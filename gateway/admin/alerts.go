package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/alerts"
	"gatehouse/storage/meta"
	"gatehouse/storage/settings"
)

// Alert is an alert in a list.
type Alert struct {
	alerts.View
	// State is open or closed.
	State string `json:"state"`
	// Tenant is what the tenant is called now.
	Tenant string `json:"tenant,omitempty"`
}

// The states of an alert.
const (
	AlertOpen   = "open"
	AlertClosed = "closed"
)

// AlertQuestion narrows a list of alerts; empty fields do not.
type AlertQuestion struct {
	State, Severity, Rule, Tenant, Text string
}

// Alerts lists alerts, the newest first: at most limit before the one with the given id.
func (a Admin) Alerts(ctx context.Context, q AlertQuestion, before string, limit int) ([]Alert, error) {
	f := meta.AlertFilter{Severity: q.Severity, Rule: q.Rule, Text: q.Text}
	if q.State != "" {
		if err := oneOf("state", q.State, []string{AlertOpen, AlertClosed}); err != nil {
			return nil, err
		}
		open := q.State == AlertOpen
		f.Open = &open
	}
	if err := oneOf("severity", q.Severity, textsOf(alerts.Severities)); err != nil {
		return nil, err
	}
	if q.Tenant != "" {
		id, err := a.tenantID(ctx, q.Tenant)
		if err != nil {
			return nil, err
		}
		f.TenantID = id
	}
	rows, err := a.DB.Alerts(ctx, f, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	return a.showAlerts(ctx, rows)
}

func (a Admin) showAlerts(ctx context.Context, rows []meta.Alert) ([]Alert, error) {
	var tenants []string
	for _, r := range rows {
		if r.TenantID != "" {
			tenants = append(tenants, r.TenantID)
		}
	}
	slices.Sort(tenants)
	names := map[string]string{}
	for part := range slices.Chunk(slices.Compact(tenants), asked) {
		some, err := a.DB.TenantNames(ctx, part)
		if err != nil {
			return nil, fmt.Errorf("read names of tenants: %w", err)
		}
		for id, name := range some {
			names[id] = name
		}
	}
	now := meta.Now()
	out := make([]Alert, 0, len(rows))
	for _, r := range rows {
		state := AlertOpen
		if r.ClosedAt != 0 {
			state = AlertClosed
		}
		out = append(out, Alert{View: alerts.ViewOf(r, now), State: state, Tenant: names[r.TenantID]})
	}
	return out, nil
}

// Notice is a message about an alert on one channel.
type Notice struct {
	ID      string `json:"id"`
	Channel string `json:"channel"`
	// Event is opened, changed, repeated, closed or test.
	Event string `json:"event"`
	// State is waiting, sent or failed.
	State     string     `json:"state"`
	Attempts  int        `json:"attempts"`
	Problem   string     `json:"problem,omitempty"`
	CreatedAt time.Time  `json:"created_at"`
	EndedAt   *time.Time `json:"ended_at,omitempty"`
}

func noticeOf(n meta.Notice) Notice {
	out := Notice{
		ID: n.ID, Channel: n.Channel, Event: n.Event, State: "waiting", Attempts: n.Attempts, Problem: n.Problem, CreatedAt: n.CreatedAt.Time(),
		EndedAt: n.EndedAt.TimeIfSet(),
	}
	switch {
	case n.EndedAt != 0 && n.Problem != "":
		out.State = "failed"
	case n.EndedAt != 0:
		out.State = "sent"
	}
	return out
}

// AlertDetail is an alert with the messages about it, oldest first.
type AlertDetail struct {
	Alert
	Notices []Notice `json:"notices"`
}

// ShowAlert reads one alert.
func (a Admin) ShowAlert(ctx context.Context, id string) (AlertDetail, error) {
	row, err := a.DB.AlertBy(ctx, id)
	if err != nil {
		return AlertDetail{}, err
	}
	list, err := a.showAlerts(ctx, []meta.Alert{row})
	if err != nil {
		return AlertDetail{}, err
	}
	notices, err := a.DB.NoticesOf(ctx, id)
	out := AlertDetail{Alert: list[0], Notices: []Notice{}}
	for _, n := range notices {
		out.Notices = append(out.Notices, noticeOf(n))
	}
	return out, err
}

// Acknowledge takes an open alert on: it is repeated no more unless it gets worse. by is shown with it.
func (a Admin) Acknowledge(ctx context.Context, id, by string) (AlertDetail, error) {
	_, err := alerts.Acknowledge(ctx, a.DB, id, a.Actor, alerts.By{Name: by, Reason: a.Reason})
	if errors.Is(err, storage.ErrNotFound) {
		if _, err := a.DB.AlertBy(ctx, id); err != nil {
			return AlertDetail{}, err
		}
		return AlertDetail{}, refuse(storage.CodeConflict, "alert_closed", "The alert is over; only an open one can be acknowledged.", "该告警已结束；只有未结束的告警才能确认。")
	}
	if err != nil {
		return AlertDetail{}, fmt.Errorf("acknowledge: %w", err)
	}
	return a.ShowAlert(ctx, id)
}

// AlertRule is what is watched for, with the thresholds in force and the channels that are told.
type AlertRule struct {
	alerts.Rule
	Channels []string `json:"channels"`
}

// AlertRules lists the rules of the worker that started last.
func (a Admin) AlertRules(ctx context.Context) ([]AlertRule, error) {
	told, err := alerts.Told(ctx, a.DB)
	if err != nil {
		return nil, err
	}
	set, err := a.DB.Settings(ctx)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	out := make([]AlertRule, 0, len(told.Rules))
	for _, r := range told.Rules {
		if r.Thresholds == nil {
			r.Thresholds = map[string]any{}
		}
		rule := AlertRule{Rule: r, Channels: []string{}}
		for _, s := range set {
			if _, there := r.Thresholds[s.Name]; there {
				if known, ok := settings.ByName(s.Name); ok {
					rule.Thresholds[s.Name] = known.Of(settings.With(a.Configured, set))
				}
			}
		}
		for _, c := range told.Channels {
			if c.Hears(r.Name) {
				rule.Channels = append(rule.Channels, c.Name)
			}
		}
		out = append(out, rule)
	}
	slices.SortFunc(out, func(x, y AlertRule) int { return strings.Compare(x.Name, y.Name) })
	return out, nil
}

// AlertChannel is where alerts are told, and how that goes. Addresses and secrets are the worker's alone.
type AlertChannel struct {
	alerts.Channel
	// SentAt is when it last sent something; ProblemAt and Problem tell of the last message that it gave up.
	SentAt    *time.Time `json:"sent_at"`
	ProblemAt *time.Time `json:"problem_at"`
	Problem   string     `json:"problem"`
	Waiting   int64      `json:"waiting"`
}

// AlertChannels lists the channels of the worker that started last.
func (a Admin) AlertChannels(ctx context.Context) ([]AlertChannel, error) {
	told, err := alerts.Told(ctx, a.DB)
	if err != nil {
		return nil, err
	}
	states, err := a.DB.ChannelStates(ctx)
	if err != nil {
		return nil, fmt.Errorf("read messages of channels: %w", err)
	}
	out := make([]AlertChannel, 0, len(told.Channels))
	for _, c := range told.Channels {
		view := AlertChannel{Channel: c}
		view.Severities, view.Rules = append([]string{}, c.Severities...), append([]string{}, c.Rules...)
		for _, s := range states {
			if s.Channel == c.Name {
				view.SentAt, view.ProblemAt, view.Waiting = s.SentAt.TimeIfSet(), s.FailedAt.TimeIfSet(), s.Waiting
			}
		}
		if view.ProblemAt != nil {
			last, err := a.DB.LastFailure(ctx, c.Name)
			if err != nil {
				return nil, fmt.Errorf("read the last problem: %w", err)
			}
			view.Problem = last.Problem
		}
		out = append(out, view)
	}
	slices.SortFunc(out, func(x, y AlertChannel) int { return strings.Compare(x.Name, y.Name) })
	return out, nil
}

// TestChannel asks for a message about nothing on a channel. A worker sends it within seconds; ShowNotice says what came of it.
func (a Admin) TestChannel(ctx context.Context, name string) (Notice, error) {
	told, err := alerts.Told(ctx, a.DB)
	if err != nil {
		return Notice{}, err
	}
	i := slices.IndexFunc(told.Channels, func(c alerts.Channel) bool { return c.Name == name })
	if i < 0 {
		return Notice{}, refuse(storage.CodeNotFound, "channel_unknown",
			fmt.Sprintf("There is no channel %q; a worker that has it must have started.", name), fmt.Sprintf("没有通道 %q；需要先启动配置了该通道的 worker。", name))
	}
	if !told.Channels[i].On {
		return Notice{}, refuse(storage.CodeConflict, "channel_off",
			fmt.Sprintf("The channel %q is off: the worker's configuration gives it no address.", name), fmt.Sprintf("通道 %q 未启用：worker 的配置中没有它的地址。", name))
	}
	var n meta.Notice
	err = a.DB.InTx(ctx, func(tx *meta.Tx) error {
		if n, err = alerts.QueueTest(tx, name); err != nil {
			return fmt.Errorf("queue the test: %w", err)
		}
		return a.write(tx, "", "alert.test", name, map[string]any{"notice": n.ID})
	})
	return noticeOf(n), err
}

// ShowNotice reads one message.
func (a Admin) ShowNotice(ctx context.Context, id string) (Notice, error) {
	n, err := a.DB.NoticeBy(ctx, id)
	return noticeOf(n), err
}

func textsOf[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}
