package stream

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"gatehouse/storage"
)

const (
	// DefaultJSONLimit is the most bytes of a JSON body.
	DefaultJSONLimit = 1 << 20
	// jsonTime is how long a JSON body may take to arrive: at 1 MiB still only 35 kB/s.
	jsonTime = 30 * time.Second
)

// ReadJSON reads the request's JSON body into v, strictly: the right Content-Type, no more than limit bytes (0:
// DefaultJSONLimit), no unknown field, nothing after the value. Every fault is a MALFORMED_REQUEST with a reason;
// a body that breaks off is an UPLOAD_INCOMPLETE.
func ReadJSON(c *fiber.Ctx, limit int64, v any) error {
	return readJSON(Of(c), c.Get(fiber.HeaderContentType), limit, v)
}

func readJSON(body *Body, contentType string, limit int64, v any) error {
	if limit <= 0 {
		limit = DefaultJSONLimit
	}
	// Asked for also because it keeps other sites' forms from posting here with a visitor's cookies.
	if kind, _, err := mime.ParseMediaType(contentType); err != nil || kind != fiber.MIMEApplicationJSON {
		return malformed(reasonNotJSON)
	}
	if err := body.Limit(limit); err != nil {
		return storage.Refuse(storage.CodeMalformedRequest, storage.Details{"limit": limit}).Because(reasonBodyTooLarge)
	}
	body.Within(jsonTime)
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return explainJSON(body, err)
	}
	// Token skips white space and fails on anything but the end.
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		if body.broken() {
			return body.err
		}
		return malformed(reasonTrailingData)
	}
	return nil
}

func explainJSON(body *Body, err error) error {
	if body.broken() {
		return body.err
	}
	if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return storage.Refuse(storage.CodeMalformedRequest, storage.Details{"field": typ.Field}).
			Because(reasonWrongType).CausedBy(err)
	}
	// encoding/json has no type for this error, only this text.
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return storage.Refuse(storage.CodeMalformedRequest, storage.Details{"field": strings.Trim(field, `"`)}).
			Because(reasonUnknownField).CausedBy(err)
	}
	return malformed(reasonJSONSyntax).CausedBy(err)
}
