package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/gateway/auth"
	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// NewKey is an API key that was just made.
type NewKey struct {
	TenantID string `json:"tenant_id"`
	KeyID    string `json:"key_id"`
	APIKey   string `json:"api_key"`
}

// KeySpec is what a new key is to be.
type KeySpec struct {
	// Name says what the key is for.
	Name string
	// Scopes are read and write; none means both.
	Scopes []string
	// ExpiresAt ends the key; nil is never.
	ExpiresAt *time.Time
}

// check gives the scopes as they are stored.
func (s KeySpec) check() (scopes string, err error) {
	if s.Name == "" || len(s.Name) > maxKeyName || !utf8.ValidString(s.Name) || strings.ContainsFunc(s.Name, invisible) {
		return "", refuse(storage.CodeMalformedRequest, "key_name",
			fmt.Sprintf("The name of a key must have 1 to %d bytes of UTF-8 without control and other invisible characters.", maxKeyName),
			fmt.Sprintf("密钥名称必须是 1 到 %d 字节的 UTF-8 文本，不含控制字符和其他不可见字符。", maxKeyName))
	}
	if s.ExpiresAt != nil && !s.ExpiresAt.After(time.Now()) {
		return "", refuse(storage.CodeMalformedRequest, "key_expiry", "The time at which a key expires must be to come.", "密钥的到期时间必须在将来。")
	}
	all := strings.Split(auth.AllScopes, ",")
	for _, scope := range s.Scopes {
		if !slices.Contains(all, scope) {
			return "", refuse(storage.CodeMalformedRequest, "key_scope",
				fmt.Sprintf("There is no scope %q; the scopes are read and write.", scope), fmt.Sprintf("没有权限范围 %q；可用的范围是 read 和 write。", scope))
		}
	}
	if len(s.Scopes) == 0 {
		return auth.AllScopes, nil
	}
	// In their usual order, each once.
	return strings.Join(slices.DeleteFunc(all, func(scope string) bool { return !slices.Contains(s.Scopes, scope) }), ","), nil
}

// maxKeyName is what the column holds.
const maxKeyName = 190

// CreateKey makes a further key for a tenant that is served.
func (a Admin) CreateKey(ctx context.Context, tenant string, spec KeySpec) (NewKey, error) {
	scopes, err := spec.check()
	if err != nil {
		return NewKey{}, err
	}
	if err := a.ensureMeant(ctx, tenant); err != nil {
		return NewKey{}, err
	}
	var made NewKey
	_, err = a.onTenant(ctx, tenant, func(tx *meta.Tx, t meta.TenantRow) (Change, error) {
		if !t.State.Served() {
			return Change{}, refuse(storage.CodeConflict, "tenant_not_served",
				fmt.Sprintf("The tenant %q is %s; keys are made for active and suspended tenants.", t.Name, t.State),
				fmt.Sprintf("租户 %q 的状态为 %s；只能为启用或暂停的租户创建密钥。", t.Name, t.State))
		}
		key, hash := auth.NewKey()
		row := meta.APIKey{ID: meta.NewID(), TenantID: t.ID, Name: spec.Name, Hash: hash, Scopes: scopes, CreatedAt: meta.Now()}
		if spec.ExpiresAt != nil {
			row.ExpiresAt = meta.StampOf(*spec.ExpiresAt)
		}
		made = NewKey{TenantID: t.ID, KeyID: row.ID, APIKey: key}
		if err := tx.Create(&row); err != nil {
			return Change{}, fmt.Errorf("create key: %w", err)
		}
		return Change{}, a.write(tx, t.ID, "key.create", row.ID, map[string]any{
			"name": row.Name, "scopes": row.Scopes, "expires_at": row.ExpiresAt.TimeIfSet(),
		})
	})
	if err != nil {
		return NewKey{}, err
	}
	return made, nil
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
	return a.revoke(ctx, ref, func(meta.APIKey) bool { return true })
}

// RevokeKeyOf ends a key of a tenant, given by its id and by nothing else: a key itself has no place in an address.
func (a Admin) RevokeKeyOf(ctx context.Context, tenant, keyID string) (Change, error) {
	id, err := a.tenantID(ctx, tenant)
	if err != nil {
		return Change{}, err
	}
	return a.revoke(ctx, keyID, func(k meta.APIKey) bool { return k.TenantID == id && k.ID == keyID })
}

// revoke ends a key, given by its id or hash, if it is the one that is meant.
func (a Admin) revoke(ctx context.Context, ref string, meant func(meta.APIKey) bool) (Change, error) {
	var c Change
	err := a.DB.InTx(ctx, func(tx *meta.Tx) error {
		k, err := tx.KeyBy(ref)
		if errors.Is(err, storage.ErrNotFound) || err == nil && !meant(k) {
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
