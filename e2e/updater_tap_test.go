package e2e

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// tap is a proxy before a gateway that counts what goes through, and may spoil it.
type tap struct {
	URL string

	mu    sync.Mutex
	seen  []*passed
	spoil func(path string) bool
}

// passed is one answer that went through.
type passed struct {
	Path   string
	Ranges int // how many were asked for
	Status int
	Type   string
	Bytes  int64 // of the body
	Body   []byte
}

func newTap(t *testing.T, gateway string) *tap {
	t.Helper()
	to, err := url.Parse(gateway)
	require.NoError(t, err)
	p := &tap{spoil: func(string) bool { return false }}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport:      &http.Transport{DisableCompression: true},
		FlushInterval:  -1,
		ErrorLog:       log.New(io.Discard, "", 0), // of downloads that are cut off on purpose
		ModifyResponse: p.pass,
	})
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

func (p *tap) pass(resp *http.Response) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := &passed{Path: resp.Request.URL.Path, Status: resp.StatusCode, Type: resp.Header.Get("Content-Type")}
	if ranges := resp.Request.Header.Get("Range"); ranges != "" {
		one.Ranges = strings.Count(ranges, ",") + 1
	}
	p.seen = append(p.seen, one)
	resp.Body = &counted{ReadCloser: resp.Body, of: one, tap: p, spoil: p.spoil(one.Path)}
	return nil
}

// spoiling changes one byte in the body of each answer for a path that ends so; "" spoils nothing.
func (p *tap) spoiling(suffix string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoil = func(path string) bool { return suffix != "" && strings.HasSuffix(path, suffix) }
}

// take gives what went through since it was called last, except for manifests.
func (p *tap) take() []passed {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []passed
	for _, one := range p.seen {
		if !strings.HasSuffix(one.Path, ".yml") {
			out = append(out, *one)
		}
	}
	p.seen = nil
	return out
}

// spoiledAt is where a byte is changed: behind the head of a part.
const spoiledAt = 2000

type counted struct {
	io.ReadCloser
	of    *passed
	tap   *tap
	spoil bool
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	if at := spoiledAt - c.of.Bytes; c.spoil && at >= 0 && at < int64(n) {
		b[at] ^= 1
	}
	c.of.Bytes += int64(n)
	c.of.Body = append(c.of.Body, b[:n]...)
	return n, err
}
