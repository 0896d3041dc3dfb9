package httpapi

import (
	"bytes"
	"net"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// wrongHost refuses the calls of operators on every host but theirs, and everything else on theirs, as if there were no such
// address. The host is the Host header as it was sent: what proxies say of it beside is the client's to write, and a parsed one
// lacks what stands before an "@". A whole URL in the request line would name another host, and is for proxies only. Paths are
// compared as they are routed: unescaped and case-sensitive.
func (s *Server) wrongHost(ctx *fasthttp.RequestCtx) error {
	if s.options.AdminHost == "" {
		return nil
	}
	host := string(ctx.Request.Header.Host())
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	path := string(ctx.URI().PathOriginal())
	if !bytes.HasPrefix(ctx.RequestURI(), []byte("/")) || strings.EqualFold(host, s.options.AdminHost) != forOperators(path) {
		return fiber.ErrNotFound
	}
	return nil
}
