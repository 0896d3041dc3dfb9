package meta

import (
	"context"
	"errors"

	"gorm.io/gorm"
)

// CreateOperator inserts an operator; it reports false when there is one of that name.
func (tx *Tx) CreateOperator(o Operator) (bool, error) { return insertNew(tx.g, tx.dialect, &o) }

// OperatorBy reads an operator by id or name.
func (db *DB) OperatorBy(ctx context.Context, idOrName string) (Operator, error) {
	return operatorBy(db.g.WithContext(ctx), idOrName)
}

// OperatorNamed reads an operator by name.
func (db *DB) OperatorNamed(ctx context.Context, name string) (Operator, error) {
	var o Operator
	err := db.g.WithContext(ctx).Take(&o, "name = ?", name).Error
	return o, notFound(err)
}

// LockOperator reads an operator by id or name and keeps its row to this transaction.
func (tx *Tx) LockOperator(idOrName string) (Operator, error) {
	return operatorBy(tx.g.Clauses(tx.forUpdate()...), idOrName)
}

func operatorBy(g *gorm.DB, idOrName string) (Operator, error) {
	var o Operator
	err := g.Take(&o, "id = ? OR name = ?", idOrName, idOrName).Error
	return o, notFound(err)
}

// Operators lists all operators by name.
func (db *DB) Operators(ctx context.Context) ([]Operator, error) {
	var out []Operator
	return out, db.g.WithContext(ctx).Order("name").Find(&out).Error
}

// LockActiveOperators locks the active operators of a role, and tells their ids: of two transactions that would each take one
// of the last two away, the second sees what the first has done.
func (tx *Tx) LockActiveOperators(role string) ([]string, error) {
	var list []Operator
	err := tx.g.Clauses(tx.forUpdate()...).Where("role = ? AND state = ?", role, OperatorActive).Order("id").Find(&list).Error
	ids := make([]string, len(list))
	for i, o := range list {
		ids[i] = o.ID
	}
	return ids, err
}

// SaveOperator writes an operator that this transaction has locked.
func (tx *Tx) SaveOperator(o Operator) error { return tx.g.Save(&o).Error }

// changeOperator is a compare-and-set on an active operator.
func (tx *Tx) changeOperator(id string, set map[string]any, where string, args ...any) (bool, error) {
	r := tx.g.Model(&Operator{}).Where("id = ? AND state = ?", id, OperatorActive).Where(where, args...).Updates(set)
	return r.RowsAffected == 1, r.Error
}

// LoggedIn notes a login with a password of the given hash; it reports false when the operator has another one by now, or is
// active no more.
func (tx *Tx) LoggedIn(id, hash string, at Stamp) (bool, error) {
	return tx.changeOperator(id, map[string]any{"login_at": at}, "password_hash = ?", hash)
}

// RehashPassword replaces a hash by a stronger one of the same password.
func (tx *Tx) RehashPassword(id, was, now string) (bool, error) {
	return tx.changeOperator(id, map[string]any{"password_hash": now}, "password_hash = ?", was)
}

// SetPassword replaces the password whose hash is `was`, and keeps the new one among those that were had.
func (tx *Tx) SetPassword(id, was, hash string, at Stamp) (bool, error) {
	ok, err := tx.changeOperator(id, map[string]any{"password_hash": hash, "password_at": at, "updated_at": at}, "password_hash = ?", was)
	if err != nil || !ok {
		return false, err
	}
	return true, tx.g.Create(&OperatorPassword{ID: NewID(), OperatorID: id, Hash: hash, CreatedAt: at}).Error
}

// LastPasswords are the hashes of the newest passwords of an operator.
func (db *DB) LastPasswords(ctx context.Context, operatorID string, limit int) ([]string, error) {
	var out []string
	return out, db.g.WithContext(ctx).Model(&OperatorPassword{}).Where("operator_id = ?", operatorID).
		Order("id DESC").Limit(limit).Pluck("hash", &out).Error
}

// UseTOTPStep uses up the codes of all steps up to `step` of the sealed secret; it reports false when that step or a later one was used
// already, by whichever program.
func (tx *Tx) UseTOTPStep(id, secret string, step int64) (bool, error) {
	return tx.changeOperator(id, map[string]any{"totp_step": step}, "totp_secret = ? AND totp_step < ?", secret, step)
}

// SetTOTP gives an operator without one a second factor; step is the one of the code that was shown.
func (tx *Tx) SetTOTP(id, secret string, step int64, at Stamp) (bool, error) {
	set := map[string]any{"totp_secret": secret, "totp_step": step, "enrolled_at": at, "updated_at": at}
	return tx.changeOperator(id, set, "totp_secret = ''")
}

