package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/gateway/content"
	"gatehouse/gateway/stream"
	"gatehouse/storage"
)

// testServer is a Server on a real socket with the kinds of handler the gateway has.
type testServer struct {
	*Server
	t    *testing.T
	addr string
	log  *logBuffer
	// secrets counts the requests to /secret: smuggled ones, where no client asked for it.
	secrets atomic.Int64
	// began gets a value when the upload handler has the file's name, before it reads the bytes.
	began chan string
	// ended gets what an upload handler's reading ended with.
	ended chan error
	// proceed, when set, holds the upload handler back.
	proceed chan struct{}
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// object is what /content serves.
var object = bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB

func startServer(t *testing.T, change func(*Options)) *testServer {
	t.Helper()
	s := &testServer{t: t, log: &logBuffer{}, began: make(chan string, 100), ended: make(chan error, 100)}
	o := DefaultOptions()
	o.Log = slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.Metrics = prometheus.NewRegistry()
	if change != nil {
		change(&o)
	}
	var err error
	s.Server, err = New(o)
	require.NoError(t, err)
	guards := map[Permission]Guard{TenantWrite: always(func(c *fiber.Ctx) error {
		if c.Get("Authorization") != "Bearer good" {
			return storage.Refuse(storage.CodeUnauthenticated, nil)
		}
		SetTenant(c, "tenant-1")
		return c.Next()
	})}
	require.NoError(t, Mount(s.App(), s.routes(), guards, BoundUploads(32)))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.addr = ln.Addr().String()
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, s.Shutdown(ctx))
		require.NoError(t, <-done)
	})
	return s
}

// always is a guard that does not ask for the row.
func always(h fiber.Handler) Guard { return func(Route) fiber.Handler { return h } }

func (s *testServer) routes() []Route {
	return []Route{
		{Method: "POST", Path: "/upload", Permission: Public, Handler: s.upload, Upload: true},
		{Method: "POST", Path: "/unfinished", Permission: Public, Handler: s.unfinished},
		{Method: "POST", Path: "/refuse", Permission: Public, Handler: func(*fiber.Ctx) error {
			return storage.Refuse(storage.CodeFileTooLarge, storage.Details{"limit": int64(5 << 20)})
		}},
		{Method: "POST", Path: "/guarded", Permission: TenantWrite, Handler: s.upload},
		{Method: "POST", Path: "/json", Permission: Public, Handler: func(c *fiber.Ctx) error {
			var v struct {
				Name string `json:"name"`
			}
			if err := stream.ReadJSON(c, 0, &v); err != nil {
				return err
			}
			return c.JSON(v)
		}},
		{Method: "GET", Path: "/ok", Permission: Public, Handler: func(c *fiber.Ctx) error { return c.SendString("ok") }},
		{Method: "GET", Path: "/asked/:id", Permission: Public, Quiet: true, Handler: func(c *fiber.Ctx) error {
			if c.Params("id") == "none" {
				return storage.ErrNotFound
			}
			return c.SendString("ok")
		}},
		{Method: "GET", Path: "/who", Permission: Public, Handler: func(c *fiber.Ctx) error { return c.SendString(Client(c)) }},
		{Method: "GET", Path: "/secret", Permission: Public, Handler: func(c *fiber.Ctx) error {
			s.secrets.Add(1)
			return c.SendString("secret")
		}},
		{Method: "GET", Path: "/panic", Permission: Public, Handler: func(*fiber.Ctx) error { panic("a bug of ours") }},
		{Method: "GET", Path: "/items/:id", Permission: Public, Handler: func(c *fiber.Ctx) error {
			id := c.Params("id")
			s.began <- id
			return c.SendString(id)
		}},
		{Method: "GET", Path: "/content", Permission: Public, Handler: func(c *fiber.Ctx) error {
			return content.Serve(c, content.Object{
				Size: int64(len(object)), ETag: "abc", MediaType: "image/png", Name: "a.png",
				Open: func(_ context.Context, offset, length int64) (io.ReadCloser, error) {
					return io.NopCloser(bytes.NewReader(object[offset : offset+length])), nil
				},
			})
		}},
	}
}

func (s *testServer) upload(c *fiber.Ctx) error {
	err := s.receive(c)
	s.ended <- err
	return err
}

func (s *testServer) receive(c *fiber.Ctx) error {
	form, err := stream.NewForm(stream.Of(c), c.Get("Content-Type"), stream.DefaultFormLimits())
	if err != nil {
		return err
	}
	file, err := form.File()
	if err != nil {
		return err
	}
	s.began <- file.Name
	if s.proceed != nil {
		<-s.proceed
	}
	h := sha256.New()
	n, err := io.Copy(h, file)
	if err != nil {
		return err
	}
	if err := form.Finish(); err != nil {
		return err
	}
	return c.Status(http.StatusAccepted).JSON(fiber.Map{"size": n, "sha256": hex.EncodeToString(h.Sum(nil))})
}

// unfinished takes the file and never looks at what follows: a handler with a mistake.
func (s *testServer) unfinished(c *fiber.Ctx) error {
	form, err := stream.NewForm(stream.Of(c), c.Get("Content-Type"), stream.DefaultFormLimits())
	if err != nil {
		return err
	}
	file, err := form.File()
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, file); err != nil {
		return err
	}
	return c.SendString("done")
}

func (s *testServer) url(path string) string { return "http://" + s.addr + path }

// dial opens a raw connection whose every wait ends.
func (s *testServer) dial() net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(s.t, err)
	require.NoError(s.t, conn.SetDeadline(time.Now().Add(time.Minute)))
	s.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// answerOf reads one response with its body.
func answerOf(t *testing.T, r *bufio.Reader) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

// send writes raw and reads one response.
func (s *testServer) send(conn net.Conn, raw string) (*http.Response, string) {
	s.t.Helper()
	_, err := io.WriteString(conn, raw)
	require.NoError(s.t, err)
	return answerOf(s.t, bufio.NewReader(conn))
}

// requireRefusal checks the envelope.
func requireRefusal(t *testing.T, resp *http.Response, body string, status int, code storage.Code, reason string) {
	t.Helper()
	require.Equal(t, status, resp.StatusCode, body)
	require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
	var e struct {
		Error     string
		Code      storage.Code
		RequestID string `json:"request_id"`
		Details   map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(body), &e), body)
	require.Equal(t, code, e.Code, body)
	require.NotEmpty(t, e.Error)
	require.Equal(t, resp.Header.Get("X-Request-Id"), e.RequestID)
	if reason != "" {
		require.Equal(t, reason, e.Details["reason"], body)
	}
}

// requireClosed checks that the server ends the connection without another byte.
func requireClosed(t *testing.T, r io.Reader) {
	t.Helper()
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Empty(t, string(rest))
}

const formHead = "--XbX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n"
const formTail = "\r\n--XbX--\r\n"

func formRequest(path string, length int) string {
	return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=XbX\r\nContent-Length: " +
		itoa(length) + "\r\n"
}

func itoa(n int) string { return strconv.Itoa(n) }

// lines gives the log's request lines, once n of them are there.
func (s *testServer) lines(n int) []map[string]any {
	s.t.Helper()
	var out []map[string]any
	require.Eventually(s.t, func() bool {
		out = nil
		for line := range strings.Lines(s.log.String()) {
			var m map[string]any
			if json.Unmarshal([]byte(line), &m) == nil && m["msg"] == "request" {
				out = append(out, m)
			}
		}
		return len(out) >= n
	}, 10*time.Second, 5*time.Millisecond)
	return out
}
