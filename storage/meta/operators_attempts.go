package meta

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
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
