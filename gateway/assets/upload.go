package assets

import (
	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/auth"
	"gatehouse/gateway/upload"
)

// Upload is POST /assets: a form with one file part. 202 for new bytes, 200 for bytes the tenant has already.
func (a *API) Upload(c *fiber.Ctx) error {
	up, err := upload.Read(c, auth.From(c), a.actor(c))
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
