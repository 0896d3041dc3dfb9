package api

import (
	"net/http"

	"github.com/gofiber/fiber/v2"
)

// accepted makes a call answer 202: it only asks for something that a worker does later.
func accepted(e Endpoint) Endpoint {
	call := e.Handler
	e.Handler = func(c *fiber.Ctx) error {
		if err := call(c); err != nil {
			return err
		}
		c.Status(http.StatusAccepted)
		return nil
	}
	e.Status = http.StatusAccepted
	return e
}
