package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// How long sessions live.
const (
	SessionIdle = 30 * time.Minute
	SessionLife = 12 * time.Hour
	// seenEvery is how exactly the idle time is kept: each step is a write.
	seenEvery = time.Minute
)

// Ticket lets a browser in. Token is the session's secret and shown this once, for the cookie.
type Ticket struct {
	Token     string
	CSRF      string
	Principal Principal
	ExpiresAt time.Time
}

var (
	errNoSession = refuse(storage.CodeUnauthenticated, "session_missing",
		"You are not signed in. Sign in with POST /api/admin/auth/login, or send an operator's API token as Authorization: Bearer.",
		"您尚未登录。请通过 POST /api/admin/auth/login 登录，或以 Authorization: Bearer 发送操作员 API 令牌。")
	errEnded = refuse(storage.CodeUnauthenticated, "session_ended", "The session has ended; log in again.", "会话已结束；请重新登录。")
	errStage = refuse(storage.CodeConflict, "session_stage", "The session is not at the stage that this call is for.", "会话当前所处的阶段不适用于此调用。")
)

// Session finds the session of a secret, and the CSRF token that goes with it.
func (d *Desk) Session(ctx context.Context, token string) (*Principal, string, error) {
	if !wellFormed("", token) {
		return nil, "", errNoSession
	}
	hash := hashSecret(token)
	s, err := d.db.SessionByHash(ctx, hash)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, "", errNoSession
	}
	if err != nil {
		return nil, "", fmt.Errorf("look up the session: %w", err)
	}
	now := d.now()
	if s.EndedAt != 0 || s.State != meta.OperatorActive || now >= s.CreatedAt.Add(SessionLife) || now >= s.SeenAt.Add(SessionIdle) {
		return nil, "", errEnded
	}
	if now >= s.SeenAt.Add(seenEvery) {
		if err := d.db.SeenSession(ctx, s.ID, hash, now); err != nil {
			return nil, "", fmt.Errorf("note that the session was seen: %w", err)
		}
	}
	return &Principal{
		OperatorID: s.OperatorID, Name: s.Name, Role: Role(s.Role), Stage: Stage(s.Stage), SessionID: s.ID, SteppedUp: s.SteppedUpAt.Time(),
		proof: hash,
	}, d.secrets.csrf(token), nil
}

// enter begins a session of an operator.
func (d *Desk) enter(tx *meta.Tx, c Caller, o meta.Operator, stage Stage, now meta.Stamp) (Ticket, error) {
	token, hash := newSecret("")
	a := c.signed(audit.Actor{})
	s := meta.OperatorSession{
		ID: meta.NewID(), OperatorID: o.ID, Hash: hash, Stage: string(stage), Address: a.Address, UserAgent: cut(a.UserAgent, 255),
		CreatedAt: now, SeenAt: now,
	}
	if err := tx.Create(&s); err != nil {
		return Ticket{}, fmt.Errorf("make a session: %w", err)
	}
	return Ticket{
		Token: token, CSRF: d.secrets.csrf(token), ExpiresAt: now.Add(SessionLife).Time(),
		Principal: Principal{OperatorID: o.ID, Name: o.Name, Role: Role(o.Role), Stage: stage, SessionID: s.ID, proof: hash},
	}, nil
}

// advance takes a session to its next stage, under a new secret: whoever knew the old one has nothing.
func (d *Desk) advance(tx *meta.Tx, p *Principal, next Stage, stepped bool, now meta.Stamp) (Ticket, error) {
	token, hash := newSecret("")
	change := meta.SessionChange{ID: p.SessionID, Was: p.proof, Stage: string(p.Stage), Hash: hash, NextStage: string(next), At: now}
	if stepped {
		change.SteppedUp = now
	}
	s, ok, err := tx.RotateSession(change)
	if err != nil {
		return Ticket{}, fmt.Errorf("renew the session: %w", err)
	}
	if !ok {
		return Ticket{}, errEnded
	}
	t := Ticket{Token: token, CSRF: d.secrets.csrf(token), Principal: *p, ExpiresAt: s.CreatedAt.Add(SessionLife).Time()}
	t.Principal.Stage, t.Principal.proof, t.Principal.SteppedUp = next, hash, s.SteppedUpAt.Time()
	return t, nil
}

