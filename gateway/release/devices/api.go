package devices

import (
	"context"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/auth"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// API holds what the handlers need. All fields are required, but MaxDevices.
type API struct {
	DB *meta.DB
	// MaxDevices is how many devices of a tenant are known, and how many have tokens; 0 is no limit.
	MaxDevices int64
	// Timeout bounds the database work of one request.
	Timeout time.Duration
	// Client tells the address of the caller behind trusted proxies, RequestID the id of the request.
	Client    func(*fiber.Ctx) string
	RequestID func(*fiber.Ctx) string
}

func (a *API) context(c *fiber.Ctx) (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.UserContext(), a.Timeout)
}

// actor describes the tenant's backend to the audit log. Its strings outlive the request, so they are copies.
func (a *API) actor(c *fiber.Ctx) audit.Actor {
	return audit.Actor{
		Kind: audit.KindKey, ID: auth.From(c).KeyID, RequestID: strings.Clone(a.RequestID(c)),
		Address: strings.Clone(a.Client(c)), UserAgent: strings.Clone(c.Get(fiber.HeaderUserAgent)),
	}
}

func malformed(slug, english, chinese string) error {
	return storage.Refuse(storage.CodeMalformedRequest, nil).Because(storage.Reason{Slug: slug, English: english, Chinese: chinese})
}

const (
	// maxDeviceID and maxUserID are what the columns hold, in bytes.
	maxDeviceID = 128
	maxUserID   = 190
)

// validDeviceID: visible ASCII, so that it is the same text in headers, logs and every database.
func validDeviceID(id string) bool {
	return id != "" && len(id) <= maxDeviceID && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}
