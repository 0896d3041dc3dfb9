package assets

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/auth"
	"gatehouse/gateway/intake"
	"gatehouse/gateway/stream"
)

// Upload is POST /assets: a form with one file part. 202 for new bytes, 200 for bytes the tenant has already.
func (a *API) Upload(c *fiber.Ctx) error {
	up, err := a.uploadOf(c)
	if err != nil {
		a.Intake.RecordRefusal(c.UserContext(), up, "request", err)
		return err
	}
	receipt, err := a.Intake.Receive(c.UserContext(), up)
	if err != nil {
		return err
	}
	status := fiber.StatusAccepted
	if receipt.Duplicate {
		status = fiber.StatusOK
	}
	if receipt.Replayed {
		c.Set("Idempotent-Replayed", "true")
	}
	c.Location("/api/v1/assets/" + receipt.Asset.ID)
	return c.Status(status).JSON(viewOf(receipt.Asset, a.locale(c)))
}

// uploadOf reads the request up to the first byte of its file. With an error, what it returns says who asked.
func (a *API) uploadOf(c *fiber.Ctx) (intake.Upload, error) {
	p := auth.From(c)
	length := int64(c.Request().Header.ContentLength())
	up := intake.Upload{TenantID: p.TenantID, Policy: p.Policy, Limits: p.Spec.Limits(), Actor: a.actor(c), DeclaredSize: length}
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