// at refuses a principal that is not a session at one of the stages.
func (p *Principal) at(stages ...Stage) error {
	if p.SessionID == "" {
		return refuse(storage.CodeForbidden, "token_no_session", "An API token has no session; only a person who has logged in can do this.",
			"API 令牌没有会话；只有已登录的人员才能执行此操作。")
	}
	for _, s := range stages {
		if p.Stage == s {
			return nil
		}
	}
	return errStage
}

// Logout ends the session.
func (d *Desk) Logout(ctx context.Context, c Caller, p *Principal) error {
	if err := p.at(Stages...); err != nil {
		return err
	}
	return d.db.InTx(ctx, func(tx *meta.Tx) error {
		ended, err := tx.EndSession(p.SessionID, p.OperatorID, d.now())
		if err != nil || !ended {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: c.signed(p.Actor()), Action: "operator.logout", Target: p.Name, Result: audit.OK})
	})
}

// SessionView is what is shown of a session.
type SessionView struct {
	ID         string     `json:"id"`
	OperatorID string     `json:"operator_id"`
	Stage      Stage      `json:"stage"`
	Address    string     `json:"address"`
	UserAgent  string     `json:"user_agent"`
	CreatedAt  time.Time  `json:"created_at"`
	SeenAt     time.Time  `json:"seen_at"`
	SteppedUp  *time.Time `json:"stepped_up_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
}

// Sessions lists the sessions of an operator that are still good, newest first.
func (d *Desk) Sessions(ctx context.Context, operatorID string) ([]SessionView, error) {
	now := d.now()
	rows, err := d.db.OpenSessions(ctx, operatorID, now.Add(-SessionLife), now.Add(-SessionIdle))
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	out := make([]SessionView, 0, len(rows))
	for _, s := range rows {
		expires := min(s.CreatedAt.Add(SessionLife), s.SeenAt.Add(SessionIdle))
		out = append(out, SessionView{
			ID: s.ID, OperatorID: s.OperatorID, Stage: Stage(s.Stage), Address: s.Address, UserAgent: s.UserAgent,
			CreatedAt: s.CreatedAt.Time(), SeenAt: s.SeenAt.Time(), SteppedUp: s.SteppedUpAt.TimeIfSet(), ExpiresAt: expires.Time(),
		})
	}
	return out, nil
}

// RevokeSession ends a session of the principal's own; a super ends anybody's.
func (d *Desk) RevokeSession(ctx context.Context, c Caller, p *Principal, sessionID string) error {
	if err := p.at(Stages...); err != nil {
		return err
	}
	whose := p.OperatorID
	if p.Role == Super && p.Stage == StageFull {
		whose = ""
	}
	return d.db.InTx(ctx, func(tx *meta.Tx) error {
		ended, err := false, error(nil)
		if uuid.Validate(sessionID) == nil {
			ended, err = tx.EndSession(sessionID, whose, d.now())
		}
		if err != nil {
			return fmt.Errorf("end the session: %w", err)
		}
		if !ended {
			return refuse(storage.CodeNotFound, "session_unknown", "There is no such session, or it has ended.", "没有这个会话，或会话已结束。")
		}
		return audit.Write(tx, audit.Entry{Actor: c.signed(p.Actor()), Action: "operator.session_revoke", Target: sessionID, Result: audit.OK})
	})
}

// cut bounds a text to n bytes of what databases take.
func cut(s string, n int) string {
	var out []rune
	size := 0
	for _, r := range s {
		if size += len(string(r)); size > n {
			break
		}
		if r != 0 {
			out = append(out, r)
		}
	}
	return string(out)
}
