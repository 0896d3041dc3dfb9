package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"gatehouse/gateway/content"
	"gatehouse/gateway/stream"
	"gatehouse/storage"
)

// exchange is what the log and the metrics know of one request. It outlives the request's buffers, so its strings
// are copies.
type exchange struct {
	id, client, method, route, tenant, operator string

	start    time.Time
	duration time.Duration
	status   int
	code     storage.Code
	err      error
	received int64
	sent     int64
	sendErr  error
	// handled: the handler is through. closed: its streamed body is too.
	handled, closed bool
	kept            bool // the connection is kept
	// quiet: an answer without trouble is worth no line of the log.
	quiet bool
}

type exchangeKey struct{}

// exchangeOf begins the exchange, or finds the one that an earlier stage began.
func (s *Server) exchangeOf(ctx *fasthttp.RequestCtx) *exchange {
	if x, ok := ctx.UserValue(exchangeKey{}).(*exchange); ok {
		return x
	}
	x := &exchange{
		id:     requestID(&ctx.Request.Header),
		client: clientAddr(ctx, s.options.TrustedProxies).String(),
		method: methodOf(ctx),
		start:  time.Now(),
		kept:   true,
	}
	ctx.SetUserValue(exchangeKey{}, x)
	return x
}

// methodOf names the method without a copy where it is one that routes may have.
func methodOf(ctx *fasthttp.RequestCtx) string {
	for _, known := range fiber.DefaultMethods {
		if string(ctx.Method()) == known {
			return known
		}
	}
	return string(ctx.Method())
}

func exchangeIn(c *fiber.Ctx) *exchange {
	if x, ok := c.Context().UserValue(exchangeKey{}).(*exchange); ok {
		return x
	}
	return &exchange{} // an app that is not a Server's
}

// RequestID is the id of the request, also in its response and log line.
func RequestID(c *fiber.Ctx) string { return exchangeIn(c).id }

// Client is the address of the caller, behind trusted proxies too.
func Client(c *fiber.Ctx) string { return exchangeIn(c).client }

// SetTenant names the tenant in the request's log line.
func SetTenant(c *fiber.Ctx, tenantID string) { exchangeIn(c).tenant = strings.Clone(tenantID) }

// SetOperator names the operator in the request's log line.
func SetOperator(c *fiber.Ctx, operatorID string) { exchangeIn(c).operator = strings.Clone(operatorID) }

// named notes the route's pattern for log and metrics, and whether the log is to keep quiet about it.
func named(r Route) fiber.Handler {
	return func(c *fiber.Ctx) error {
		x := exchangeIn(c)
		x.route, x.quiet = r.Path, r.Quiet
		return c.Next()
	}
}

// handle surrounds every request that fasthttp could read.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	x := s.exchangeOf(ctx)
	s.metrics.inFlight.Inc()
	defer s.metrics.inFlight.Dec()
	hook := content.OnSent(ctx, func(sent int64, err error) {
		x.sent, x.sendErr, x.closed = sent, err, true
		if x.handled {
			s.finish(x)
		}
	})
	s.setHeaders(ctx, x)
	s.run(ctx)
	x.kept = stream.Settle(ctx, s.options.Drain)
	s.measure(ctx, x)
	x.handled = true
	if !hook.Claimed() || x.closed {
		s.finish(x)
	}
}

