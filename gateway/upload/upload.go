package upload

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/auth"
	"gatehouse/gateway/intake"
	"gatehouse/gateway/stream"
	"gatehouse/storage"
	"gatehouse/storage/audit"
)

// Read reads the request up to the first byte of its file, for the tenant that the principal is about. With an error, what it
// returns says who asked.
func Read(c *fiber.Ctx, p *auth.Principal, actor audit.Actor) (intake.Upload, error) {
	length := int64(c.Request().Header.ContentLength())
	up := intake.Upload{TenantID: p.TenantID, Policy: p.Policy, Limits: p.Spec.Limits(), Actor: actor, DeclaredSize: length}
	if err := p.MayUpload(); err != nil {
		return up, err
	}
	if err := p.MaySend(length); err != nil {
		return up, err
	}
	var err error
	if up.IdempotencyKey, err = idempotencyKey(c); err != nil {
		return up, err
	}
	if up.Digests, err = claimedDigests(c); err != nil {
		return up, err
	}
	form, err := stream.NewForm(stream.Of(c), c.Get(fiber.HeaderContentType), stream.DefaultFormLimits())
	if err != nil {
		return up, err
	}
	file, err := form.File()
	if err != nil {
		return up, err
	}
	up.Name, up.DeclaredSize, up.MinSize = strings.Clone(file.Name), file.Size, file.MinSize
	up.Body, up.Complete = file, form.Finish
	return up, nil
}

// maxIdempotencyKey is what the column holds.
const maxIdempotencyKey = 255

// idempotencyKey reads the header; the draft (draft-ietf-httpapi-idempotency-key-header) makes it a quoted
// string, most clients send it bare: both are taken.
func idempotencyKey(c *fiber.Ctx) (string, error) {
	if len(c.Request().Header.PeekAll("Idempotency-Key")) == 0 {
		return "", nil
	}
	key := strings.Trim(c.Get("Idempotency-Key"), `"`)
	for _, r := range key {
		if r < 0x21 || r > 0x7e {
			key = strings.Repeat("x", maxIdempotencyKey+1)
			break
		}
	}
	if key == "" || len(key) > maxIdempotencyKey {
		return "", malformed("idempotency_key",
			"The Idempotency-Key must be 1 to 255 visible ASCII characters without spaces.",
			"Idempotency-Key 必须为 1 到 255 个可见 ASCII 字符，且不含空格。")
	}
	return strings.Clone(key), nil
}

func malformed(slug, english, chinese string) error {
	return storage.Refuse(storage.CodeMalformedRequest, nil).Because(storage.Reason{Slug: slug, English: english, Chinese: chinese})
}
