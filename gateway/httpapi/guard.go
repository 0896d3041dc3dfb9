package httpapi

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"gatehouse/gateway/auth"
	"gatehouse/storage/audit"
)

// authTime bounds finding out who asks.
const authTime = 10 * time.Second

// Guards are the checks of the permissions that the route table names.
func Guards(keys *auth.Keys) map[Permission]Guard {
	return map[Permission]Guard{
		TenantRead:  tenantGuard(keys, auth.ScopeRead),
		TenantWrite: tenantGuard(keys, auth.ScopeWrite),
		DeviceToken: deviceGuard,
	}
}

func tenantGuard(keys *auth.Keys, scope auth.Scope) Guard {
	check := func(c *fiber.Ctx) error {
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
	return func(Route) fiber.Handler { return check }
}

// Precheck judges a request with Expect: 100-continue by its headers, before any byte of its body is sent: the
// key, the tenant's state, the declared length against the largest file that the tenant may send, and what room has to
// say of a file of at least so many bytes (-1: unknown). refused is told of every refusal of a caller who is known, for
// the audit log. Files of releases come from operators.
func Precheck(keys *auth.Keys, operators Operators, room func(bytes int64) error, refused func(*auth.Principal, audit.Actor, error)) func(*fasthttp.RequestCtx) error {
	return func(req *fasthttp.RequestCtx) error {
		if path := string(req.Path()); forArtifact(path) {
			return operators.Precheck(req, room)
		} else if path != UploadPath {
			return nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), authTime)
		defer cancel()
		p, err := keys.Authenticate(ctx, string(req.Request.Header.Peek(fiber.HeaderAuthorization)))
		if err != nil {
			return err
		}
		err = p.May(auth.ScopeWrite)
		if err == nil {
			err = p.MayUpload()
		}
		if err == nil {
			err = p.MaySend(int64(req.Request.Header.ContentLength()))
		}
		if err == nil {
			err = room(auth.LeastFile(int64(req.Request.Header.ContentLength())))
		}
		if err != nil {
			refused(p, actorOf(req, p), err)
		}
		return err
	}
}

func actorOf(req *fasthttp.RequestCtx, p *auth.Principal) audit.Actor {
	actor := audit.Actor{Kind: audit.KindKey, ID: p.KeyID, UserAgent: string(req.UserAgent())}
	if x, ok := req.UserValue(exchangeKey{}).(*exchange); ok {
		actor.RequestID, actor.Address = x.id, x.client
	}
	return actor
}
