package assets

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"gatehouse/gateway/auth"
	"gatehouse/gateway/content"
	"gatehouse/gateway/intake"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// API holds what the handlers need. All fields but PublicURL are required.
type API struct {
	DB     *meta.DB
	Zones  *blob.Zones
	Intake *intake.Intake
	Links  *auth.Links
	Log    *slog.Logger
	// PublicURL begins the links that are given out; empty makes them relative to the gateway's root.
	PublicURL string
	// Timeout bounds the database work of one request that is neither an upload nor a download.
	Timeout time.Duration
	// Streams bounds the event streams that are open at once; each open one holds a slot.
	Streams chan struct{}
	// Closing is closed when the gateway begins to shut down: open event streams end, their clients reconnect.
	Closing <-chan struct{}
	// Client tells the address of the caller behind trusted proxies.
	Client func(*fiber.Ctx) string
	// RequestID tells the id of the request.
	RequestID func(*fiber.Ctx) string
	// Locale tells the language that the caller reads.
	Locale func(*fiber.Ctx) storage.Locale

	// lost are the objects that were found missing.
	lost content.Told
}

func (a *API) context(c *fiber.Ctx) (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.UserContext(), a.Timeout)
}

// tenant is the handle to the caller's rows: the only way to data in this package.
func (a *API) tenant(ctx context.Context, c *fiber.Ctx) meta.Tenant {
	return a.DB.Tenant(ctx, auth.From(c).TenantID)
}

// actor describes the caller to the audit log. Its strings outlive the request, so they are copies.
func (a *API) actor(c *fiber.Ctx) audit.Actor {
	return audit.Actor{
		Kind: audit.KindKey, ID: auth.From(c).KeyID, RequestID: strings.Clone(a.RequestID(c)),
		Address: strings.Clone(a.Client(c)), UserAgent: strings.Clone(c.Get(fiber.HeaderUserAgent)),
	}
}

// locale is the language of the sentences in the answer, which it marks as one of several.
func (a *API) locale(c *fiber.Ctx) storage.Locale {
	c.Vary(fiber.HeaderAcceptLanguage)
	return a.Locale(c)
}

// assetID reads the path's id. What cannot be an id does not exist.
func assetID(c *fiber.Ctx) (string, error) {
	id := strings.Clone(c.Params("id"))
	if u, err := uuid.Parse(id); err != nil || u.String() != id {
		return "", storage.ErrNotFound
	}
	return id, nil
}

func malformed(slug, english, chinese string) error {
	return storage.Refuse(storage.CodeMalformedRequest, nil).Because(storage.Reason{Slug: slug, English: english, Chinese: chinese})
}
