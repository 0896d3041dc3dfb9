package stream

import (
	"bytes"
	"errors"
	"io"
	"net"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"gatehouse/storage"
)

// Drain bounds how much of an unread body is read so that its connection can be kept. It is done before the
// response goes out, so it must be over quickly.
type Drain struct {
	Bytes int64
	Time  time.Duration
}

// DefaultDrain covers what a refused small request (JSON, a thumbnail) has already sent.
func DefaultDrain() Drain { return Drain{Bytes: 64 << 10, Time: 100 * time.Millisecond} }

type bodyKey struct{}

// CheckFraming refuses requests whose end two parsers could place differently (RFC 9112, section 6.3), and chunked
// bodies: a chunked body that breaks off cannot be told from one that is complete, and its size cannot be
// reserved. fasthttp itself refuses a second Content-Length.
func CheckFraming(h *fasthttp.RequestHeader) error {
	length, encoding := false, ""
	for line := range bytes.Lines(h.RawHeaders()) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		switch {
		case bytes.EqualFold(bytes.TrimSpace(name), []byte("Content-Length")):
			length = true
		case bytes.EqualFold(bytes.TrimSpace(name), []byte("Transfer-Encoding")):
			encoding = string(bytes.ToLower(bytes.TrimSpace(value)))
		}
	}
	switch {
	case encoding == "" && h.ContentLength() != -1:
		return nil
	case length || encoding != "chunked" || !h.IsHTTP11():
		return malformed(reasonAmbiguousLength)
	}
	return storage.Refuse(storage.CodeLengthRequired, nil)
}

// Attach puts the Body of a request on it, before any handler runs. When it returns an error the handler must not
// run; Settle is due in both cases.
func Attach(ctx *fasthttp.RequestCtx, pace Pace) error {
	declared := int64(max(0, ctx.Request.Header.ContentLength()))
	var conn net.Conn
	if c := ctx.Conn(); c != nil {
		conn = c
	}
	r := ctx.RequestBodyStream()
	if r == nil { // without StreamRequestBody: the server has read it whole
		r = bytes.NewReader(ctx.Request.Body())
		declared = int64(len(ctx.Request.Body()))
	}
	body := newBody(r, conn, declared, pace)
	ctx.SetUserValue(bodyKey{}, body)
	if err := CheckFraming(&ctx.Request.Header); err != nil {
		body.err = err
		return err
	}
	return nil
}

// Of is the Body of the request. Handlers read the body through it only: what c.Body() reads is buffered whole and
// not counted.
func Of(c *fiber.Ctx) *Body {
	if b, ok := c.Context().UserValue(bodyKey{}).(*Body); ok {
		return b
	}
	body := newBody(bytes.NewReader(nil), nil, 0, Pace{})
	body.err = errNotAttached
	return body
}

// errNotAttached is a fault of the wiring, never of a request.
var errNotAttached = storage.Refuse(storage.CodeInternal, nil).CausedBy(errors.New("stream.Attach was not called for this request"))

// Settle is called after the handler and before the response goes out. A body that was not read to its end is
// either drained, when little is left, or the connection will be closed after the response, with time for the
// client to read it. It reports whether the connection stays.
func Settle(ctx *fasthttp.RequestCtx, drain Drain) bool {
	body, ok := ctx.UserValue(bodyKey{}).(*Body)
	if !ok || body.Ended() {
		return true
	}
	if body.err == nil && body.declared-body.read <= drain.Bytes {
		body.Within(drain.Time)
		if _, err := io.Copy(io.Discard, body); err == nil && body.Ended() {
			return true
		}
	}
	ctx.SetConnectionClose()
	LingerOnClose(ctx)
	return false
}

// Received is how many bytes of the request's body were read.
func Received(ctx *fasthttp.RequestCtx) int64 {
	if b, ok := ctx.UserValue(bodyKey{}).(*Body); ok {
		return b.Consumed()
	}
	return 0
}
