package httpapi

import (
	"net"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// wrongHost refuses the calls of operators on every host but theirs, and everything else on theirs, as if there were no such
// address. The host is that of the Host header: what proxies say of it beside is the client's to write. Paths are compared as
// they are routed: unescaped and case-sensitive.
func (s *Server) wrongHost(ctx *fasthttp.RequestCtx) error {
	if s.options.AdminHost == "" {
		return nil
	}
	host := string(ctx.Host())
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	path := string(ctx.URI().PathOriginal())
	if strings.EqualFold(host, s.options.AdminHost) != strings.HasPrefix(path, adminPrefix) {
		return fiber.ErrNotFound
	}
	return nil
}
