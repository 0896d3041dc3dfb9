package api

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/admin"
	"gatehouse/gateway/auth"
	"gatehouse/gateway/auth/operator"
	"gatehouse/gateway/intake"
	"gatehouse/storage"
)

// API holds what the calls need. All fields are required.
type API struct {
	// Admin does the work; each request has a copy with its caller as the actor.
	Admin admin.Admin
	// Desk is where operators prove who they are, and where operators are made.
	Desk *operator.Desk
	// Intake takes the files of releases in, by what TenantKeys say of the platform's tenant.
	Intake     *intake.Intake
	TenantKeys *auth.Keys
	// Timeout bounds the database work of one request, but for CSV.
	Timeout time.Duration
	// Client tells the address of the caller behind trusted proxies, RequestID the id of the request.
	Client    func(*fiber.Ctx) string
	RequestID func(*fiber.Ctx) string
}

// Request is what a call knows beside its input.
type Request struct {
	// Admin acts as the caller.
	Admin admin.Admin
	// By is who calls; nil of a login that begins.
	By *operator.Principal
	// Address is the caller's, behind trusted proxies too; the zero address when it cannot be known.
	Address netip.Addr

	// cookie goes with the answer.
	cookie *fiber.Cookie
}

// request describes the caller. Its strings are copies: records outlive the request's buffers.
func (a *API) request(c *fiber.Ctx) *Request {
	r := &Request{Admin: a.Admin, By: operator.Of(c)}
	if r.By != nil {
		r.Admin.Actor = r.By.Actor()
	}
	r.Admin.Actor.RequestID = strings.Clone(a.RequestID(c))
	r.Admin.Actor.Address = strings.Clone(a.Client(c))
	r.Admin.Actor.UserAgent = strings.Clone(c.Get(fiber.HeaderUserAgent))
	if at, err := netip.ParseAddr(r.Admin.Actor.Address); err == nil {
		r.Address = at
	}
	return r
}

func (a *API) context(c *fiber.Ctx) (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.UserContext(), a.Timeout)
}

func malformed(slug, english, chinese string) error {
	return storage.Refuse(storage.CodeMalformedRequest, nil).Because(storage.Reason{Slug: slug, English: english, Chinese: chinese})
}
