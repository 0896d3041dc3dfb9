package httpapi

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"gatehouse/gateway/auth"
	"gatehouse/gateway/auth/operator"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// Operators is what stands in front of the calls of operators.
type Operators struct {
	Desk *operator.Desk
	DB   *meta.DB
	// Origins are the gateway's own, beside that of the Host header: http.public_url, and http.admin_host by HTTPS.
	Origins []string
}

// HeaderCSRF carries the token that a session was given, on every write. Another site's page can make a browser send the
// cookie, and cannot read this.
const HeaderCSRF = "X-CSRF-Token"

// The reasons of the guard. One sentence for each, so that whoever writes a client sees what is missing.
var (
	reasonOrigin = storage.Reason{
		Slug:    "origin",
		English: "A write of a session needs an Origin header that is this gateway's own address; browsers send it by themselves.",
		Chinese: "会话的写操作需要携带与本网关地址一致的 Origin 请求头；浏览器会自动发送。",
	}
	reasonCSRF = storage.Reason{
		Slug:    "csrf",
		English: "A write of a session needs the header X-CSRF-Token with the csrf_token that the login, or GET /api/admin/auth/session, answers.",
		Chinese: "会话的写操作需要在 X-CSRF-Token 请求头中携带登录或 GET /api/admin/auth/session 返回的 csrf_token。",
	}
	reasonRole = storage.Reason{
		Slug:    "role",
		English: "Your role does not allow this.",
		Chinese: "您的角色不允许执行此操作。",
	}
	reasonStepUp = storage.Reason{
		Slug:    "step_up",
		English: "This call needs a code of your second factor that is at most five minutes old: send one to POST /api/admin/auth/step-up, then repeat it.",
		Chinese: "此操作需要五分钟内的二次验证：请先向 POST /api/admin/auth/step-up 发送验证码，然后重试。",
	}
	reasonTokenStepUp = storage.Reason{
		Slug:    "step_up_person",
		English: "This call needs a person with a second factor; an API token can never make it.",
		Chinese: "此操作必须由具有二次验证的人员执行；API 令牌不能执行。",
	}
)

// stageReasons say what a session that is not through the login has to do.
var stageReasons = map[operator.Stage]storage.Reason{
	operator.StageEnroll: {
		Slug:    "mfa_setup",
		English: "Set up your second factor first: POST /api/admin/auth/mfa/setup, then /confirm.",
		Chinese: "请先设置二次验证：POST /api/admin/auth/mfa/setup，然后 /confirm。",
	},
	operator.StageVerify: {
		Slug:    "mfa_verify",
		English: "Send a code of your second factor first: POST /api/admin/auth/verify.",
		Chinese: "请先提交二次验证码：POST /api/admin/auth/verify。",
	},
	operator.StagePassword: {
		Slug:    "password_expired",
		English: "Your password is too old. Choose a new one first: POST /api/admin/auth/password.",
		Chinese: "您的密码已过期。请先更换密码：POST /api/admin/auth/password。",
	},
	operator.StageFull: {
		Slug:    "mfa_done",
		English: "You are signed in already; this call is a step of the login.",
		Chinese: "您已登录；此接口仅用于登录过程。",
	},
}

// OperatorGuards are the checks of the permissions for operators.
func OperatorGuards(o Operators) map[Permission]Guard {
	return map[Permission]Guard{
		Operator: func(r Route) fiber.Handler {
			return func(c *fiber.Ctx) error { return o.guard(c, r) }
		},
		OperatorLogin: func(Route) fiber.Handler {
			return func(c *fiber.Ctx) error {
				if err := o.allowed(c); err != nil {
					return err
				}
				if c.Get(fiber.HeaderOrigin) != "" && !o.ownOrigin(c) {
					return storage.Refuse(storage.CodeForbidden, nil).Because(reasonOrigin) // another site signs a visitor in
				}
				return c.Next()
			}
		},
	}
}

// guard lets a request through to its row, and writes down what was read, refused and failed. A stranger's request is in the
// gateway's log only: whoever can reach it could fill the audit log otherwise.
func (o Operators) guard(c *fiber.Ctx, r Route) error {
	p, err := o.principal(c)
	if err != nil {
		return err
	}
	SetOperator(c, p.OperatorID)
	if err := o.admit(c, r, p); err != nil {
		return errors.Join(err, o.record(c, r, p, err))
	}
	p.Trace = new(audit.Trace)
	operator.Put(c, p)
	err = c.Next()
	if r.Method == http.MethodGet && r.ofSession() || p.Trace.Left() && (err == nil || r.ofSession()) {
		return err // what makes a change records it, and what judges a login its failures
	}
	return errors.Join(err, o.record(c, r, p, err))
}

// principal finds who asks.
func (o Operators) principal(c *fiber.Ctx) (*operator.Principal, error) {
	if err := o.allowed(c); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.UserContext(), authTime)
	defer cancel()
	if scheme, bearer, ok := strings.Cut(c.Get(fiber.HeaderAuthorization), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return o.Desk.Token(ctx, strings.TrimSpace(bearer), clientIn(c))
	}
	p, csrf, err := o.Desk.Session(ctx, c.Cookies(operator.Cookie))
	if err != nil {
		return nil, err
	}
	p.CSRF = csrf
	return p, nil
}

func (o Operators) allowed(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(c.UserContext(), authTime)
	defer cancel()
	return o.Desk.Allowed(ctx, clientIn(c))
}

