package api

import (
	"cmp"
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/gofiber/fiber/v2"
)

// Endpoint is a call with the shapes of what it takes and gives, for the OpenAPI document.
type Endpoint struct {
	Handler fiber.Handler
	// In is a struct: fields tagged path and query are parameters, those tagged json the body. Out is the answer; nil is none.
	In, Out reflect.Type
	// Item is set of a list: Out is a page of it, and format=csv gives all.
	Item reflect.Type
	// Media is the media type of an answer that is not JSON; there is no Out then.
	Media string
	// File: the body is a form with one file, and no JSON.
	File bool
	// Status is that of a success; 0 is 200, or 204 where nothing is given.
	Status int
}

// Nothing is what a call takes that takes nothing, and gives that answers 204.
type Nothing struct{}

// Call makes the endpoint of a function.
func Call[In, Out any](a *API, do func(context.Context, *Request, In) (Out, error)) Endpoint {
	return CallWithin(a, 0, do)
}

// CallWithin is Call with a time limit of its own, for what reads many bytes; 0 is that of all calls.
func CallWithin[In, Out any](a *API, limit time.Duration, do func(context.Context, *Request, In) (Out, error)) Endpoint {
	handler := func(c *fiber.Ctx) error {
		var in In
		if err := bind(c, &in); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.UserContext(), cmp.Or(limit, a.Timeout))
		defer cancel()
		r := a.request(c)
		out, err := do(ctx, r, in)
		if err != nil {
			return err
		}
		if r.cookie != nil {
			c.Cookie(r.cookie)
		}
		if _, nothing := any(out).(Nothing); nothing {
			return c.SendStatus(http.StatusNoContent)
		}
		return c.JSON(out)
	}
	return Endpoint{Handler: handler, In: reflect.TypeFor[In](), Out: reflect.TypeFor[Out]()}
}
