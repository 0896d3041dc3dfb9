package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/gateway/auth"
	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// NewKey is an API key that was just made.
type NewKey struct {
	TenantID string `json:"tenant_id"`
	APIKey   string `json:"api_key"`
}

// CreateKey makes a further key for a tenant that is served.
func (a Admin) CreateKey(ctx context.Context, tenant, name string) (NewKey, error) {
	var key string
	c, err := a.onTenant(ctx, tenant, func(tx *meta.Tx, t meta.TenantRow) (Change, error) {
		if !t.State.Served() {
			return Change{}, refuse(storage.CodeConflict, "tenant_not_served",
				fmt.Sprintf("The tenant %q is %s; keys are made for active and suspended tenants.", t.Name, t.State),
				fmt.Sprintf("租户 %q 的状态为 %s；只能为启用或暂停的租户创建密钥。", t.Name, t.State))
		}
		var hash string
		key, hash = auth.NewKey()
		row := meta.APIKey{ID: meta.NewID(), TenantID: t.ID, Name: name, Hash: hash, Scopes: auth.AllScopes, CreatedAt: meta.Now()}
		if err := tx.Create(&row); err != nil {
			return Change{}, fmt.Errorf("create key: %w", err)
		}
		return Change{}, a.write(tx, t.ID, "key.create", row.ID, map[string]any{"name": name, "scopes": row.Scopes})
	})
	if err != nil {
		return NewKey{}, err
	}
	return NewKey{TenantID: c.TenantID, APIKey: key}, nil
}

// Key is what is known of an API key: all but the key.
type Key struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Scopes    []string   `json:"scopes"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
	RevokedAt *time.Time `json:"revoked_at"`
}

// Keys lists the keys of a tenant, oldest first.
func (a Admin) Keys(ctx context.Context, tenant string) ([]Key, error) {
	id, err := a.tenantID(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return a.keys(ctx, id)
}

func (a Admin) keys(ctx context.Context, tenantID string) ([]Key, error) {
	rows, err := a.DB.Tenant(ctx, tenantID).Keys()
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	out := make([]Key, 0, len(rows))
	for _, k := range rows {
		out = append(out, keyOf(k))
	}
	return out, nil
}

func keyOf(k meta.APIKey) Key {
	return Key{
		ID: k.ID, Name: k.Name, Scopes: strings.Split(k.Scopes, ","), CreatedAt: k.CreatedAt.Time(), ExpiresAt: k.ExpiresAt.TimeIfSet(),
		RevokedAt: k.RevokedAt.TimeIfSet(),
	}
}

// RevokeKey ends a key, given by its id or, where it has leaked, as the key itself.
func (a Admin) RevokeKey(ctx context.Context, idOrKey string) (Change, error) {
	ref := idOrKey
	if auth.LooksLikeKey(idOrKey) {
		ref = auth.HashKey(idOrKey)
	}
	var c Change
	err := a.DB.InTx(ctx, func(tx *meta.Tx) error {
		k, err := tx.KeyBy(ref)
		if errors.Is(err, storage.ErrNotFound) {
			return refuse(storage.CodeNotFound, "key_unknown", "There is no such API key.", "没有这个 API 密钥。")
		}
		if err != nil {
			return fmt.Errorf("look up key: %w", err)
		}
		revoked, err := tx.RevokeKey(k.ID)
		if err != nil {
			return fmt.Errorf("revoke key: %w", err)
		}
		if !revoked {
			return refuse(storage.CodeConflict, "key_revoked", "The API key has been revoked already.", "该 API 密钥此前已被吊销。")
		}
		name := k.TenantID // of a tenant whose record was lost; its key may have leaked all the same
		if t, err := tx.Tenant(k.TenantID).Row(); err == nil {
			name = t.Name
		} else if !errors.Is(err, storage.ErrNotFound) {
			return fmt.Errorf("read tenant: %w", err)
		}
		c = Change{TenantID: k.TenantID, Name: name, What: "key", KeyID: k.ID, KeyName: k.Name, Before: "valid", After: "revoked"}
		return a.write(tx, k.TenantID, "key.revoke", k.ID, map[string]any{"name": k.Name, "before": c.Before, "after": c.After})
	})
	return c, err
}
