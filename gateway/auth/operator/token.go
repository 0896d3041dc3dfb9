package operator

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

const (
	// TokenLife is the longest life of a token.
	TokenLife = 366 * 24 * time.Hour
	// maxTokenCIDRs bounds what is compared for each request.
	maxTokenCIDRs = 32
)

var (
	errToken        = refuse(storage.CodeUnauthenticated, "token_invalid", "The API token is not valid: unknown, expired or revoked.", "API 令牌无效：不存在、已过期或已被吊销。")
	errTokenNetwork = refuse(storage.CodeUnauthenticated, "token_network", "The API token must not be used from this address.", "不允许从此地址使用该 API 令牌。")
)

// NewToken says what a token is for.
type NewToken struct {
	Name string
	Role Role
	// ExpiresAt is at most TokenLife from now.
	ExpiresAt time.Time
	// CIDRs are the networks that it may be used from; none means any.
	CIDRs []string
}

// TokenView is what is shown of a token: all but the secret.
type TokenView struct {
	ID         string     `json:"id"`
	OperatorID string     `json:"operator_id"`
	Operator   string     `json:"operator"`
	Name       string     `json:"name"`
	Role       Role       `json:"role"`
	CIDRs      []string   `json:"cidrs"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
	UsedAt     *time.Time `json:"used_at"`
	RevokedAt  *time.Time `json:"revoked_at"`
}

// Token finds the operator for whom a program acts. It never may more than the operator may now.
func (d *Desk) Token(ctx context.Context, bearer string, addr netip.Addr) (*Principal, error) {
	if !wellFormed(tokenPrefix, bearer) {
		return nil, errToken
	}
	t, err := d.db.TokenByHash(ctx, hashSecret(bearer))
	if errors.Is(err, storage.ErrNotFound) {
		return nil, errToken
	}
	if err != nil {
		return nil, fmt.Errorf("look up the token: %w", err)
	}
	now := d.now()
	if t.RevokedAt != 0 || now >= t.ExpiresAt || t.State != meta.OperatorActive {
		return nil, errToken
	}
	if t.CIDRs != "" {
		in, err := within(strings.Split(t.CIDRs, ","), addr)
		if err != nil {
			return nil, fmt.Errorf("networks of token %s: %w", t.ID, err)
		}
		if !in {
			return nil, errTokenNetwork
		}
	}
	role := Role(t.Role)
	if owner := Role(t.OperatorRole); !owner.Covers(role) {
		role = owner
	}
	if now >= t.UsedAt.Add(seenEvery) {
		if err := d.db.TokenUsed(ctx, t.ID, now); err != nil {
			return nil, fmt.Errorf("note that the token was used: %w", err)
		}
	}
	return &Principal{OperatorID: t.OperatorID, Name: t.OperatorName, Role: role, Stage: StageFull, TokenID: t.ID}, nil
}

// CreateToken makes a token that acts for its maker, with at most the maker's role. The secret is shown this once.
func (d *Desk) CreateToken(ctx context.Context, maker *Principal, who audit.Actor, reason string, n NewToken) (TokenView, string, error) {
	cidrs, err := d.judgeToken(maker, n)
	if err != nil {
		return TokenView{}, "", err
	}
	now := d.now()
	secret, hash := newSecret(tokenPrefix)
	row := meta.OperatorToken{
		ID: meta.NewID(), OperatorID: maker.OperatorID, Name: n.Name, Role: string(n.Role), Hash: hash, CIDRs: strings.Join(cidrs, ","),
		CreatedAt: now, ExpiresAt: meta.StampOf(n.ExpiresAt),
	}
	err = d.db.InTx(ctx, func(tx *meta.Tx) error {
		if err := tx.Create(&row); err != nil {
			return fmt.Errorf("make the token: %w", err)
		}
		return record(tx, who, reason, "operator.token_create", row.ID, map[string]any{
			"name": n.Name, "role": n.Role, "expires_at": row.ExpiresAt.Time(), "cidrs": cidrs,
		})
	})
	return tokenView(meta.TokenOwner{OperatorToken: row, OperatorName: maker.Name}), secret, err
}

// judgeToken refuses a token that must not be, and gives its networks in their one form.
func (d *Desk) judgeToken(maker *Principal, n NewToken) ([]string, error) {
	switch {
	case n.Name == "" || len(n.Name) > maxName || !utf8.ValidString(n.Name) || strings.ContainsRune(n.Name, 0):
		return nil, refuse(storage.CodeMalformedRequest, "token_name", "The name of a token has 1 to 64 bytes.", "令牌名称为 1 到 64 个字节。")
	case !n.Role.Known():
		return nil, errRole()
	case !maker.Role.Covers(n.Role):
		return nil, refuse(storage.CodeForbidden, "token_role", "A token may have at most the role of whoever makes it.", "令牌的角色不得高于创建者的角色。")
	case !n.ExpiresAt.After(d.Now()) || n.ExpiresAt.After(d.Now().Add(TokenLife)):
		return nil, refuse(storage.CodeMalformedRequest, "token_expiry", "A token must expire within 366 days.", "令牌必须在 366 天内过期。")
	case len(n.CIDRs) > maxTokenCIDRs:
		return nil, refuse(storage.CodeMalformedRequest, "token_networks", fmt.Sprintf("A token has at most %d networks.", maxTokenCIDRs),
			fmt.Sprintf("令牌最多可有 %d 个网段。", maxTokenCIDRs))
	}
	cidrs := make([]string, 0, len(n.CIDRs))
	for _, c := range n.CIDRs {
		p, err := network(c)
		if err != nil {
			return nil, err
		}
		cidrs = append(cidrs, p.String())
	}
	slices.Sort(cidrs)
	return slices.Compact(cidrs), nil
}

// Tokens lists all tokens, newest first.
func (d *Desk) Tokens(ctx context.Context) ([]TokenView, error) {
	rows, err := d.db.OperatorTokens(ctx)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	out := make([]TokenView, 0, len(rows))
	for _, t := range rows {
		out = append(out, tokenView(t))
	}
	return out, nil
}

func tokenView(t meta.TokenOwner) TokenView {
	cidrs := []string{}
	if t.CIDRs != "" {
		cidrs = strings.Split(t.CIDRs, ",")
	}
	return TokenView{
		ID: t.ID, OperatorID: t.OperatorID, Operator: t.OperatorName, Name: t.Name, Role: Role(t.Role), CIDRs: cidrs,
		CreatedAt: t.CreatedAt.Time(), ExpiresAt: t.ExpiresAt.Time(), UsedAt: t.UsedAt.TimeIfSet(), RevokedAt: t.RevokedAt.TimeIfSet(),
	}
}

// RevokeToken ends a token, from the next request on.
func (d *Desk) RevokeToken(ctx context.Context, who audit.Actor, reason, id string) error {
	unknown := refuse(storage.CodeNotFound, "token_unknown", "There is no such API token.", "没有这个 API 令牌。")
	if uuid.Validate(id) != nil {
		return unknown
	}
	return d.db.InTx(ctx, func(tx *meta.Tx) error {
		t, revoked, err := tx.RevokeOperatorToken(id, d.now())
		if errors.Is(err, storage.ErrNotFound) {
			return unknown
		}
		if err != nil {
			return fmt.Errorf("revoke the token: %w", err)
		}
		if !revoked {
			return refuse(storage.CodeConflict, "token_revoked", "The API token has been revoked already.", "该 API 令牌此前已被吊销。")
		}
		return record(tx, who, reason, "operator.token_revoke", id, map[string]any{"name": t.Name, "role": t.Role, "operator_id": t.OperatorID})
	})
}
