package meta

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// AttemptLimit says how many failures lock a subject, and for how long.
type AttemptLimit struct {
	Max  int
	Lock time.Duration
	// Sliding forgets the count when there was no attempt for as long as Lock; otherwise that long after the first.
	Sliding bool
}

// CountAttempt counts an attempt as failed before it is judged: of a hundred at once, by however many programs, no more than Max
// get judged. It reports false when the subject is locked, and the row either way.
func (tx *Tx) CountAttempt(subject string, limit AttemptLimit, now Stamp) (OperatorAttempt, bool, error) {
	a := OperatorAttempt{Subject: subject}
	counted, err := tx.countOnce(subject, limit, now)
	if err == nil && !counted {
		insert := `INSERT INTO operator_attempts (subject, failures, since) VALUES (?, 0, ?) ON CONFLICT DO NOTHING`
		if tx.dialect == MySQL {
			// Unlike a plain INSERT that meets the row, this one locks it for writing at once.
			insert = `INSERT INTO operator_attempts (subject, failures, since) VALUES (?, 0, ?) ON DUPLICATE KEY UPDATE failures = failures`
		}
		if err = tx.g.Exec(insert, subject, now).Error; err == nil {
			counted, err = tx.countOnce(subject, limit, now)
		}
	}
	if err != nil {
		return a, false, err
	}
	err = tx.g.Take(&a, "subject = ?", subject).Error
	if errors.Is(err, gorm.ErrRecordNotFound) { // forgotten in between
		err = ErrChanged
	}
	return a, counted, err
}

func (tx *Tx) countOnce(subject string, limit AttemptLimit, now Stamp) (bool, error) {
	// MySQL assigns from left to right and reads what it has assigned: each expression reads only what comes after it.
	old, sliding := now.Add(-limit.Lock), 0
	if limit.Sliding {
		sliding = 1
	}
	n, err := tx.Exec(`UPDATE operator_attempts SET
			locked_until = CASE WHEN CASE WHEN since <= ? THEN 1 ELSE failures + 1 END >= ? THEN ? ELSE locked_until END,
			failures = CASE WHEN since <= ? THEN 1 ELSE failures + 1 END,
			since = CASE WHEN since <= ? OR ? = 1 THEN ? ELSE since END
		WHERE subject = ? AND locked_until <= ?`,
		old, limit.Max, now.Add(limit.Lock), old, old, sliding, now, subject, now)
	return n == 1, err
}

// RefundAttempt takes an attempt that succeeded out of the count again, and its lock if it was the one too many.
func (tx *Tx) RefundAttempt(subject string) error {
	_, err := tx.Exec(`UPDATE operator_attempts SET failures = failures - 1, locked_until = 0 WHERE subject = ? AND failures > 0`, subject)
	return err
}

// ClearAttempts forgets the failures and the lock of a subject; it reports whether there were any.
func (tx *Tx) ClearAttempts(subject string) (bool, error) {
	// The row stays: who counts at this moment waits for it.
	n, err := tx.Exec(`UPDATE operator_attempts SET failures = 0, locked_until = 0 WHERE subject = ? AND failures > 0`, subject)
	return n == 1, err
}

// TellOfLock reports whether the audit log should be told of an attempt that met a lock: once in `every`.
func (tx *Tx) TellOfLock(subject string, now Stamp, every time.Duration) (bool, error) {
	n, err := tx.Exec(`UPDATE operator_attempts SET told_at = ? WHERE subject = ? AND told_at <= ?`, now, subject, now.Add(-every))
	return n == 1, err
}

// LockedUntil tells until when subjects are locked.
func (db *DB) LockedUntil(ctx context.Context, subjects []string, now Stamp) (map[string]Stamp, error) {
	var rows []OperatorAttempt
	err := db.g.WithContext(ctx).Where("subject IN ? AND locked_until > ?", append([]string{""}, subjects...), now).Find(&rows).Error
	out := map[string]Stamp{}
	for _, r := range rows {
		out[r.Subject] = r.LockedUntil
	}
	return out, err
}

