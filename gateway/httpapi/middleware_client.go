package httpapi

import (
	"bufio"
	"crypto/rand"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// maxRequestID is enough for a UUID, a trace id, or a proxy's name before either.
const maxRequestID = 64

// requestID takes the caller's id when it is harmless in logs and headers, and makes one otherwise.
func requestID(h *fasthttp.RequestHeader) string {
	if id := h.Peek("X-Request-Id"); safeID(id) {
		return string(id)
	}
	random := randomness.Get().(*bufio.Reader)
	defer randomness.Put(random)
	id, err := uuid.NewV7FromReader(random)
	if err != nil { // no random bytes: an id without order still tells requests apart
		return uuid.NewString()
	}
	return id.String()
}

// randomness is fetched for many ids at once: a system call for each request would be felt.
var randomness = sync.Pool{New: func() any { return bufio.NewReader(rand.Reader) }}

func safeID(id []byte) bool {
	if len(id) == 0 || len(id) > maxRequestID {
		return false
	}
	for _, b := range id {
		switch {
		case b >= '0' && b <= '9', b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b == '-', b == '_', b == '.', b == ':':
		default:
			return false
		}
	}
	return true
}

// clientAddr is the address of the caller. Behind trusted proxies it is the rightmost entry of X-Forwarded-For that
// is not one of them: everything to its left the client may have written itself. An entry that cannot be read ends
// the walk at the last proxy known.
func clientAddr(ctx *fasthttp.RequestCtx, trusted []netip.Prefix) netip.Addr {
	addr := peerAddr(ctx.RemoteAddr()).Unmap()
	if !addr.IsValid() {
		return addr
	}
	if !contains(trusted, addr) {
		return addr
	}
	var hops []string
	for _, line := range ctx.Request.Header.PeekAll("X-Forwarded-For") {
		hops = append(hops, strings.Split(string(line), ",")...)
	}
	for i := len(hops) - 1; i >= 0; i-- {
		hop, ok := parseHop(strings.TrimSpace(hops[i]))
		if !ok {
			return addr
		}
		addr = hop
		if !contains(trusted, hop) {
			return addr
		}
	}
	return addr
}

// peerAddr is who holds the other end of the connection.
func peerAddr(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr()
	}
	peer, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr()
}

// parseHop reads an address, with or without a port, as proxies write it.
func parseHop(s string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return a.Unmap().WithZone(""), err == nil
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
