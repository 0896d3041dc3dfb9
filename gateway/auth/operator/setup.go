package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// LinkLife is how long a set-up link works.
const LinkLife = 24 * time.Hour

var errLink = refuse(storage.CodeUnauthenticated, "link_invalid",
	"The set-up link is not valid: it was used, is older than a day, or was replaced by a newer one. Ask for a new one.",
	"设置链接无效：已被使用、超过一天或已被新的链接取代。请索取新的链接。")

// newLink makes the one link with which an operator may choose a password.
func (d *Desk) newLink(tx *meta.Tx, operatorID string, now meta.Stamp) (string, error) {
	link, hash := newSecret(linkPrefix)
	err := tx.CreateLink(meta.OperatorLink{ID: meta.NewID(), OperatorID: operatorID, Hash: hash, CreatedAt: now, ExpiresAt: now.Add(LinkLife)})
	if err != nil {
		return "", fmt.Errorf("make a set-up link: %w", err)
	}
	return link, nil
}

// SetUp chooses a password by a one-time link, and begins a session that may set up the second factor. A password that is refused leaves
// the link as it is.
func (d *Desk) SetUp(ctx context.Context, c Caller, link, password string) (Ticket, error) {
	g, err := d.beginLogin(ctx, c, "operator.setup", "", "")
	if err != nil {
		return Ticket{}, err
	}
	l, o, err := d.linked(ctx, link)
	if errors.Is(err, errLink) {
		return Ticket{}, d.fail(ctx, g, errLink)
	}
	if err != nil {
		return Ticket{}, d.unjudged(ctx, g, err)
	}
	g.actor, g.target = c.signed(audit.Actor{Kind: audit.KindOperator, ID: o.ID, Role: o.Role}), o.Name
	hash, err := d.chosen(ctx, g, o, password)
	if err != nil {
		return Ticket{}, err
	}
	var t Ticket
	err = d.db.InTx(ctx, func(tx *meta.Tx) error {
		now := d.now()
		ok, err := tx.UseLink(l.ID, now)
		if err == nil && ok {
			ok, err = tx.SetPassword(o.ID, o.PasswordHash, hash, now)
		}
		if err != nil {
			return fmt.Errorf("set the password: %w", err)
		}
		if !ok {
			return errLink
		}
		if t, err = d.enter(tx, c, o, StageEnroll, now); err != nil {
			return err
		}
		if err := g.right(tx, false); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: g.actor, Action: g.action, Target: o.Name, Result: audit.OK})
	})
	if errors.Is(err, errLink) {
		return Ticket{}, d.fail(ctx, g, errLink)
	}
	return t, err
}

// linked finds the operator of a link that still works.
func (d *Desk) linked(ctx context.Context, link string) (meta.OperatorLink, meta.Operator, error) {
	if !wellFormed(linkPrefix, link) {
		return meta.OperatorLink{}, meta.Operator{}, errLink
	}
	l, o, err := d.db.LinkByHash(ctx, hashSecret(link))
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return l, o, errLink
	case err != nil:
		return l, o, fmt.Errorf("look up the set-up link: %w", err)
	case l.UsedAt != 0 || l.ExpiresAt <= d.now() || o.State != meta.OperatorActive:
		return l, o, errLink
	}
	return l, o, nil
}

// chosen hashes a new password, or records why it is refused; the guess that led here was right either way.
func (d *Desk) chosen(ctx context.Context, g *guess, o meta.Operator, password string) (string, error) {
	err := d.fit(ctx, o.ID, o.Name, password)
	if err == nil {
		var hash string
		if hash, err = d.hashes.hash(ctx, password); err == nil {
			return hash, nil
		}
	}
	if storage.CodeOf(err) == storage.CodeMalformedRequest {
		err = d.recordRefusal(ctx, audit.Entry{Actor: g.actor, Action: g.action, Target: o.Name}, err)
	}
	return "", d.unjudged(ctx, g, err)
}

var errOldPassword = refuse(storage.CodeForbidden, "password_wrong", "The old password is wrong.", "旧密码错误。")

// ChangePassword replaces the password. All other sessions of the operator end.
func (d *Desk) ChangePassword(ctx context.Context, c Caller, p *Principal, old, password string) (Ticket, error) {
	if err := p.at(StagePassword, StageFull); err != nil {
		return Ticket{}, err
	}
	g, err := d.beginSession(ctx, c, p, "operator.password")
	if err != nil {
		return Ticket{}, err
	}
	o, err := d.db.OperatorBy(ctx, p.OperatorID)
	if err != nil {
		return Ticket{}, d.unjudged(ctx, g, fmt.Errorf("read the operator: %w", err))
	}
	if o.PasswordHash == "" { // reset meanwhile, which also ended the session
		return Ticket{}, d.unjudged(ctx, g, errEnded)
	}
	ok, err := d.hashes.matches(ctx, o.PasswordHash, old)
	if err != nil {
		return Ticket{}, d.unjudged(ctx, g, err)
	}
	if !ok {
		return Ticket{}, d.fail(ctx, g, errOldPassword)
	}
	hash, err := d.chosen(ctx, g, o, password)
	if err != nil {
		return Ticket{}, err
	}
	var t Ticket
	err = d.db.InTx(ctx, func(tx *meta.Tx) error {
		now := d.now()
		ok, err := tx.SetPassword(o.ID, o.PasswordHash, hash, now)
		if err != nil {
			return fmt.Errorf("set the password: %w", err)
		}
		if !ok {
			return errEnded
		}
		if _, err := tx.EndSessions(o.ID, p.SessionID, now); err != nil {
			return fmt.Errorf("end the other sessions: %w", err)
		}
		if t, err = d.advance(tx, p, StageFull, false, now); err != nil {
			return err
		}
		if err := g.right(tx, false); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: g.actor, Action: g.action, Target: o.Name, Result: audit.OK})
	})
	return t, err
}
