package snapshot

import (
	"encoding/json"
	"fmt"
	"time"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// access is who might get in before a restore, and with what. A restore of older rows must not let in again whoever was
// shut out since.
type access struct {
	operators map[string]meta.Operator
	passwords []meta.OperatorPassword
	codes     []meta.RecoveryCode
	tokens    []meta.OperatorToken
	networks  []meta.OperatorNetwork
}

// readAccess reads them. Operators are few.
func readAccess(tx *meta.Tx) (access, error) {
	a := access{operators: map[string]meta.Operator{}}
	var list []meta.Operator
	for _, q := range []struct {
		into  any
		table string
	}{
		{&list, "operators"}, {&a.passwords, "operator_passwords"}, {&a.codes, "operator_recovery_codes"},
		{&a.tokens, "operator_tokens"}, {&a.networks, "operator_networks"},
	} {
		if _, err := tx.Scan(q.into, "SELECT * FROM "+q.table+" ORDER BY id"); err != nil {
			return a, fmt.Errorf("read %s: %w", q.table, err)
		}
	}
	for _, o := range list {
		a.operators[o.ID] = o
	}
	return a, nil
}

// shutSince is what the audit log knows of operators since the snapshot. It matters for rows that were lost, or that an
// earlier restore took away; all others say it themselves.
type shutSince struct {
	state, role   map[string]string
	reset, tokens map[string]meta.Stamp
	// ended is when an operator's tokens were revoked as a whole.
	ended map[string]meta.Stamp
}

func (r *restore) shutSince(since time.Time) (shutSince, error) {
	s := shutSince{map[string]string{}, map[string]string{}, map[string]meta.Stamp{}, map[string]meta.Stamp{}, map[string]meta.Stamp{}}
	var log []meta.AuditRecord
	_, err := r.tx.Scan(&log, "SELECT * FROM audit_log WHERE at > ? AND result = ? AND action IN ? ORDER BY at, id", meta.StampOf(since), audit.OK,
		[]string{"operator.deactivate", "operator.activate", "operator.role", "operator.reset", "operator.token_revoke"})
	if err != nil {
		return s, fmt.Errorf("read the audit log: %w", err)
	}
	for _, record := range log {
		switch record.Action {
		case "operator.deactivate":
			s.state[record.Target], s.ended[record.Target] = meta.OperatorInactive, record.At
		case "operator.activate":
			s.state[record.Target] = meta.OperatorActive
		case "operator.role":
			facts := struct{ After string }{}
			if err := json.Unmarshal([]byte(record.Data), &facts); err != nil {
				return s, fmt.Errorf("audit record %d: %w", record.ID, err)
			}
			s.role[record.Target] = facts.After
		case "operator.reset":
			s.reset[record.Target], s.ended[record.Target] = record.At, record.At
		case "operator.token_revoke":
			s.tokens[record.Target] = record.At
		}
	}
	return s, nil
}

// roles orders what operators may; a role that is none comes last.
var roles = map[string]int{"auditor": 1, "ops": 2, "super": 3}

// keepOut makes the operators that came back no more than they were before the restore.
func (r *restore) keepOut(since time.Time) error {
	log, err := r.shutSince(since)
	if err != nil {
		return err
	}
	back, err := readAccess(r.tx)
	if err != nil {
		return err
	}
	for _, o := range back.operators {
		if err := r.keepOperator(o, log); err != nil {
			return fmt.Errorf("operator %s: %w", o.ID, err)
		}
	}
	if err := r.keepTokens(back, log); err != nil {
		return err
	}
	if err := r.keepPasswords(back); err != nil {
		return err
	}
	return r.keepNetworks(back)
}

// keepOperator settles one operator that came back.
func (r *restore) keepOperator(o meta.Operator, log shutSince) error {
	was := o
	now, there := r.access.operators[o.ID]
	if now.State == meta.OperatorInactive || !there && log.state[o.ID] == meta.OperatorInactive {
		o.State = meta.OperatorInactive
	}
	role := now.Role
	if !there {
		role = log.role[o.ID]
	}
	if roles[role] > 0 && roles[role] < roles[o.Role] {
		o.Role = role
	}
	if err := r.keepProofs(&o, log.reset[o.ID]); err != nil {
		return err
	}
	if o == was {
		return nil
	}
	if o.State != was.State {
		r.shutAgain("operator %s: %s", o.Name, o.State)
	}
	if o.Role != was.Role {
		r.shutAgain("operator %s: %s", o.Name, o.Role)
	}
	if o.PasswordHash != was.PasswordHash || o.TOTPSecret != was.TOTPSecret {
		r.shutAgain("operator %s: password and second factor as before the restore", o.Name)
	}
	return r.tx.SaveOperator(o)
}

// keepProofs keeps what the operator shows to get in: that of before the restore, unless the snapshot's is younger.
func (r *restore) keepProofs(o *meta.Operator, reset meta.Stamp) error {
	now, there := r.access.operators[o.ID]
	switch {
	case !there && reset > o.UpdatedAt:
		o.PasswordHash, o.PasswordAt, o.TOTPSecret, o.TOTPStep, o.EnrolledAt = "", 0, "", 0, 0
		return r.tx.ReplaceRecoveryCodes(o.ID, nil)
	case there && now.UpdatedAt >= o.UpdatedAt:
		if now.TOTPSecret == o.TOTPSecret {
			now.TOTPStep = max(now.TOTPStep, o.TOTPStep)
		}
		o.PasswordHash, o.PasswordAt, o.EnrolledAt, o.UpdatedAt = now.PasswordHash, now.PasswordAt, now.EnrolledAt, now.UpdatedAt
		o.TOTPSecret, o.TOTPStep = now.TOTPSecret, now.TOTPStep
		return r.keepCodes(o.ID)
	case there && now.TOTPSecret == o.TOTPSecret: // the snapshot is the younger one
		o.TOTPStep = max(now.TOTPStep, o.TOTPStep)
	}
	return nil
}

func (r *restore) shutAgain(format string, args ...any) {
	r.out.Stricter = append(r.out.Stricter, fmt.Sprintf(format, args...))
}

// keepCodes makes the recovery codes of an operator those of before the restore: used ones stay used, and those of an old
// device gone.
func (r *restore) keepCodes(operatorID string) error {
	if _, err := r.tx.Exec("DELETE FROM operator_recovery_codes WHERE operator_id = ?", operatorID); err != nil {
		return err
	}
	for _, c := range r.access.codes {
		if c.OperatorID == operatorID {
			if err := r.tx.Create(&c); err != nil {
				return fmt.Errorf("keep the recovery codes: %w", err)
			}
		}
	}
	return nil
}

// keepTokens revokes those that were revoked since.
func (r *restore) keepTokens(back access, log shutSince) error {
	revoked := log.tokens
	for _, t := range r.access.tokens {
		if t.RevokedAt != 0 {
			revoked[t.ID] = t.RevokedAt
		}
	}
	for _, t := range back.tokens {
		at := revoked[t.ID]
		if ended := log.ended[t.OperatorID]; at == 0 && ended >= t.CreatedAt {
			at = ended
		}
		if at == 0 || t.RevokedAt != 0 {
			continue
		}
		if _, _, err := r.tx.RevokeOperatorToken(t.ID, at); err != nil {
			return fmt.Errorf("revoke token %s: %w", t.ID, err)
		}
		r.shutAgain("token %s of operator %s: revoked", t.ID, back.operators[t.OperatorID].Name)
	}
	return nil
}

// keepPasswords adds those that were had since, so that none of them is chosen again.
func (r *restore) keepPasswords(back access) error {
	had := map[string]bool{}
	for _, p := range back.passwords {
		had[p.ID] = true
	}
	for _, p := range r.access.passwords {
		if _, ok := back.operators[p.OperatorID]; ok && !had[p.ID] {
			if err := r.tx.Create(&p); err != nil {
				return fmt.Errorf("keep a password that was had: %w", err)
			}
		}
	}
	return nil
}

// keepNetworks keeps the list of networks as it was before the restore, unless it was empty: then anybody might come from
// anywhere, and no list lets more in.
func (r *restore) keepNetworks(back access) error {
	same := len(back.networks) == len(r.access.networks)
	for i := 0; same && i < len(back.networks); i++ {
		same = back.networks[i].CIDR == r.access.networks[i].CIDR
	}
	if same || len(r.access.networks) == 0 {
		return nil
	}
	if _, err := r.tx.Exec("DELETE FROM operator_networks"); err != nil {
		return err
	}
	for _, n := range r.access.networks {
		if err := r.tx.Create(&n); err != nil {
			return fmt.Errorf("keep the networks of operators: %w", err)
		}
	}
	r.shutAgain("networks of operators: as before the restore")
	return nil
}
