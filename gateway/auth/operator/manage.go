package operator

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/google/uuid"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// maxName is the longest name of an operator or token.
const maxName = 64

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{1,63}$`)

// OperatorView is what is shown of an operator.
type OperatorView struct { //nolint:revive // beside SessionView, TokenView and NetworkView a bare View says nothing
	ID    string `json:"id"`
	Name  string `json:"name"`
	Role  Role   `json:"role"`
	State string `json:"state"`
	// PasswordSet and Enrolled say how far the account has been set up by its owner.
	PasswordSet   bool       `json:"password_set"`
	Enrolled      bool       `json:"enrolled"`
	RecoveryCodes int        `json:"recovery_codes"`
	PasswordAt    *time.Time `json:"password_at"`
	LoginAt       *time.Time `json:"login_at"`
	LockedUntil   *time.Time `json:"locked_until"`
	CreatedAt     time.Time  `json:"created_at"`
}

func errUnknown(idOrName string) error {
	return refuse(storage.CodeNotFound, "operator_unknown", fmt.Sprintf("There is no operator with the name or id %q.", clip(idOrName)),
		fmt.Sprintf("没有名称或标识为 %q 的操作员。", clip(idOrName)))
}

// Operators lists all operators by name.
func (d *Desk) Operators(ctx context.Context) ([]OperatorView, error) {
	list, err := d.db.Operators(ctx)
	if err != nil {
		return nil, fmt.Errorf("list operators: %w", err)
	}
	return d.views(ctx, list)
}

// Operator shows one, by id or name.
func (d *Desk) Operator(ctx context.Context, idOrName string) (OperatorView, error) {
	if !namePattern.MatchString(canonical(idOrName)) { // ids match it too
		return OperatorView{}, errUnknown(idOrName)
	}
	o, err := d.db.OperatorBy(ctx, canonical(idOrName))
	if errors.Is(err, storage.ErrNotFound) {
		return OperatorView{}, errUnknown(idOrName)
	}
	if err != nil {
		return OperatorView{}, fmt.Errorf("read the operator: %w", err)
	}
	list, err := d.views(ctx, []meta.Operator{o})
	if err != nil {
		return OperatorView{}, err
	}
	return list[0], nil
}

func (d *Desk) views(ctx context.Context, list []meta.Operator) ([]OperatorView, error) {
	codes, err := d.db.CountRecoveryCodes(ctx)
	if err != nil {
		return nil, fmt.Errorf("count recovery codes: %w", err)
	}
	var subjects []string
	for _, o := range list {
		subjects = append(subjects, d.subjects(o)...)
	}
	locks, err := d.db.LockedUntil(ctx, subjects, d.now())
	if err != nil {
		return nil, fmt.Errorf("read locks: %w", err)
	}
	out := make([]OperatorView, 0, len(list))
	for _, o := range list {
		var until meta.Stamp
		for _, s := range d.subjects(o) {
			until = max(until, locks[s])
		}
		out = append(out, OperatorView{
			ID: o.ID, Name: o.Name, Role: Role(o.Role), State: o.State, PasswordSet: o.PasswordHash != "", Enrolled: o.TOTPSecret != "",
			RecoveryCodes: codes[o.ID], PasswordAt: o.PasswordAt.TimeIfSet(), LoginAt: o.LoginAt.TimeIfSet(),
			LockedUntil: until.TimeIfSet(), CreatedAt: o.CreatedAt.Time(),
		})
	}
	return out, nil
}

// CreateOperator makes an operator and the one-time link with which its owner chooses a password.
func (d *Desk) CreateOperator(ctx context.Context, who audit.Actor, reason, name string, role Role) (OperatorView, string, error) {
	name = canonical(name)
	if !namePattern.MatchString(name) || uuid.Validate(name) == nil {
		return OperatorView{}, "", refuse(storage.CodeMalformedRequest, "operator_name",
			"The name of an operator has 2 to 64 letters, digits and . _ @ -, and begins with a letter or digit.",
			"操作员名称由 2 到 64 个字母、数字及 . _ @ - 组成，并以字母或数字开头。")
	}
	if !role.Known() {
		return OperatorView{}, "", errRole()
	}
	var link string
	err := d.db.InTx(ctx, func(tx *meta.Tx) error {
		now := d.now()
		o := meta.Operator{ID: meta.NewID(), Name: name, Role: string(role), State: meta.OperatorActive, CreatedAt: now, UpdatedAt: now}
		made, err := tx.CreateOperator(o)
		if err != nil {
			return fmt.Errorf("make the operator: %w", err)
		}
		if !made {
			return refuse(storage.CodeConflict, "operator_exists", fmt.Sprintf("There is an operator %q already.", name), fmt.Sprintf("已存在操作员 %q。", name))
		}
		if link, err = d.newLink(tx, o.ID, now); err != nil {
			return err
		}
		return record(tx, who, reason, "operator.create", o.ID, map[string]any{"name": name, "role": role})
	})
	if err != nil {
		return OperatorView{}, "", err
	}
	v, err := d.Operator(ctx, name)
	return v, link, err
}

func errRole() error {
	return refuse(storage.CodeMalformedRequest, "role_unknown", "The role must be auditor, ops or super.", "角色必须是 auditor、ops 或 super。")
}

// SetRole gives an operator another role and ends all its sessions.
func (d *Desk) SetRole(ctx context.Context, who audit.Actor, reason, idOrName string, role Role) (OperatorView, error) {
	if !role.Known() {
		return OperatorView{}, errRole()
	}
	return d.change(ctx, idOrName, func(tx *meta.Tx, o *meta.Operator, now meta.Stamp) error {
		was := o.Role
		if was == string(role) {
			return nil
		}
		o.Role = string(role)
		return d.ended(tx, *o, now, who, reason, "operator.role", map[string]any{"before": was, "after": role})
	})
}

// Deactivate shuts an operator out, with all sessions and tokens.
func (d *Desk) Deactivate(ctx context.Context, who audit.Actor, reason, idOrName string) (OperatorView, error) {
	return d.change(ctx, idOrName, func(tx *meta.Tx, o *meta.Operator, now meta.Stamp) error {
		if o.State == meta.OperatorInactive {
			return nil
		}
		o.State = meta.OperatorInactive
		if err := tx.VoidLinks(o.ID, now); err != nil {
			return fmt.Errorf("end the set-up links: %w", err)
		}
		return d.shutOut(tx, *o, now, who, reason, "operator.deactivate")
	})
}

// Activate lets an operator in again, with the password and second factor of before. Its tokens stay revoked.
func (d *Desk) Activate(ctx context.Context, who audit.Actor, reason, idOrName string) (OperatorView, error) {
	return d.change(ctx, idOrName, func(tx *meta.Tx, o *meta.Operator, _ meta.Stamp) error {
		if o.State == meta.OperatorActive {
			return nil
		}
		o.State = meta.OperatorActive
		return record(tx, who, reason, "operator.activate", o.ID, map[string]any{"name": o.Name})
	})
}

// ResetAccess takes password, second factor, recovery codes, sessions and tokens away, lifts a lock, and makes a new one-time link.
func (d *Desk) ResetAccess(ctx context.Context, who audit.Actor, reason, idOrName string) (OperatorView, string, error) {
	var link string
	v, err := d.change(ctx, idOrName, func(tx *meta.Tx, o *meta.Operator, now meta.Stamp) error {
		if o.State != meta.OperatorActive {
			return refuse(storage.CodeConflict, "operator_inactive", "The operator is not active; activate it first.", "该操作员未启用；请先启用。")
		}
		o.PasswordHash, o.PasswordAt, o.TOTPSecret, o.TOTPStep, o.EnrolledAt = "", 0, "", 0, 0
		if err := tx.ReplaceRecoveryCodes(o.ID, nil); err != nil {
			return fmt.Errorf("remove the recovery codes: %w", err)
		}
		if _, err := d.forgive(tx, *o); err != nil {
			return err
		}
		var err error
		if link, err = d.newLink(tx, o.ID, now); err != nil {
			return err
		}
		return d.shutOut(tx, *o, now, who, reason, "operator.reset")
	})
	if err != nil {
		return OperatorView{}, "", err
	}
	return v, link, nil
}

// Unlock forgets the failed attempts on an account.
func (d *Desk) Unlock(ctx context.Context, who audit.Actor, reason, idOrName string) (OperatorView, error) {
	return d.change(ctx, idOrName, func(tx *meta.Tx, o *meta.Operator, _ meta.Stamp) error {
		had, err := d.forgive(tx, *o)
		if err != nil {
			return err
		}
		return record(tx, who, reason, "operator.unlock", o.ID, map[string]any{"name": o.Name, "had_failures": had})
	})
}

// change runs do on an operator whose row is locked, and saves it. At least one super stays active.
func (d *Desk) change(ctx context.Context, idOrName string, do func(*meta.Tx, *meta.Operator, meta.Stamp) error) (OperatorView, error) {
	if !namePattern.MatchString(canonical(idOrName)) {
		return OperatorView{}, errUnknown(idOrName)
	}
	var id string
	err := d.db.InTx(ctx, func(tx *meta.Tx) error {
		// Before the row of the operator, always: so two changes wait for each other and do not deadlock.
		supers, err := tx.LockActiveOperators(string(Super))
		if err != nil {
			return fmt.Errorf("read the supers: %w", err)
		}
		o, err := tx.LockOperator(canonical(idOrName))
		if errors.Is(err, storage.ErrNotFound) {
			return errUnknown(idOrName)
		}
		if err != nil {
			return fmt.Errorf("read the operator: %w", err)
		}
		id = o.ID
		now := d.now()
		if err := do(tx, &o, now); err != nil {
			return err
		}
		if len(supers) == 1 && supers[0] == o.ID && (o.Role != string(Super) || o.State != meta.OperatorActive) {
			return refuse(storage.CodeConflict, "last_super", "This is the last active super operator; make another one first.",
				"这是最后一个启用的超级管理员；请先创建另一个。")
		}
		o.UpdatedAt = now
		return tx.SaveOperator(o)
	})
	if err != nil {
		return OperatorView{}, err
	}
	return d.Operator(ctx, id)
}

// shutOut is ended, and revokes all of the operator's tokens: whoever made them is not to be trusted with them any more.
func (d *Desk) shutOut(tx *meta.Tx, o meta.Operator, now meta.Stamp, who audit.Actor, reason, action string) error {
	ids, err := tx.RevokeOperatorTokens(o.ID, now)
	if err != nil {
		return fmt.Errorf("revoke the tokens: %w", err)
	}
	return d.ended(tx, o, now, who, reason, action, map[string]any{"tokens_revoked": ids})
}

// ended ends all sessions of an operator and records why.
func (d *Desk) ended(tx *meta.Tx, o meta.Operator, now meta.Stamp, who audit.Actor, reason, action string, data map[string]any) error {
	n, err := tx.EndSessions(o.ID, "", now)
	if err != nil {
		return fmt.Errorf("end the sessions: %w", err)
	}
	data["name"], data["sessions_ended"] = o.Name, n
	return record(tx, who, reason, action, o.ID, data)
}

// record writes a change that was made.
func record(tx *meta.Tx, who audit.Actor, reason, action, target string, data map[string]any) error {
	if reason != "" {
		data["reason"] = reason
	}
	return audit.Write(tx, audit.Entry{Actor: who, Action: action, Target: target, Result: audit.OK, Data: data})
}
