package devices

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"gatehouse/gateway/auth"
	"gatehouse/gateway/stream"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// TokenAge is how long a device token is good for. The release API promises a week: an application that is started less often
// asks its backend for a new one.
const TokenAge = 7 * 24 * time.Hour

// The sizes of a page, those of all lists of tenants.
const (
	defaultPage = 50
	maxPage     = 200
)

// Token is what is known of a device token: all but the token.
type Token struct {
	ID        string     `json:"id"`
	UserID    string     `json:"user_id"`
	DeviceID  string     `json:"device_id"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt time.Time  `json:"expires_at"`
	RevokedAt *time.Time `json:"revoked_at"`
}

// NewToken is a device token that was just made; the token itself is told this once.
type NewToken struct {
	ID        string    `json:"id"`
	Token     string    `json:"token"`
	UserID    string    `json:"user_id"`
	DeviceID  string    `json:"device_id"`
	ExpiresAt time.Time `json:"expires_at"`
}

func badDeviceID() error {
	return malformed(reasonDeviceID.Slug, reasonDeviceID.English, reasonDeviceID.Chinese)
}

func badUserID() error {
	return malformed("user_id", "user_id must have 1 to 190 bytes of UTF-8, without control characters and without spaces at either end.",
		"user_id 必须是 1 到 190 字节的 UTF-8 文本，不含控制字符，首尾不含空格。")
}

// validUserID: a space at the end is none to MariaDB when it compares, and of two users who differ in it one would be the other.
func validUserID(id string) bool {
	return id != "" && len(id) <= maxUserID && utf8.ValidString(id) && id == strings.TrimSpace(id) && !strings.ContainsFunc(id, unicode.IsControl)
}

// reasonSuspendedTokens goes with TENANT_SUSPENDED.
var reasonSuspendedTokens = storage.Reason{Slug: "device_tokens",
	English: "New device tokens are refused too.", Chinese: "同样不能签发新的设备令牌。"}

// Mint is POST /device-tokens: a token for one device of one of the tenant's users.
func (a *API) Mint(c *fiber.Ctx) error {
	var in struct {
		UserID   string `json:"user_id"`
		DeviceID string `json:"device_id"`
	}
	if err := stream.ReadJSON(c, maxHeartbeat, &in); err != nil {
		return err
	}
	switch {
	case !validUserID(in.UserID):
		return badUserID()
	case !validDeviceID(in.DeviceID):
		return badDeviceID()
	}
	ctx, cancel := a.context(c)
	defer cancel()
	actor, tenantID := a.actor(c), auth.From(c).TenantID
	token, hash := auth.NewDeviceToken()
	row := meta.DeviceToken{ID: meta.NewID(), TenantID: tenantID, UserID: in.UserID, DeviceID: in.DeviceID, Hash: hash}
	err := a.DB.InTx(ctx, func(tx *meta.Tx) error {
		t, err := tx.LockTenant(tenantID)
		if err != nil {
			return fmt.Errorf("read tenant: %w", err)
		}
		if t.State != storage.TenantActive {
			return storage.Refuse(storage.CodeTenantSuspended, nil).Because(reasonSuspendedTokens)
		}
		full, err := tx.Tenant(tenantID).DeviceTokensFull(row.DeviceID, a.MaxDevices)
		if err != nil {
			return fmt.Errorf("count devices with tokens: %w", err)
		}
		if full {
			return storage.Refuse(storage.CodeReleasePermissionDenied, nil).Because(reasonTokensFull)
		}
		revoked, err := tx.Tenant(tenantID).AddDeviceToken(&row, TokenAge)
		if err != nil {
			return fmt.Errorf("store device token: %w", err)
		}
		return audit.WriteAll(tx, append(tooMany(actor, revoked), audit.Entry{
			Actor: actor, TenantID: tenantID, Action: "device_token.create", Target: row.ID, Result: audit.OK,
			Data: map[string]any{"user_id": row.UserID, "device_id": row.DeviceID, "expires_at": row.ExpiresAt.Time()},
		}))
	})
	if err != nil {
		return err
	}
	return c.Status(http.StatusCreated).JSON(NewToken{row.ID, token, row.UserID, row.DeviceID, row.ExpiresAt.Time()})
}

// tooMany are the records of tokens that were revoked because their device got another one.
func tooMany(actor audit.Actor, revoked []meta.DeviceToken) []audit.Entry {
	var out []audit.Entry
	for _, t := range revoked {
		out = append(out, audit.Entry{
			Actor: actor, TenantID: t.TenantID, Action: "device_token.revoke", Target: t.ID, Result: audit.OK,
			Data: map[string]any{"user_id": t.UserID, "device_id": t.DeviceID, "why": "too_many"},
		})
	}
	return out
}

// filterOf reads the query parameters that say which tokens are meant.
func filterOf(c *fiber.Ctx) (meta.DeviceTokenFilter, error) {
	f := meta.DeviceTokenFilter{DeviceID: strings.Clone(c.Query("device_id")), UserID: strings.Clone(c.Query("user_id"))}
	switch {
	case f.DeviceID != "" && !validDeviceID(f.DeviceID):
		return f, badDeviceID()
	case f.UserID != "" && !validUserID(f.UserID):
		return f, badUserID()
	}
	return f, nil
}

// List is GET /device-tokens: newest first, keyset-paged, without secrets.
func (a *API) List(c *fiber.Ctx) error {
	filter, err := filterOf(c)
	if err != nil {
		return err
	}
	limit, before := defaultPage, ""
	if s := c.Query("limit"); s != "" {
		if limit, err = strconv.Atoi(s); err != nil || limit < 1 || limit > maxPage {
			return malformed("limit", "The limit must be a whole number from 1 to 200.", "limit 必须是 1 到 200 的整数。")
		}
	}
	if s := c.Query("cursor"); s != "" {
		if before, err = meta.DecodeCursor(s); err != nil {
			return err
		}
	}
	ctx, cancel := a.context(c)
	defer cancel()
	// One more than asked for tells whether there is a next page.
	list, err := a.DB.Tenant(ctx, auth.From(c).TenantID).DeviceTokens(filter, before, limit+1)
	if err != nil {
		return fmt.Errorf("list device tokens: %w", err)
	}
	page := Page{Items: []Token{}}
	if len(list) > limit {
		list = list[:limit]
		next := meta.EncodeCursor(list[limit-1].ID)
		page.NextCursor = &next
	}
	for _, t := range list {
		page.Items = append(page.Items, Token{t.ID, t.UserID, t.DeviceID, t.CreatedAt.Time(), t.ExpiresAt.Time(), t.RevokedAt.TimeIfSet()})
	}
	return c.JSON(page)
}

// Page is a page of tokens.
type Page struct {
	Items      []Token `json:"items"`
	NextCursor *string `json:"next_cursor"`
}

// Revoke is DELETE /device-tokens/{id}. A token that is over, or never was, is revoked all the same: 204.
func (a *API) Revoke(c *fiber.Ctx) error {
	id := strings.Clone(c.Params("id"))
	if u, err := uuid.Parse(id); err == nil && u.String() == id {
		if _, err := a.revoke(c, meta.DeviceTokenFilter{ID: id}); err != nil {
			return err
		}
	} // else there is no such token
	return c.SendStatus(http.StatusNoContent)
}

// Revoked says how many tokens were open until now.
type Revoked struct {
	Revoked int64 `json:"revoked"`
}

// RevokeAll is DELETE /device-tokens?device_id= and ?user_id=: all tokens of a device, of a user, or of a user's device.
func (a *API) RevokeAll(c *fiber.Ctx) error {
	filter, err := filterOf(c)
	if err != nil {
		return err
	}
	if filter == (meta.DeviceTokenFilter{}) {
		return malformed("revoke_what", "Say whose tokens to revoke, with device_id or user_id.", "请用 device_id 或 user_id 指明要撤销谁的令牌。")
	}
	n, err := a.revoke(c, filter)
	if err != nil {
		return err
	}
	return c.JSON(Revoked{n})
}

// revoke ends the tokens that are meant, and writes one record of it however many they are: what was asked for, and the number.
func (a *API) revoke(c *fiber.Ctx, filter meta.DeviceTokenFilter) (n int64, err error) {
	ctx, cancel := a.context(c)
	defer cancel()
	entry := audit.Entry{Actor: a.actor(c), TenantID: auth.From(c).TenantID, Action: "device_token.revoke", Target: filter.ID, Result: audit.OK}
	err = a.DB.InTx(ctx, func(tx *meta.Tx) error {
		tokens := tx.Tenant(entry.TenantID)
		if n, err = tokens.RevokeDeviceTokens(filter); err != nil {
			return fmt.Errorf("revoke device tokens: %w", err)
		}
		if n == 0 {
			return nil
		}
		entry.Data = map[string]any{"revoked": n}
		of := filter
		if filter.ID != "" {
			list, err := tokens.DeviceTokens(filter, "", 1)
			if err != nil || len(list) == 0 {
				return fmt.Errorf("read device token that was revoked: %w", err)
			}
			of.UserID, of.DeviceID = list[0].UserID, list[0].DeviceID
		}
		for name, value := range map[string]string{"user_id": of.UserID, "device_id": of.DeviceID} {
			if value != "" {
				entry.Data[name] = value
			}
		}
		return audit.WriteAll(tx, []audit.Entry{entry})
	})
	return n, err
}
