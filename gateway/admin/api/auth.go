package api

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/auth/operator"
)

// SignedIn says how far a session has come. The session itself is in a cookie that no script can read.
type SignedIn struct {
	Stage operator.Stage `json:"stage" doc:"enroll, verify, password: what the login still needs; full: signed in."`
	Name  string         `json:"name"`
	Role  operator.Role  `json:"role"`
	// CSRFToken goes into the header X-CSRF-Token of every write.
	CSRFToken string `json:"csrf_token" doc:"Send it as X-CSRF-Token with every write."`
	// SteppedUpUntil is when dangerous calls need a new code; null: they need one now.
	SteppedUpUntil *time.Time `json:"stepped_up_until"`
	SessionID      string     `json:"session_id"`
	OperatorID     string     `json:"operator_id"`
	// RecoveryCodes are shown this once.
	RecoveryCodes []string `json:"recovery_codes,omitempty" doc:"Ten codes for the day the device is lost; each works once, and they are shown this once."`
}

// Credentials begin a login.
type Credentials struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// FirstPassword is chosen with a one-time link.
type FirstPassword struct {
	Link     string `json:"link" doc:"The token of the one-time link."`
	Password string `json:"password"`
}

// Code is one of the second factor, or a recovery code.
type Code struct {
	Code string `json:"code"`
}

// NewPassword changes a password.
type NewPassword struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// Enrollment is what an authenticator app is given.
type Enrollment struct {
	Secret string `json:"secret" doc:"The secret in Base32, for typing."`
	URI    string `json:"uri" doc:"otpauth:// URI, for a QR code."`
}

// caller describes whoever sends the request.
func (r *Request) caller() operator.Caller {
	return operator.Caller{Address: r.Address, UserAgent: r.Admin.Actor.UserAgent, RequestID: r.Admin.Actor.RequestID}
}

// signIn gives the session's new id to the browser with the answer.
func (r *Request) signIn(t operator.Ticket, err error) (SignedIn, error) {
	if err != nil {
		return SignedIn{}, err
	}
	r.cookie = &fiber.Cookie{
		Name: operator.Cookie, Value: t.Token, Path: "/", Secure: true, HTTPOnly: true, SameSite: fiber.CookieSameSiteStrictMode, SessionOnly: true,
	}
	return signedIn(&t.Principal, t.CSRF), nil
}

func signedIn(p *operator.Principal, csrf string) SignedIn {
	s := SignedIn{Stage: p.Stage, Name: p.Name, Role: p.Role, CSRFToken: csrf, SessionID: p.SessionID, OperatorID: p.OperatorID}
	if until := p.SteppedUp.Add(operator.StepUpAge); !p.SteppedUp.IsZero() && until.After(time.Now()) {
		s.SteppedUpUntil = &until
	}
	return s
}

// Login begins a session with a name and a password.
func (a *API) Login() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in Credentials) (SignedIn, error) {
		return r.signIn(a.Desk.Login(ctx, r.caller(), in.Name, in.Password))
	})
}

// SetUp chooses a password with a one-time link, and begins a session.
func (a *API) SetUp() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in FirstPassword) (SignedIn, error) {
		return r.signIn(a.Desk.SetUp(ctx, r.caller(), in.Link, in.Password))
	})
}

// BeginMFA makes the secret of a second factor.
func (a *API) BeginMFA() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, _ Nothing) (Enrollment, error) {
		e, err := a.Desk.BeginTOTP(ctx, r.caller(), r.By)
		return Enrollment{Secret: e.Secret, URI: e.URI}, err
	})
}

// ConfirmMFA shows that the second factor works.
func (a *API) ConfirmMFA() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in Code) (SignedIn, error) {
		t, codes, err := a.Desk.ConfirmTOTP(ctx, r.caller(), r.By, in.Code)
		s, err := r.signIn(t, err)
		s.RecoveryCodes = codes
		return s, err
	})
}

// Verify is the second step of a login.
func (a *API) Verify() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in Code) (SignedIn, error) {
		return r.signIn(a.Desk.Verify(ctx, r.caller(), r.By, in.Code))
	})
}

// Recover takes a recovery code where the device is lost; another device is set up then.
func (a *API) Recover() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in Code) (SignedIn, error) {
		return r.signIn(a.Desk.Recover(ctx, r.caller(), r.By, in.Code))
	})
}

// StepUp opens the dangerous calls for five minutes.
func (a *API) StepUp() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in Code) (SignedIn, error) {
		return r.signIn(a.Desk.StepUp(ctx, r.caller(), r.By, in.Code))
	})
}

// ChangePassword changes the caller's own; all other sessions of theirs end.
func (a *API) ChangePassword() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, in NewPassword) (SignedIn, error) {
		return r.signIn(a.Desk.ChangePassword(ctx, r.caller(), r.By, in.Old, in.New))
	})
}

// Session tells who is signed in, and the session's CSRF token.
func (a *API) Session() Endpoint {
	return Call(a, func(_ context.Context, r *Request, _ Nothing) (SignedIn, error) {
		return signedIn(r.By, r.By.CSRF), nil
	})
}

// Logout ends the session.
func (a *API) Logout() Endpoint {
	return Call(a, func(ctx context.Context, r *Request, _ Nothing) (Nothing, error) {
		r.cookie = &fiber.Cookie{
			Name: operator.Cookie, Path: "/", Secure: true, HTTPOnly: true, SameSite: fiber.CookieSameSiteStrictMode, Expires: time.Unix(1, 0),
		}
		return Nothing{}, a.Desk.Logout(ctx, r.caller(), r.By)
	})
}
