package meta

import (
	"context"

	"gatehouse/storage"
)

// RemoveKeys deletes all API keys of the tenant, for one that never came to be.
func (t Tenant) RemoveKeys() error { return t.rows(&APIKey{}).Delete(&APIKey{}).Error }

// Keys lists the tenant's API keys, revoked ones included, oldest first.
func (t Tenant) Keys() ([]APIKey, error) {
	var out []APIKey
	return out, t.rows(&APIKey{}).Order("id").Find(&out).Error
}

// KeyBy reads an API key by its id, or by the hash of its secret.
func (tx *Tx) KeyBy(idOrHash string) (APIKey, error) {
	var k APIKey
	err := tx.g.Take(&k, "id = ? OR hash = ?", idOrHash, idOrHash).Error
	return k, notFound(err)
}

// RevokeKey ends an API key; it reports false when it has ended already.
func (tx *Tx) RevokeKey(id string) (bool, error) {
	r := tx.g.Model(&APIKey{}).Where("id = ? AND revoked_at = 0", id).Update("revoked_at", Now())
	return r.RowsAffected == 1, r.Error
}

// Identity is what an API key proves: the tenant with its plan, read in one query.
type Identity struct {
	KeyID     string
	Scopes    string
	ExpiresAt Stamp
	RevokedAt Stamp
	TenantID  string
	Tenant    string
	State     storage.TenantState
	Plan      string
	// PlanSpec is JSON; empty when the plan has no record (ErrNoPlan).
	PlanSpec  string
	Overrides string
}

// KeyByHash finds an API key, revoked and expired ones included, by the SHA-256 of its secret.
func (db *DB) KeyByHash(ctx context.Context, hash string) (Identity, error) {
	var id Identity
	r := db.g.WithContext(ctx).Raw(`SELECT k.id AS key_id, k.scopes, k.expires_at, k.revoked_at,
			t.id AS tenant_id, t.name AS tenant, t.state, t.plan, COALESCE(p.spec, '') AS plan_spec, t.overrides
		FROM api_keys k JOIN tenants t ON t.id = k.tenant_id LEFT JOIN plans p ON p.name = t.plan
		WHERE k.hash = ?`, hash).Scan(&id)
	if r.Error != nil {
		return Identity{}, r.Error
	}
	if r.RowsAffected == 0 {
		return Identity{}, storage.ErrNotFound
	}
	return id, nil
}
