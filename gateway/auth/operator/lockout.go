package operator

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// How many failures lock an account or an address, and for how long. Those of logins, which any stranger can make, count apart
// from those of an operator's sessions, where codes, recovery codes and passwords count together.
var (
	accountLimit = meta.AttemptLimit{Max: 5, Lock: 15 * time.Minute, Sliding: true}
	addressLimit = meta.AttemptLimit{Max: 20, Lock: time.Hour}
)

// tellEvery bounds the records of attempts that meet a lock: an attacker must not fill the log.
const tellEvery = time.Minute

// guess is an attempt to prove something. It counts as failed from its beginning.
type guess struct {
	caller Caller
	actor  audit.Actor
	action string
	target string
	// account is empty where no account is named. logins is the counter of logins where the account's is that of sessions.
	account, logins, address string
	// locked is what this attempt, should it fail, was the last one of.
	locked string
	until  meta.Stamp
}

// accountSubject names the counter of a name; the name itself need not exist, and may be a mistyped password: it is not kept.
func (d *Desk) accountSubject(name string) string {
	return "account:" + hex.EncodeToString(d.secrets.tag("account", name))
}

// sessionSubject names the counter of what the sessions of an operator fail to prove: strangers cannot lock it.
func (d *Desk) sessionSubject(operatorID string) string {
	return "sessions:" + hex.EncodeToString(d.secrets.tag("sessions", operatorID))
}

// subjects are all counters of an operator.
func (d *Desk) subjects(o meta.Operator) []string {
	return []string{d.accountSubject(o.Name), d.sessionSubject(o.ID)}
}

// forgive forgets all failures of an operator; it reports whether there were any.
func (d *Desk) forgive(tx *meta.Tx, o meta.Operator) (bool, error) {
	had := false
	for _, subject := range d.subjects(o) {
		one, err := tx.ClearAttempts(subject)
		if err != nil {
			return false, fmt.Errorf("lift the lock: %w", err)
		}
		had = had || one
	}
	return had, nil
}

// unknownName is what the log calls a name that no operator has: it may be a password that was typed into the wrong field. The
// same name has the same tag.
func (d *Desk) unknownName(name string) string {
	return "unknown:" + hex.EncodeToString(d.secrets.tag("unknown", name)[:6])
}

// addressSubject names the counter of an address. Of IPv6 a customer has a /64.
func addressSubject(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return "address:" + p.String()
		}
	}
	return "address:" + a.String()
}

// beginLogin counts an attempt of a stranger on the account of that name; target is what the log calls it.
func (d *Desk) beginLogin(ctx context.Context, c Caller, action, name, target string) (*guess, error) {
	g := &guess{caller: c, actor: c.stranger(), action: action, target: target}
	if name != "" {
		g.account = d.accountSubject(name)
	}
	return d.begin(ctx, g)
}

// beginSession counts an attempt that a session makes on its own operator's account.
func (d *Desk) beginSession(ctx context.Context, c Caller, p *Principal, action string) (*guess, error) {
	g := &guess{caller: c, actor: c.signed(p.Actor()), action: action, target: p.Name, account: d.sessionSubject(p.OperatorID)}
	if p.Stage != StageFull {
		g.logins = d.accountSubject(p.Name)
	}
	return d.begin(ctx, g)
}

// begin counts an attempt on the account, and from the caller's address, before anything is judged.
func (d *Desk) begin(ctx context.Context, g *guess) (*guess, error) {
	g.address = addressSubject(g.caller.Address)
	now := d.now()
	var refusal error
	err := d.db.InTx(ctx, func(tx *meta.Tx) error {
		refusal, g.locked, g.until = nil, "", 0
		a, ok, err := tx.CountAttempt(g.address, addressLimit, now)
		if err != nil || !ok {
			refusal = locked(a.LockedUntil, now)
			return errors.Join(err, d.tell(tx, g, err == nil, "address", a, now))
		}
		if a.LockedUntil > now {
			g.locked, g.until = "address", a.LockedUntil
		}
		if g.account == "" {
			return nil
		}
		a, ok, err = tx.CountAttempt(g.account, accountLimit, now)
		if err != nil || !ok {
			refusal = locked(a.LockedUntil, now)
			return errors.Join(err, tx.RefundAttempt(g.address), d.tell(tx, g, err == nil, "account", a, now))
		}
		if a.LockedUntil > now {
			g.locked, g.until = "account", a.LockedUntil
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count an attempt: %w", err)
	}
	return g, refusal
}

// tell writes the record of an attempt that met a lock, unless the last one is young.
func (d *Desk) tell(tx *meta.Tx, g *guess, met bool, what string, a meta.OperatorAttempt, now meta.Stamp) error {
	if !met {
		return nil
	}
	due, err := tx.TellOfLock(a.Subject, now, tellEvery)
	if err != nil || !due {
		return err
	}
	return audit.Write(tx, audit.Entry{
		Actor: g.actor, Action: g.action, Target: g.target, Result: audit.Refused, Code: string(storage.CodeRateLimited),
		Data: map[string]any{"reason": "login_locked", "locked": what, "locked_until": a.LockedUntil.Time()},
	})
}

func locked(until, now meta.Stamp) error {
	left := max(1, int64((until-now+999_999)/1_000_000))
	r := refuse(storage.CodeRateLimited, "login_locked",
		"There were too many failed attempts; logging in is locked for a while. A super operator can unlock an account.",
		"失败次数过多；登录已被暂时锁定。超级管理员可以解锁账户。")
	r.Details["retry_after"] = left
	return r
}

// fail records a guess that was wrong. It stays counted.
func (d *Desk) fail(ctx context.Context, g *guess, refusal *storage.Error) error {
	data := map[string]any{}
	if g.locked != "" {
		data["locked"], data["locked_until"] = g.locked, g.until.Time()
	}
	return d.recordRefusal(ctx, audit.Entry{Actor: g.actor, Action: g.action, Target: g.target, Data: data}, refusal)
}

// right takes a guess that was right out of the counts; proved clears all failures of the account. A password alone proves
// nothing yet: whoever knows it must not get new guesses at the second factor by logging in again. What ends a login clears those
// of logins too; a step-up does not, or whoever guesses meanwhile would get new guesses by it.
func (g *guess) right(tx *meta.Tx, proved bool) error {
	if err := tx.RefundAttempt(g.address); err != nil || g.account == "" {
		return err
	}
	if !proved {
		return tx.RefundAttempt(g.account)
	}
	if _, err := tx.ClearAttempts(g.account); err != nil || g.logins == "" {
		return err
	}
	_, err := tx.ClearAttempts(g.logins)
	return err
}

// unjudged takes a guess out of the counts that got no verdict, and gives the error that held it up.
func (d *Desk) unjudged(ctx context.Context, g *guess, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	if err := d.db.InTx(ctx, func(tx *meta.Tx) error { return g.right(tx, false) }); err != nil {
		return errors.Join(why, fmt.Errorf("take back an attempt: %w", err))
	}
	return why
}

// clip bounds a name that a stranger has sent.
func clip(name string) string {
	r := []rune(name)
	return string(r[:min(len(r), maxName)])
}