// TokenOwner is an operator's API token with what its operator is now.
type TokenOwner struct {
	OperatorToken
	OperatorName string
	OperatorRole string
	State        string
}

// TokenByHash finds a token, ended ones included, by the SHA-256 of its secret.
func (db *DB) TokenByHash(ctx context.Context, hash string) (TokenOwner, error) {
	var t TokenOwner
	r := db.g.WithContext(ctx).Raw(`SELECT t.*, o.name AS operator_name, o.role AS operator_role, o.state
		FROM operator_tokens t JOIN operators o ON o.id = t.operator_id WHERE t.hash = ?`, hash).Scan(&t)
	if r.Error == nil && r.RowsAffected == 0 {
		return t, storage.ErrNotFound
	}
	return t, r.Error
}

// OperatorTokens lists all tokens, newest first.
func (db *DB) OperatorTokens(ctx context.Context) ([]TokenOwner, error) {
	var out []TokenOwner
	return out, db.g.WithContext(ctx).Raw(`SELECT t.*, o.name AS operator_name, o.role AS operator_role, o.state
		FROM operator_tokens t JOIN operators o ON o.id = t.operator_id ORDER BY t.id DESC`).Scan(&out).Error
}

// TokenUsed notes when a token was used last.
func (db *DB) TokenUsed(ctx context.Context, id string, at Stamp) error {
	return db.InTx(ctx, func(tx *Tx) error {
		return tx.g.Model(&OperatorToken{}).Where("id = ? AND used_at < ?", id, at).Update("used_at", at).Error
	})
}

// RevokeOperatorToken ends a token; it reports false when it has ended already, storage.ErrNotFound when there is none.
func (tx *Tx) RevokeOperatorToken(id string, at Stamp) (OperatorToken, bool, error) {
	var t OperatorToken
	if err := tx.g.Take(&t, "id = ?", id).Error; err != nil {
		return t, false, notFound(err)
	}
	r := tx.g.Model(&OperatorToken{}).Where("id = ? AND revoked_at = 0", id).Update("revoked_at", at)
	return t, r.RowsAffected == 1, r.Error
}

// RevokeOperatorTokens ends all tokens of an operator, and tells the ids of those that it ended.
func (tx *Tx) RevokeOperatorTokens(operatorID string, at Stamp) ([]string, error) {
	ids := []string{}
	err := tx.g.Model(&OperatorToken{}).Clauses(tx.forUpdate()...).Where("operator_id = ? AND revoked_at = 0", operatorID).Order("id").Pluck("id", &ids).Error
	if err != nil || len(ids) == 0 {
		return ids, err
	}
	return ids, tx.g.Model(&OperatorToken{}).Where("id IN ? AND revoked_at = 0", ids).Update("revoked_at", at).Error
}

// OperatorNetworks lists the networks that operators may come from.
func (db *DB) OperatorNetworks(ctx context.Context) ([]OperatorNetwork, error) {
	var out []OperatorNetwork
	return out, db.g.WithContext(ctx).Order("id").Find(&out).Error
}

// LockNetworks lists them for a change: the active supers' rows stand guard, so that two changes come one after the other.
func (tx *Tx) LockNetworks(guard string) ([]OperatorNetwork, error) {
	if _, err := tx.LockActiveOperators(guard); err != nil {
		return nil, err
	}
	var out []OperatorNetwork
	return out, tx.g.Order("id").Find(&out).Error
}

// CreateNetwork inserts a network; it reports false when that range is there.
func (tx *Tx) CreateNetwork(n OperatorNetwork) (bool, error) { return insertNew(tx.g, tx.dialect, &n) }

// RemoveNetworks removes the networks with these ids.
func (tx *Tx) RemoveNetworks(ids []string) error {
	return tx.g.Where("id IN ?", ids).Delete(&OperatorNetwork{}).Error
}