// DropTOTP takes the second factor away; the operator has to set up another one.
func (tx *Tx) DropTOTP(id string, at Stamp) (bool, error) {
	return tx.changeOperator(id, map[string]any{"totp_secret": "", "totp_step": 0, "updated_at": at}, "1 = 1")
}

// ReplaceRecoveryCodes makes these hashes the only recovery codes of an operator.
func (tx *Tx) ReplaceRecoveryCodes(operatorID string, hashes []string) error {
	if err := tx.g.Where("operator_id = ?", operatorID).Delete(&RecoveryCode{}).Error; err != nil {
		return err
	}
	for _, hash := range hashes {
		if err := tx.g.Create(&RecoveryCode{ID: NewID(), OperatorID: operatorID, Hash: hash}).Error; err != nil {
			return err
		}
	}
	return nil
}

// UseRecoveryCode uses a code up; it reports false for one that is none, or was used.
func (tx *Tx) UseRecoveryCode(operatorID, hash string, at Stamp) (bool, error) {
	r := tx.g.Model(&RecoveryCode{}).Where("operator_id = ? AND hash = ? AND used_at = 0", operatorID, hash).Update("used_at", at)
	return r.RowsAffected == 1, r.Error
}

// CountRecoveryCodes tells how many codes each operator has left.
func (db *DB) CountRecoveryCodes(ctx context.Context) (map[string]int, error) {
	var rows []struct {
		OperatorID string
		N          int
	}
	err := db.g.WithContext(ctx).Model(&RecoveryCode{}).Select("operator_id, COUNT(*) AS n").Where("used_at = 0").
		Group("operator_id").Scan(&rows).Error
	out := map[string]int{}
	for _, r := range rows {
		out[r.OperatorID] = r.N
	}
	return out, err
}

// CreateLink voids the links of an operator and makes a new one.
func (tx *Tx) CreateLink(l OperatorLink) error {
	if err := tx.VoidLinks(l.OperatorID, l.CreatedAt); err != nil {
		return err
	}
	return tx.g.Create(&l).Error
}

// VoidLinks ends the links of an operator.
func (tx *Tx) VoidLinks(operatorID string, at Stamp) error {
	return tx.g.Model(&OperatorLink{}).Where("operator_id = ? AND used_at = 0", operatorID).Update("used_at", at).Error
}

// LinkByHash reads a link and its operator.
func (db *DB) LinkByHash(ctx context.Context, hash string) (OperatorLink, Operator, error) {
	var l OperatorLink
	if err := db.g.WithContext(ctx).Take(&l, "hash = ?", hash).Error; err != nil {
		return l, Operator{}, notFound(err)
	}
	o, err := db.OperatorBy(ctx, l.OperatorID)
	return l, o, err
}

// UseLink uses a link up; it reports false when that has happened, or its time is over.
func (tx *Tx) UseLink(id string, now Stamp) (bool, error) {
	r := tx.g.Model(&OperatorLink{}).Where("id = ? AND used_at = 0 AND expires_at > ?", id, now).Update("used_at", now)
	return r.RowsAffected == 1, r.Error
}

// How long traces of operators are kept: longer than any of them has a meaning.
const (
	sessionTraces = 24 * 60 * 60 * 1000000 // a session lasts twelve hours at most
	attemptTraces = 2 * 60 * 60 * 1000000  // locks last an hour at most
	linkTraces    = 7 * 24 * 60 * 60 * 1000000
	tokenTraces   = 90 * 24 * 60 * 60 * 1000000 // to be seen in the list for a while; the audit log keeps them longer
)

// ForgetOperatorTraces removes sessions, counts of failures, set-up links and tokens that mean nothing any more.
func (db *DB) ForgetOperatorTraces(ctx context.Context, now Stamp) error {
	return errors.Join(
		forget[string](ctx, db, &OperatorSession{}, "id", "created_at < ?", now-sessionTraces),
		forget[string](ctx, db, &OperatorAttempt{}, "subject", "since < ? AND locked_until < ?", now-attemptTraces, now),
		forget[string](ctx, db, &OperatorLink{}, "id", "created_at < ?", now-linkTraces),
		forget[string](ctx, db, &OperatorToken{}, "id", "expires_at < ? OR (revoked_at > 0 AND revoked_at < ?)", now-tokenTraces, now-tokenTraces),
	)
}
