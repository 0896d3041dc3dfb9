package httpapi

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"gatehouse/gateway/auth"
	"gatehouse/storage"
)

// authTime bounds finding out who asks.
const authTime = 10 * time.Second

// Guards are the checks of the permissions that the route table names.
func Guards(keys *auth.Keys) map[Permission]fiber.Handler {
	return map[Permission]fiber.Handler{
		TenantRead:  tenantGuard(keys, auth.ScopeRead),
		TenantWrite: tenantGuard(keys, auth.ScopeWrite),
	}
}

func tenantGuard(keys *auth.Keys, scope auth.Scope) fiber.Handler {
	return func(c *fiber.Ctx) error {
		ctx, cancel := context.WithTimeout(c.UserContext(), authTime)
		defer cancel()
		p, err := keys.Authenticate(ctx, c.Get(fiber.HeaderAuthorization))
		if err != nil {
			return err
		}
		SetTenant(c, p.TenantID)
		if err := p.May(scope); err != nil {
			return err
		}
		auth.Put(c, p)
		return c.Next()
	}
}

// formAllowance is what a form may add to its file: boundaries, headers, small fields.
const formAllowance = 256 << 10

// Precheck judges a request with Expect: 100-continue by its headers, before any byte of its body is sent: the
// key, the tenant's state, the declared length against the largest file that the tenant may send.
func Precheck(keys *auth.Keys) func(*fasthttp.RequestCtx) error {
	return func(req *fasthttp.RequestCtx) error {
		if string(req.Path()) != UploadPath {
			return nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), authTime)
		defer cancel()
		p, err := keys.Authenticate(ctx, string(req.Request.Header.Peek(fiber.HeaderAuthorization)))
		if err != nil {
			return err
		}
		if err := p.May(auth.ScopeWrite); err != nil {
			return err
		}
		if err := p.MayUpload(); err != nil {
			return err
		}
		return lengthFits(p, int64(req.Request.Header.ContentLength()))
	}
}

func lengthFits(p *auth.Principal, declared int64) error {
	largest := int64(0)
	for _, c := range p.Policy.Categories {
		largest = max(largest, c.MaxBytes)
	}
	if declared > largest+formAllowance {
		return storage.Refuse(storage.CodeFileTooLarge, storage.Details{"limit": largest, "size": declared})
	}
	return nil
}

// Uploads surrounds the routes that take files: a declared length that no category allows is refused before the
// form is read, and n uploads run at once.
func Uploads(n int) fiber.Handler {
	bound := BoundUploads(n)
	return func(c *fiber.Ctx) error {
		if err := lengthFits(auth.From(c), int64(c.Request().Header.ContentLength())); err != nil {
			return err
		}
		return bound(c)
	}
}
