package api

import (
	"context"
	"time"

	"gatehouse/gateway/auth/operator"
)

// NewOperator makes an operator.
type NewOperator struct {
	Why
	Name string        `json:"name" doc:"What they sign in with."`
	Role operator.Role `json:"role" enum:"auditor,ops,super"`
}

// NewRole gives an operator another role.
type NewRole struct {
	Why
	ID   string        `path:"id" json:"-"`
	Role operator.Role `json:"role" enum:"auditor,ops,super"`
}

// Invited is an operator with the one-time link that only they may have.
type Invited struct {
	operator.OperatorView
	// Link is shown this once.
	Link string `json:"link" doc:"The token of a one-time link, good for 24 hours and shown this once: POST auth/setup takes it with the password that they choose."`
}

// NewAPIToken makes an API token for a program.
type NewAPIToken struct {
	Why
	Name      string        `json:"name"`
	Role      operator.Role `json:"role" enum:"auditor,ops,super" doc:"At most the caller's own."`
	ExpiresAt time.Time     `json:"expires_at" doc:"At most 366 days from now."`
	CIDRs     []string      `json:"cidrs" doc:"Networks that it may be used from; none: any."`
}

// MadeAPIToken is an API token with its secret.
type MadeAPIToken struct {
	operator.TokenView
	Token string `json:"token" doc:"Shown this once. Send it as Authorization: Bearer."`
}

// NewNetwork adds a network to the allow-list.
type NewNetwork struct {
	Why
	CIDR    string `json:"cidr" doc:"A network like 192.0.2.0/24, or one address."`
	Note    string `json:"note"`
	Confirm bool   `json:"confirm" doc:"Do it even though it locks the caller's own address out."`
}

// RemovedNetwork takes a network off the allow-list.
type RemovedNetwork struct {
	Why
	ID      string `path:"id" json:"-"`
	Confirm bool   `query:"confirm" json:"-" doc:"Do it even though it locks the caller's own address out."`
}

// Sessions lists the caller's own sessions.
func (a *API) Sessions() Endpoint {
	return List(a, func(ctx context.Context, r *Request, _ Nothing, p Page) ([]operator.SessionView, error) {
		all, err := a.Desk.Sessions(ctx, r.By.OperatorID)
		return pageByKey(all, p, sessionKey), err
	}, sessionKey)
}

// SessionsOf lists the sessions of any operator.
func (a *API) SessionsOf() Endpoint {
	return List(a, func(ctx context.Context, _ *Request, in ByID, p Page) ([]operator.SessionView, error) {
		all, err := a.Desk.Sessions(ctx, in.ID)
		return pageByKey(all, p, sessionKey), err
	}, sessionKey)
}

func sessionKey(s operator.SessionView) string { return s.ID }

// RevokeSession ends a session: one's own, or as super anybody's.
func (a *API) RevokeSession() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByID) (Nothing, error) {
		return Nothing{}, a.Desk.RevokeSession(ctx, r.caller(), r.By, in.ID)
	})
}

// Operators lists them; there are never many.
func (a *API) Operators() Endpoint {
	return List(a, func(ctx context.Context, _ *Request, _ Nothing, p Page) ([]operator.OperatorView, error) {
		all, err := a.Desk.Operators(ctx)
		return pageByKey(all, p, operatorKey), err
	}, operatorKey)
}

func operatorKey(o operator.OperatorView) string { return o.Name }

// Operator shows one, by id or name.
func (a *API) Operator() Endpoint {
	return Call(a, func(ctx context.Context, _ *Request, in ByID) (operator.OperatorView, error) {
		return a.Desk.Operator(ctx, in.ID)
	})
}

// CreateOperator makes one who chooses their own password.
func (a *API) CreateOperator() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in NewOperator) (Invited, error) {
		o, link, err := a.Desk.CreateOperator(ctx, r.Admin.Actor, in.Reason, in.Name, in.Role)
		return Invited{o, link}, err
	})
}

// SetRole ends all sessions of the operator: they sign in again in their new role.
func (a *API) SetRole() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in NewRole) (operator.OperatorView, error) {
		return a.Desk.SetRole(ctx, r.Admin.Actor, in.Reason, in.ID, in.Role)
	})
}

// DeactivateOperator ends the operator's sessions, and the tokens act no more.
func (a *API) DeactivateOperator() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (operator.OperatorView, error) {
		return a.Desk.Deactivate(ctx, r.Admin.Actor, in.Reason, in.ID)
	})
}

// ActivateOperator takes a deactivation back.
func (a *API) ActivateOperator() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (operator.OperatorView, error) {
		return a.Desk.Activate(ctx, r.Admin.Actor, in.Reason, in.ID)
	})
}

// ResetOperator takes password and second factor away, and gives a new one-time link.
func (a *API) ResetOperator() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (Invited, error) {
		o, link, err := a.Desk.ResetAccess(ctx, r.Admin.Actor, in.Reason, in.ID)
		return Invited{o, link}, err
	})
}

// UnlockOperator forgets failed attempts.
func (a *API) UnlockOperator() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (operator.OperatorView, error) {
		return a.Desk.Unlock(ctx, r.Admin.Actor, in.Reason, in.ID)
	})
}

// Tokens lists the API tokens of all operators.
func (a *API) Tokens() Endpoint {
	return List(a, func(ctx context.Context, _ *Request, _ Nothing, p Page) ([]operator.TokenView, error) {
		all, err := a.Desk.Tokens(ctx)
		return pageByKey(all, p, tokenKey), err
	}, tokenKey)
}

func tokenKey(t operator.TokenView) string { return t.ID }

// CreateToken makes a token that acts for the caller.
func (a *API) CreateToken() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in NewAPIToken) (MadeAPIToken, error) {
		t, secret, err := a.Desk.CreateToken(ctx, r.By, r.Admin.Actor, in.Reason, operator.NewToken{
			Name: in.Name, Role: in.Role, ExpiresAt: in.ExpiresAt, CIDRs: in.CIDRs,
		})
		return MadeAPIToken{t, secret}, err
	})
}

// RevokeToken ends a token at once.
func (a *API) RevokeToken() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in ByIDWhy) (Nothing, error) {
		return Nothing{}, a.Desk.RevokeToken(ctx, r.Admin.Actor, in.Reason, in.ID)
	})
}

// Networks lists where operators may come from; none: from anywhere.
func (a *API) Networks() Endpoint {
	return List(a, func(ctx context.Context, _ *Request, _ Nothing, p Page) ([]operator.NetworkView, error) {
		all, err := a.Desk.Networks(ctx)
		return pageByKey(all, p, networkKey), err
	}, networkKey)
}

func networkKey(n operator.NetworkView) string { return n.ID }

// AddNetwork adds one. The first one locks everybody out who is not in it.
func (a *API) AddNetwork() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in NewNetwork) (operator.NetworkView, error) {
		return a.Desk.AddNetwork(ctx, r.Admin.Actor, in.Reason, in.CIDR, in.Note, r.Address, in.Confirm)
	})
}

// RemoveNetwork removes one.
func (a *API) RemoveNetwork() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in RemovedNetwork) (Nothing, error) {
		return Nothing{}, a.Desk.RemoveNetwork(ctx, r.Admin.Actor, in.Reason, in.ID, r.Address, in.Confirm)
	})
}
