package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"gatehouse/gateway/stream"
)

// Options configure a Server. DefaultOptions gives every number; Log and Metrics are required.
type Options struct {
	Log     *slog.Logger
	Metrics prometheus.Registerer
	// TrustedProxies may name the client in X-Forwarded-For.
	TrustedProxies []netip.Prefix
	// Precheck refuses a request by its headers alone (key, declared length). It runs only for requests that wait
	// with Expect: 100-continue, so the handler checks the same again. It may be nil.
	Precheck func(*fasthttp.RequestCtx) error
	// HSTS tells browsers to come back by HTTPS only. Set it where the gateway is reached by HTTPS.
	HSTS bool
	// AdminHost is the only host name that answers the calls of operators, and it answers nothing else; empty: every host
	// answers everything.
	AdminHost string

	// ReadBuffer is the memory of a connection for reading, and with it the most bytes of a request's line and
	// headers. 1,000 ranges, as electron-updater sends, are a Range header of about 20 KB for files up to 1 GiB.
	ReadBuffer int
	// WriteBuffer is the memory of a connection for writing.
	WriteBuffer int
	// Connections is the most open at once: with ReadBuffer, 128 MiB when all are in use.
	Connections int
	// HeaderTimeout is how long the headers of a request may take, from their first byte.
	HeaderTimeout time.Duration
	// IdleTimeout is how long a connection is kept between requests. Proxies must give up theirs sooner (nginx: 60 s).
	IdleTimeout time.Duration
	// WriteStall is how long a client may take none of a response.
	WriteStall time.Duration
	// RetryAfter is the default of the Retry-After header.
	RetryAfter time.Duration

	Pace   stream.Pace
	Drain  stream.Drain
	Linger stream.Linger
}

// DefaultOptions are good for a gateway behind a proxy and in front of the internet alike.
func DefaultOptions() Options {
	return Options{
		ReadBuffer:    32 << 10,
		WriteBuffer:   4 << 10,
		Connections:   4096,
		HeaderTimeout: 10 * time.Second,
		IdleTimeout:   75 * time.Second,
		WriteStall:    30 * time.Second,
		RetryAfter:    5 * time.Second,
		Pace:          stream.DefaultPace(),
		Drain:         stream.DefaultDrain(),
		Linger:        stream.DefaultLinger(),
	}
}

// Server is a fiber app with everything around it that an honest server needs.
type Server struct {
	app      *fiber.App
	inner    fasthttp.RequestHandler
	options  Options
	metrics  *metrics
	listener atomic.Pointer[stream.Listener]
}

// New makes a Server without routes; Mount puts them on App.
func New(o Options) (*Server, error) {
	if o.Log == nil || o.Metrics == nil {
		return nil, errors.New("httpapi: Log and Metrics are required")
	}
	if o.Pace.Stall <= 0 || o.Pace.Window <= 0 || o.HeaderTimeout <= 0 || o.IdleTimeout <= 0 || o.Linger.Conns < 1 {
		// Without a stall limit the fixed deadline of the headers would hold for the body too.
		return nil, errors.New("httpapi: Pace, Linger and the timeouts must be set; see DefaultOptions")
	}
	s := &Server{options: o}
	var err error
	if s.metrics, err = newMetrics(o.Metrics, s.lingering); err != nil {
		return nil, err
	}
	s.app = fiber.New(fiber.Config{
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		// fasthttp waits for the first BodyLimit bytes of a body, up to 8 KiB, before it calls the handler. One byte
		// lets a refusal go out at once. It limits nothing else while bodies are streamed: stream.Body does.
		BodyLimit:       1,
		ReadBufferSize:  o.ReadBuffer,
		WriteBufferSize: o.WriteBuffer,
		Concurrency:     o.Connections,
		// Only the headers come under this fixed deadline; headerReceived and stream.Body replace it for the body, and
		// stream.Conn has a rolling one for the response.
		ReadTimeout: o.HeaderTimeout,
		IdleTimeout: o.IdleTimeout,
		// Parameters and headers are copies: they end up in rows, logs and goroutines that outlive the request.
		Immutable:             true,
		CaseSensitive:         true,
		StrictRouting:         true, // one address for one thing; what judges paths need not know of trailing slashes
		DisableStartupMessage: true,
		JSONEncoder:           encodeJSON,
		ErrorHandler: func(c *fiber.Ctx, err error) error {
			s.refuse(c.Context(), err)
			return nil
		},
	})
	server := s.app.Server()
	s.inner = server.Handler
	server.Handler = s.handle
	server.ErrorHandler = s.protocolError
	server.ExpectHandler = s.expect
	server.HeaderReceived = s.headerReceived
	server.CloseOnShutdown = true
	server.SecureErrorLogMessage = true
	server.Logger = fasthttpLog{o.Log}
	return s, nil
}

// App is where routes are mounted.
func (s *Server) App() *fiber.App { return s.app }

// Serve answers on inner until Shutdown; it then returns nil.
func (s *Server) Serve(inner net.Listener) error {
	l := stream.NewListener(inner, s.options.Linger, s.options.WriteStall)
	if !s.listener.CompareAndSwap(nil, l) {
		return errors.New("httpapi: Serve was called twice")
	}
	if err := s.app.Listener(l); err != nil {
		return fmt.Errorf("serve http: %w", err)
	}
	return nil
}

// Shutdown stops accepting, lets running requests end, and returns when they have or ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.app.ShutdownWithContext(ctx); err != nil {
		return fmt.Errorf("stop http: %w", err)
	}
	return nil
}

func (s *Server) lingering() float64 {
	if l := s.listener.Load(); l != nil {
		return float64(l.Lingering())
	}
	return 0
}

// noLength is fasthttp's ContentLength of a request that tells none, and so has no body.
const noLength = -2

// headerReceived is called between a request's headers and its body.
func (s *Server) headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	// Expectations are case-insensitive (RFC 9110, section 10.1.1), fasthttp is not.
	if v := h.Peek(fiber.HeaderExpect); bytes.EqualFold(v, []byte("100-continue")) {
		h.Set(fiber.HeaderExpect, "100-continue")
	}
	if n := h.ContentLength(); n == 0 || n == noLength {
		return fasthttp.RequestConfig{} // no body to wait for, and setting a deadline for nothing would be felt
	}
	// The wait for the body's first byte.
	return fasthttp.RequestConfig{ReadTimeout: s.options.Pace.Stall}
}

// fasthttpLog takes fasthttp's own lines, which are about connections that broke.
type fasthttpLog struct{ log *slog.Logger }

func (l fasthttpLog) Printf(format string, args ...any) {
	l.log.Debug("connection", "message", fmt.Sprintf(format, args...))
}
