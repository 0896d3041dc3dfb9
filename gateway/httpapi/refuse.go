package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"gatehouse/storage"
)

// envelope is the body of every refusal.
type envelope struct {
	Error     string          `json:"error"`
	Code      storage.Code    `json:"code"`
	RequestID string          `json:"request_id"`
	Details   storage.Details `json:"details,omitempty"`
}

// refuse makes err the response. It is the only place where an error becomes one.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, err error) {
	x := s.exchangeOf(ctx)
	x.err = err
	e, status := refusalOf(ctx, err)
	if f, ok := errors.AsType[*fiber.Error](err); ok && f.Code < 500 {
		x.err = nil // its text repeats the path, and paths hold tokens; the code says it all
	}
	x.code = e.Code
	locale := LocaleOf(string(ctx.Request.Header.Peek(fiber.HeaderAcceptLanguage)))
	body, jerr := encodeJSON(envelope{
		Error:     answers[e.Code].sentence(e, locale),
		Code:      e.Code,
		RequestID: x.id,
		Details:   e.Details,
	})
	if jerr != nil { // a detail that has no JSON form
		x.err = errors.Join(err, jerr)
		e, status = storage.Refuse(storage.CodeInternal, nil), http.StatusInternalServerError
		body = []byte(fmt.Sprintf(`{"error":%q,"code":%q,"request_id":%q}`, answers[e.Code].english, e.Code, x.id))
	}
	h := &ctx.Response.Header
	h.SetContentType(fiber.MIMEApplicationJSON)
	h.Set(fiber.HeaderContentLanguage, locale.Tag())
	h.Add(fiber.HeaderVary, fiber.HeaderAcceptLanguage)
	h.Set(fiber.HeaderCacheControl, "no-store")
	switch e.Code {
	case storage.CodeUnauthenticated, storage.CodeReleaseDeviceTokenInvalid:
		h.Set(fiber.HeaderWWWAuthenticate, "Bearer")
	case storage.CodeUnavailable, storage.CodeRateLimited, storage.CodeReleaseRateLimited:
		h.Set(fiber.HeaderRetryAfter, retryAfter(e, s.options.RetryAfter))
	}
	ctx.SetStatusCode(status)
	ctx.Response.SetBody(body)
}

// encodeJSON leaves <, > and & as they are: the answers are JSON, never part of a page (nosniff), and people read
// them.
func encodeJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// refusalOf finds the refusal in an error and its status.
func refusalOf(ctx *fasthttp.RequestCtx, err error) (*storage.Error, int) {
	if e, ok := errors.AsType[*storage.Error](err); ok {
		if a, known := answers[e.Code]; known {
			return e, a.status
		}
	}
	if e, ok := errors.AsType[*fiber.Error](err); ok {
		return fromFiber(ctx, e)
	}
	if errors.Is(err, context.DeadlineExceeded) { // a database or store that does not answer
		return storage.Refuse(storage.CodeUnavailable, nil), http.StatusServiceUnavailable
	}
	return storage.Refuse(storage.CodeInternal, nil), http.StatusInternalServerError
}

// fromFiber translates what fiber and fasthttp refuse by themselves. Some of their statuses have no code of their
// own in the contract and keep the status with the nearest code.
func fromFiber(ctx *fasthttp.RequestCtx, e *fiber.Error) (*storage.Error, int) {
	malformed := storage.Refuse(storage.CodeMalformedRequest, nil)
	switch e.Code {
	case http.StatusNotFound:
		return storage.Refuse(storage.CodeNotFound, nil).Because(reasonNoRoute), e.Code
	case http.StatusMethodNotAllowed:
		return storage.Refuse(storage.CodeMethodNotAllowed, storage.Details{"method": string(ctx.Method())}), e.Code
	case http.StatusPreconditionFailed:
		return storage.Refuse(storage.CodeConflict, nil).Because(reasonPrecondition), e.Code
	case http.StatusRequestEntityTooLarge:
		return storage.Refuse(storage.CodeFileTooLarge, nil), e.Code
	case http.StatusRequestHeaderFieldsTooLarge:
		return malformed.Because(reasonHeadersTooLarge), e.Code
	case http.StatusRequestTimeout:
		return malformed.Because(reasonRequestTimeout), e.Code
	case http.StatusServiceUnavailable:
		return storage.Refuse(storage.CodeUnavailable, nil), e.Code
	}
	if e.Code >= 400 && e.Code < 500 {
		return malformed.Because(reasonBadHTTP), http.StatusBadRequest
	}
	return storage.Refuse(storage.CodeInternal, nil), http.StatusInternalServerError
}

// retryAfter is in whole seconds: details.retry_after when the refusal knows better than the default.
func retryAfter(e *storage.Error, fallback time.Duration) string {
	seconds := int64(fallback / time.Second)
	switch v := e.Details["retry_after"].(type) {
	case int64:
		seconds = v
	case int:
		seconds = int64(v)
	}
	return strconv.FormatInt(max(1, seconds), 10)
}
