package meta

import (
	"context"

	"gatehouse/storage"
)

// SessionOwner is a session with what its operator is now.
type SessionOwner struct {
	OperatorSession
	Name  string
	Role  string
	State string
}

// SessionByHash finds a session, ended ones included, by the SHA-256 of its secret.
func (db *DB) SessionByHash(ctx context.Context, hash string) (SessionOwner, error) {
	var s SessionOwner
	r := db.g.WithContext(ctx).Raw(`SELECT s.*, o.name, o.role, o.state FROM operator_sessions s JOIN operators o ON o.id = s.operator_id
		WHERE s.hash = ?`, hash).Scan(&s)
	if r.Error == nil && r.RowsAffected == 0 {
		return s, storage.ErrNotFound
	}
	return s, r.Error
}

// SeenSession moves the idle time of a session on.
func (db *DB) SeenSession(ctx context.Context, id, hash string, at Stamp) error {
	return db.InTx(ctx, func(tx *Tx) error {
		return tx.g.Model(&OperatorSession{}).Where("id = ? AND hash = ? AND ended_at = 0 AND seen_at < ?", id, hash, at).
			Update("seen_at", at).Error
	})
}

// OpenSessions lists an operator's sessions that have not ended and were seen since, newest first.
func (db *DB) OpenSessions(ctx context.Context, operatorID string, created, seen Stamp) ([]OperatorSession, error) {
	var out []OperatorSession
	return out, db.g.WithContext(ctx).Where("operator_id = ? AND ended_at = 0 AND created_at > ? AND seen_at > ?", operatorID, created, seen).
		Order("id DESC").Find(&out).Error
}

// SessionChange is how a session goes on: under another secret, at another stage.
type SessionChange struct {
	ID string
	// Was and Stage are what the caller saw; a session that is no longer so stays as it is.
	Was, Stage string
	Hash       string
	NextStage  string
	// SteppedUp is kept as it is when zero.
	SteppedUp Stamp
	At        Stamp
}

// RotateSession gives a session a new secret, and tells what it is now; it reports false when it has ended or is not what the caller saw.
func (tx *Tx) RotateSession(c SessionChange) (OperatorSession, bool, error) {
	set := map[string]any{"hash": c.Hash, "stage": c.NextStage, "seen_at": c.At, "pending_secret": ""}
	if c.SteppedUp != 0 {
		set["stepped_up_at"] = c.SteppedUp
	}
	r := tx.g.Model(&OperatorSession{}).Where("id = ? AND hash = ? AND stage = ? AND ended_at = 0", c.ID, c.Was, c.Stage).Updates(set)
	var now OperatorSession
	if r.Error != nil || r.RowsAffected == 0 {
		return now, false, r.Error
	}
	return now, true, tx.g.Take(&now, "id = ?", c.ID).Error
}

// SetPendingSecret keeps the sealed secret of a second factor that is being set up with its session.
func (tx *Tx) SetPendingSecret(id, hash, secret string) (bool, error) {
	r := tx.g.Model(&OperatorSession{}).Where("id = ? AND hash = ? AND ended_at = 0", id, hash).Update("pending_secret", secret)
	return r.RowsAffected == 1, r.Error
}

// EndSession ends a session; with an operator's id only one of theirs.
func (tx *Tx) EndSession(id, operatorID string, at Stamp) (bool, error) {
	q := tx.g.Model(&OperatorSession{}).Where("id = ? AND ended_at = 0", id)
	if operatorID != "" {
		q = q.Where("operator_id = ?", operatorID)
	}
	r := q.Update("ended_at", at)
	return r.RowsAffected == 1, r.Error
}

// EndSessions ends all sessions of an operator but one, which may be empty.
func (tx *Tx) EndSessions(operatorID, but string, at Stamp) (int64, error) {
	r := tx.g.Model(&OperatorSession{}).Where("operator_id = ? AND ended_at = 0 AND id <> ?", operatorID, but).Update("ended_at", at)
	return r.RowsAffected, r.Error
}
