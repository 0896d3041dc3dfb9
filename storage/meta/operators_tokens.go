package meta

import (
	"context"

	"gatehouse/storage"
)

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
