package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// errLogin is the one answer to a login that fails, whatever it fails of.
var errLogin = refuse(storage.CodeUnauthenticated, "login_failed", "The name or the password is wrong, or the account is not active.",
	"名称或密码错误，或账户未启用。")

// errCode is the one answer to a code that is not right.
var errCode = refuse(storage.CodeMFARequired, "code_wrong", "The code is wrong, or has been used. Wait for the next one.", "验证码错误或已被使用。请等待下一个验证码。")

// Login begins a session with name and password. It is good for the second factor only. A name that does not exist costs the same work
// and gets the same answers and locks as one that does.
func (d *Desk) Login(ctx context.Context, c Caller, name, password string) (Ticket, error) {
	name = canonical(name)
	if name == "" {
		name = "-" // no operator's name; counted like any other
	}
	o, err := meta.Operator{}, error(storage.ErrNotFound)
	if namePattern.MatchString(name) { // databases refuse some of what is no name
		o, err = d.db.OperatorNamed(ctx, name)
	}
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return Ticket{}, fmt.Errorf("look up the operator: %w", err)
	}
	target := o.Name
	if err != nil {
		target = d.unknownName(name)
	}
	g, err := d.beginLogin(ctx, c, "operator.login", name, target)
	if err != nil {
		return Ticket{}, err
	}
	hash := d.hashes.nobody
	known := o.State == meta.OperatorActive && o.PasswordHash != "" && len(password) <= maxPassword
	if known {
		hash = o.PasswordHash
	}
	ok, err := d.hashes.matches(ctx, hash, password)
	if err != nil {
		return Ticket{}, d.unjudged(ctx, g, err)
	}
	if !ok || !known {
		return Ticket{}, d.fail(ctx, g, errLogin)
	}
	better := o.PasswordHash
	if d.hashes.stale(o.PasswordHash) {
		if better, err = d.hashes.hash(ctx, password); err != nil {
			return Ticket{}, d.unjudged(ctx, g, err)
		}
	}
	t, err := d.letIn(ctx, g, o, better)
	if errors.Is(err, errLogin) {
		return Ticket{}, d.fail(ctx, g, errLogin)
	}
	return t, err
}

// letIn begins the session of an operator whose password was right, unless the account has changed since it was read.
func (d *Desk) letIn(ctx context.Context, g *guess, o meta.Operator, better string) (Ticket, error) {
	stage := StageVerify
	if o.EnrolledAt == 0 {
		stage = StageEnroll
	}
	var t Ticket
	err := d.db.InTx(ctx, func(tx *meta.Tx) error {
		now := d.now()
		ok, err := tx.LoggedIn(o.ID, o.PasswordHash, now)
		if err == nil && ok && better != o.PasswordHash {
			ok, err = tx.RehashPassword(o.ID, o.PasswordHash, better)
		}
		if err != nil {
			return fmt.Errorf("note the login: %w", err)
		}
		if !ok {
			return errLogin
		}
		if t, err = d.enter(tx, g.caller, o, stage, now); err != nil {
			return err
		}
		if err := g.right(tx, false); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{
			Actor: g.caller.signed(t.Principal.Actor()), Action: g.action, Target: o.Name, Result: audit.OK, Data: map[string]any{"stage": stage},
		})
	})
	return t, err
}

// canonical is the form in which names are kept and compared.
func canonical(name string) string { return strings.ToLower(strings.TrimSpace(name)) }
