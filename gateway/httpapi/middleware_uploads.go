package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"gatehouse/storage"
)

// BoundUploads lets n uploads run at once; one more is UNAVAILABLE with Retry-After. Each upload holds buffers, a
// spool and a store connection, so their number bounds the gateway's memory.
func BoundUploads(n int) fiber.Handler {
	slots := make(chan struct{}, n)
	return func(c *fiber.Ctx) error {
		select {
		case slots <- struct{}{}:
		default:
			return storage.Refuse(storage.CodeUnavailable, nil).Because(reasonTooManyUploads)
		}
		defer func() { <-slots }()
		return c.Next()
	}
}