// admit judges whether the principal may call the row.
func (o Operators) admit(c *fiber.Ctx, r Route, p *operator.Principal) error {
	if r.Method != http.MethodGet && p.SessionID != "" {
		if err := o.meant(c, p); err != nil {
			return err
		}
	}
	if !slices.Contains(r.stages(), p.Stage) {
		code := storage.CodeMFARequired
		if p.Stage == operator.StageFull {
			code = storage.CodeConflict
		}
		return storage.Refuse(code, storage.Details{"stage": string(p.Stage)}).Because(stageReasons[p.Stage])
	}
	if !p.Role.Covers(r.Role) {
		return storage.Refuse(storage.CodeForbidden, storage.Details{"role": string(p.Role), "least_role": string(r.Role)}).Because(reasonRole)
	}
	switch {
	case !r.StepUp:
		return nil
	case p.TokenID != "":
		return storage.Refuse(storage.CodeMFARequired, nil).Because(reasonTokenStepUp)
	case p.SteppedUp.IsZero() || time.Since(p.SteppedUp) > operator.StepUpAge:
		return storage.Refuse(storage.CodeMFARequired, nil).Because(reasonStepUp)
	}
	return nil
}

// meant refuses a write that another site's page may have made a browser send: it would carry the cookie too.
func (o Operators) meant(c *fiber.Ctx, p *operator.Principal) error {
	if !o.ownOrigin(c) {
		return storage.Refuse(storage.CodeForbidden, nil).Because(reasonOrigin)
	}
	if p.CSRF == "" || subtle.ConstantTimeCompare([]byte(c.Get(HeaderCSRF)), []byte(p.CSRF)) != 1 {
		return storage.Refuse(storage.CodeForbidden, nil).Because(reasonCSRF)
	}
	return nil
}

// ownOrigin reports whether a request was made by a page of this gateway: by its Host header, or by what it is known as.
func (o Operators) ownOrigin(c *fiber.Ctx) bool {
	origin := c.Get(fiber.HeaderOrigin)
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return false
	}
	return strings.EqualFold(u.Host, string(c.Context().Request.Header.Host())) ||
		slices.ContainsFunc(o.Origins, func(own string) bool { return strings.EqualFold(own, origin) })
}

// record writes down what was read, and what was refused or failed.
func (o Operators) record(c *fiber.Ctx, r Route, p *operator.Principal, err error) error {
	actor := p.Actor()
	actor.RequestID, actor.Address, actor.UserAgent = RequestID(c), Client(c), strings.Clone(c.Get(fiber.HeaderUserAgent))
	data := map[string]any{"call": r.Method + " " + r.Path}
	if r.Method == http.MethodGet {
		data["read"] = true
	}
	if err == nil && r.Method != http.MethodGet {
		data["unchanged"] = true // else whoever changed something would have recorded it
	}
	if query := c.Context().QueryArgs().QueryString(); len(query) > 0 {
		data["query"] = string(query[:min(len(query), maxRecordedQuery)])
	}
	if r.StepUp {
		data["dangerous"] = true
	}
	e := audit.Entry{Actor: actor, Action: r.Action, Target: targetOf(c, r), Result: audit.OK, Data: data}
	if err != nil {
		e.Result = audit.Failed
		if e.Code = string(storage.CodeOf(err)); e.Code != "" {
			e.Result = audit.Refused
		}
		if refusal, ok := errors.AsType[*storage.Error](err); ok && refusal.Reason != nil {
			data["why"] = refusal.Reason.Slug
			if reasons, many := refusal.Details["reasons"]; many {
				data["reasons"] = reasons
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.UserContext()), authTime)
	defer cancel()
	return o.DB.InTx(ctx, func(tx *meta.Tx) error { return audit.Write(tx, e) })
}

// Precheck judges an upload with Expect: 100-continue by its headers, before any byte of its body is sent: who asks, and room
// for a file of that length. The guard of the row judges all of it again, and writes it down.
func (o Operators) Precheck(req *fasthttp.RequestCtx, room func(bytes int64) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), authTime)
	defer cancel()
	var from netip.Addr
	if x, ok := req.UserValue(exchangeKey{}).(*exchange); ok {
		if a, err := netip.ParseAddr(x.client); err == nil {
			from = a
		}
	}
	err := o.Desk.Allowed(ctx, from)
	if err == nil {
		if scheme, bearer, ok := strings.Cut(string(req.Request.Header.Peek(fiber.HeaderAuthorization)), " "); ok && strings.EqualFold(scheme, "Bearer") {
			_, err = o.Desk.Token(ctx, strings.TrimSpace(bearer), from)
		} else {
			_, _, err = o.Desk.Session(ctx, string(req.Request.Header.Cookie(operator.Cookie)))
		}
	}
	if err != nil {
		return err
	}
	return room(auth.LeastFile(int64(req.Request.Header.ContentLength())))
}

// forArtifact reports whether the address takes a file of a release.
func forArtifact(path string) bool {
	return strings.HasPrefix(path, adminPrefix+"client-releases/") && strings.HasSuffix(path, "/artifacts/upload")
}

// maxRecordedQuery bounds what a record keeps of a query.
const maxRecordedQuery = 500

// targetOf names what a call is about by the parameters of its path.
func targetOf(c *fiber.Ctx, r Route) string {
	var out []string
	for part := range strings.SplitSeq(r.Path, "/") {
		if name, ok := strings.CutPrefix(part, ":"); ok {
			out = append(out, strings.Clone(c.Params(name)))
		}
	}
	return strings.Join(out, "/")
}

// clientIn is the address of the caller; the zero address when it cannot be known, which no list allows.
func clientIn(c *fiber.Ctx) netip.Addr {
	a, err := netip.ParseAddr(Client(c))
	if err != nil {
		return netip.Addr{}
	}
	return a
}
