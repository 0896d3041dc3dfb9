package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"gatehouse/gateway/auth"
)

// deviceGuard lets through what has the form of a device token. The handler must hand the device to a statement that checks
// the token itself (auth.Device).
func deviceGuard(Route) fiber.Handler {
	return func(c *fiber.Ctx) error {
		d, err := auth.DeviceOf(c.Get(fiber.HeaderAuthorization))
		if err != nil {
			return err
		}
		auth.PutDevice(c, d)
		return c.Next()
	}
}
