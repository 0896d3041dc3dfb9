package assets

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/auth"
	"gatehouse/gateway/stream"
)

// Check is POST /assets/check: the same rules as an upload, as far as they go without the bytes.
func (a *API) Check(c *fiber.Ctx) error {
	var in struct {
		Name string `json:"name"`
		Size *int64 `json:"size"`
	}
	if err := stream.ReadJSON(c, 0, &in); err != nil {
		return err
	}
	if in.Size == nil || *in.Size < 0 {
		return malformed("size", "The size must be given: a whole number of bytes, not negative.", "必须提供 size：非负整数字节数。")
	}
	p := auth.From(c)
	if err := p.MayUpload(); err != nil {
		return err
	}
	ctx, cancel := a.context(c)
	defer cancel()
	candidate, err := a.Intake.Preflight(ctx, p.TenantID, p.Policy, p.Spec.Limits(), strings.Clone(in.Name), *in.Size)
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{"accepted": true, "name": candidate.Name, "category": candidate.Category, "max_files": p.Spec.MaxFiles})
}
