package content

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"gatehouse/storage"
)

// Object is what is served.
type Object struct {
	// Size in bytes, exact.
	Size int64
	// ETag is a strong validator without quotes: the SHA-256 of the bytes.
	ETag string
	// MediaType goes into Content-Type.
	MediaType string
	// Name is the file name for Content-Disposition, as its owner wrote it.
	Name string
	// Inline shows the object in the browser instead of saving it; only for pictures and videos.
	Inline       bool
	LastModified time.Time
	// CacheControl, by default "private, no-cache": every reuse asks here first, so that a file that was deleted or
	// found infected disappears at once.
	CacheControl string
	// CrossOrigin lets pages of other origins embed the object: for public links.
	CrossOrigin bool
	// Open gives length bytes from offset. It is not called for HEAD and empty objects.
	Open func(ctx context.Context, offset, length int64) (io.ReadCloser, error)
}

// Serve answers the request with the object. It returns an error before anything of a response but Content-Range is
// set: a refusal with RANGE_NOT_SATISFIABLE, a *fiber.Error of 412, or what Open returned for the first byte.
func Serve(c *fiber.Ctx, o Object) error {
	req := &c.Request().Header
	method := string(req.Method())
	header := func(name string) string { return string(req.Peek(name)) }
	etag := `"` + strings.Trim(o.ETag, `"`) + `"`
	p := preconditions{etag: etag, modified: o.LastModified, get: method == http.MethodGet || method == http.MethodHead}
	switch p.check(header) {
	case http.StatusNotModified:
		validators(c, o, etag)
		c.Status(http.StatusNotModified)
		return nil
	case http.StatusPreconditionFailed:
		return fiber.NewError(http.StatusPreconditionFailed, "precondition failed")
	}
	var ranges []span
	if method == http.MethodGet && p.rangeHolds(header) {
		var err error
		if ranges, err = parseRanges(header("Range"), o.Size); err != nil {
			c.Set(fiber.HeaderContentRange, "bytes */"+strconv.FormatInt(o.Size, 10))
			return storage.Refuse(storage.CodeRangeNotSatisfiable, storage.Details{"size": o.Size})
		}
	}
	plan := planOf(o, ranges)
	var body *sender
	if method != http.MethodHead && plan.length > 0 {
		var err error
		if body, err = newSender(c, o, plan); err != nil {
			return err
		}
	}
	validators(c, o, etag)
	describe(c, o)
	c.Set(fiber.HeaderContentType, plan.contentType)
	if plan.contentRange != "" {
		c.Set(fiber.HeaderContentRange, plan.contentRange)
	}
	c.Status(plan.status)
	resp := c.Response()
	switch {
	case body != nil:
		resp.SetBodyStream(body, int(plan.length))
	case method == http.MethodHead:
		resp.SkipBody = true
		resp.Header.SetContentLength(int(plan.length))
	}
	return nil
}

// validators sets the headers that a 304 carries too.
func validators(c *fiber.Ctx, o Object, etag string) {
	c.Set(fiber.HeaderETag, etag)
	if !o.LastModified.IsZero() {
		c.Set(fiber.HeaderLastModified, o.LastModified.UTC().Format(http.TimeFormat))
	}
	if o.CacheControl == "" {
		o.CacheControl = "private, no-cache"
	}
	c.Set(fiber.HeaderCacheControl, o.CacheControl)
	c.Set(fiber.HeaderAcceptRanges, "bytes")
}

// describe sets the headers that say what the bytes are and forbid browsers to make more of them: no sniffing, no
// scripts, no frames, no use by other sites unless the object is for them.
func describe(c *fiber.Ctx, o Object) {
	c.Set(fiber.HeaderContentDisposition, Disposition(o.Name, o.Inline))
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	policy := "sandbox; default-src 'none'"
	if o.Inline {
		// What a browser's own page around a lone picture or video needs.
		policy += "; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"
	}
	c.Set(fiber.HeaderContentSecurityPolicy, policy)
	resource := "same-origin"
	if o.CrossOrigin {
		resource = "cross-origin"
	}
	c.Set("Cross-Origin-Resource-Policy", resource)
}