// run calls the handler and turns a panic into a response.
func (s *Server) run(ctx *fasthttp.RequestCtx) {
	defer func() {
		if p := recover(); p != nil {
			ctx.Response.Reset()
			s.setHeaders(ctx, s.exchangeOf(ctx))
			s.refuse(ctx, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	if err := stream.Attach(ctx, s.options.Pace); err != nil {
		s.refuse(ctx, err)
		return
	}
	// fiber answers these by itself, in plain text.
	if !slices.Contains(fiber.DefaultMethods, string(ctx.Method())) {
		s.refuse(ctx, fiber.ErrMethodNotAllowed)
		return
	}
	if err := s.wrongHost(ctx); err != nil {
		s.refuse(ctx, err)
		return
	}
	s.inner(ctx)
}

// expect answers Expect: 100-continue: 100 lets the body come, every other status is final. fasthttp closes the
// connection after a final one.
func (s *Server) expect(ctx *fasthttp.RequestCtx) int {
	x := s.exchangeOf(ctx)
	s.setHeaders(ctx, x)
	err := s.precheck(ctx)
	if err == nil {
		return fasthttp.StatusContinue
	}
	s.refuse(ctx, err)
	stream.LingerOnClose(ctx) // a client that did not wait may be sending
	x.kept = false
	s.measure(ctx, x)
	s.finish(x)
	return x.status
}

func (s *Server) precheck(ctx *fasthttp.RequestCtx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if err := stream.CheckFraming(&ctx.Request.Header); err != nil {
		return err
	}
	if err := s.wrongHost(ctx); err != nil || s.options.Precheck == nil {
		return err
	}
	return s.options.Precheck(ctx)
}

// protocolError answers what fasthttp could not read as a request; it closes the connection after it.
func (s *Server) protocolError(ctx *fasthttp.RequestCtx, err error) {
	x := s.exchangeOf(ctx)
	s.setHeaders(ctx, x)
	refusal := fiber.NewError(fasthttp.StatusBadRequest, err.Error())
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, new(*fasthttp.ErrSmallBuffer)):
		refusal.Code = fasthttp.StatusRequestHeaderFieldsTooLarge
	case errors.As(err, &timeout) && timeout.Timeout():
		refusal.Code = fasthttp.StatusRequestTimeout
	}
	s.refuse(ctx, refusal)
	safe, _, _ := strings.Cut(err.Error(), `"`) // what is quoted is what the client sent
	x.err = errors.New(strings.TrimSpace(safe))
	stream.LingerOnClose(ctx)
	x.kept = false
	s.measure(ctx, x)
	s.finish(x)
}

// onEveryResponse are headers as they are written.
var onEveryResponse = [][2][]byte{
	{[]byte("X-Content-Type-Options"), []byte("nosniff")},
	{[]byte("Content-Security-Policy"), []byte("default-src 'none'; frame-ancestors 'none'")},
	{[]byte("Referrer-Policy"), []byte("no-referrer")},
	{[]byte("Cross-Origin-Resource-Policy"), []byte("same-origin")},
	{[]byte("Cache-Control"), []byte("no-store")},
}

// setHeaders sets what every response carries; a handler may set others over them.
func (s *Server) setHeaders(ctx *fasthttp.RequestCtx, x *exchange) {
	h := &ctx.Response.Header
	h.Set("X-Request-Id", x.id)
	for _, always := range onEveryResponse {
		h.SetCanonical(always[0], always[1])
	}
	if s.options.HSTS {
		h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
}

func (s *Server) measure(ctx *fasthttp.RequestCtx, x *exchange) {
	x.status = ctx.Response.StatusCode()
	x.received = stream.Received(ctx)
	if !x.closed {
		switch {
		case ctx.IsHead():
		case ctx.Response.IsBodyStream():
			x.sent = int64(ctx.Response.Header.ContentLength())
		default:
			x.sent = int64(len(ctx.Response.Body()))
		}
	}
}

// finish writes the one log line and counts. It never sees a path, a query or a header: tokens are in them.
func (s *Server) finish(x *exchange) {
	x.duration = time.Since(x.start)
	s.metrics.observe(x)
	level := slog.LevelInfo
	if x.quiet && x.err == nil {
		level = slog.LevelDebug
	}
	if x.err == nil && x.sendErr == nil && !s.options.Log.Enabled(context.Background(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", x.id), slog.String("method", x.method), slog.String("route", x.route),
		slog.Int("status", x.status), slog.String("client", x.client),
		slog.Int64("bytes_in", x.received), slog.Int64("bytes_out", max(0, x.sent)), slog.Float64("seconds", x.duration.Seconds()),
	}
	if x.tenant != "" {
		attrs = append(attrs, slog.String("tenant", x.tenant))
	}
	if x.operator != "" {
		attrs = append(attrs, slog.String("operator", x.operator))
	}
	if x.code != "" {
		attrs = append(attrs, slog.String("code", string(x.code)))
	}
	if x.err != nil {
		attrs = append(attrs, cause(x.err, x.status)...)
		level = levelOf(x.status, x.code)
	}
	if x.sendErr != nil {
		attrs = append(attrs, slog.String("send_error", x.sendErr.Error()))
		level = max(level, slog.LevelWarn)
	}
	if !x.kept {
		attrs = append(attrs, slog.Bool("connection_closed", true))
	}
	s.options.Log.LogAttrs(context.Background(), level, "request", attrs...)
}

// levelOf weighs an answer: that somebody's quota is full is no trouble of ours, though its status is a 5xx.
func levelOf(status int, code storage.Code) slog.Level {
	switch {
	case status < 500 || code == storage.CodeQuotaExceeded:
		return slog.LevelInfo
	case code == storage.CodeUnavailable:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// loggedDetails are the facts of a refusal that its log line carries: small, and none of them a name or a token.
var loggedDetails = []string{"reason", "limit", "size", "request_bytes", "extension", "detected", "category", "scope"}

// cause tells what the code does not: the facts of a refusal, the text of every other error.
func cause(err error, status int) []slog.Attr {
	e, ok := errors.AsType[*storage.Error](err)
	if !ok || e.Cause != nil || status >= 500 {
		return []slog.Attr{slog.String("error", err.Error())}
	}
	var attrs []slog.Attr
	for _, key := range loggedDetails {
		if v, ok := e.Details[key]; ok {
			attrs = append(attrs, slog.Any(key, v))
		}
	}
	return attrs
}
