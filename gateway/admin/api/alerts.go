package api

import (
	"context"

	"gatehouse/gateway/admin"
)

// AlertQuestion narrows the list of alerts.
type AlertQuestion struct {
	State    string `query:"state" json:"-" doc:"open or closed."`
	Severity string `query:"severity" json:"-" doc:"info, warning or critical."`
	Rule     string `query:"rule" json:"-" doc:"Name of a rule."`
	Tenant   string `query:"tenant" json:"-" doc:"Id or name of a tenant."`
	Q        string `query:"q" json:"-" doc:"Text in the message or the subject."`
}

// Alerts lists alerts, the newest first.
func (a *API) Alerts() Endpoint {
	return List(a, func(ctx context.Context, r *Request, in AlertQuestion, p Page) ([]admin.Alert, error) {
		return r.Admin.Alerts(ctx, admin.AlertQuestion{State: in.State, Severity: in.Severity, Rule: in.Rule, Tenant: in.Tenant, Text: in.Q}, p.After, p.Limit)
	}, func(l admin.Alert) string { return l.ID })
}

// Alert shows an alert with the messages about it.
func (a *API) Alert() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByID) (admin.AlertDetail, error) {
		return r.Admin.ShowAlert(ctx, in.ID)
	})
}

// AcknowledgeAlert takes an alert on.
func (a *API) AcknowledgeAlert() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (admin.AlertDetail, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.Acknowledge(ctx, in.ID, r.By.Name)
	})
}

// AlertRules lists what is watched for.
func (a *API) AlertRules() Endpoint {
	key := func(rule admin.AlertRule) string { return rule.Name }
	return List(a, func(ctx context.Context, r *Request, _ Nothing, p Page) ([]admin.AlertRule, error) {
		all, err := r.Admin.AlertRules(ctx)
		return pageByKey(all, p, key), err
	}, key)
}

// AlertChannels lists where alerts are told.
func (a *API) AlertChannels() Endpoint {
	key := func(c admin.AlertChannel) string { return c.Name }
	return List(a, func(ctx context.Context, r *Request, _ Nothing, p Page) ([]admin.AlertChannel, error) {
		all, err := r.Admin.AlertChannels(ctx)
		return pageByKey(all, p, key), err
	}, key)
}

// TestAlertChannel asks for a message about nothing; AlertNotice says what came of it.
func (a *API) TestAlertChannel() Endpoint {
	return accepted(Call(a, func(ctx context.Context, r *Request, in NamedWhy) (admin.Notice, error) {
		r.Admin.Reason = in.Reason
		return r.Admin.TestChannel(ctx, in.Name)
	}))
}

// AlertNotice shows one message.
func (a *API) AlertNotice() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByID) (admin.Notice, error) {
		return r.Admin.ShowNotice(ctx, in.ID)
	})
}
