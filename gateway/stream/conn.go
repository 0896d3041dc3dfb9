package stream

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// Linger bounds what happens on a connection that is closed while its client may still be sending. Closing such a
// connection at once makes the kernel answer the client's bytes with a reset, and the reset destroys the response
// that the client has not read yet.
type Linger struct {
	// Total is the longest time that a closed connection is read on. Clients that do not look at the socket before
	// they have sent everything (Python's http.client) need the time of their whole upload.
	Total time.Duration
	// Idle ends the wait when nothing arrives for so long.
	Idle time.Duration
	// Bytes is how much is read and thrown away at most, on one connection.
	Bytes int64
	// Conns bounds the lingering connections; one more is closed at once.
	Conns int
}

// DefaultLinger covers files five times as large as the largest default upload (100 MiB): what is refused for its size
// is larger than the limit. It costs the server no memory but one shared-size buffer a connection, and no disk.
func DefaultLinger() Linger {
	return Linger{Total: 30 * time.Second, Idle: 5 * time.Second, Bytes: 512 << 20, Conns: 256}
}

// Listener makes Conns. All of them share its bound on lingering connections.
type Listener struct {
	net.Listener
	linger     Linger
	writeStall time.Duration
	slots      chan struct{}
	closing    chan struct{}
	closeOnce  sync.Once
}

// NewListener wraps inner. A Write that the client does not take within writeStall fails: a rolling deadline, so
// that a slow download may last as long as it moves.
func NewListener(inner net.Listener, linger Linger, writeStall time.Duration) *Listener {
	return &Listener{
		Listener:   inner,
		linger:     linger,
		writeStall: writeStall,
		slots:      make(chan struct{}, linger.Conns),
		closing:    make(chan struct{}),
	}
}

// Accept returns a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: c, listener: l}, nil
}

// Close stops accepting and cuts the lingering connections short.
func (l *Listener) Close() error {
	l.closeOnce.Do(func() { close(l.closing) })
	return l.Listener.Close()
}

// Lingering is the number of connections that are lingering now.
func (l *Listener) Lingering() int { return len(l.slots) }

// Conn is a connection of a Listener.
type Conn struct {
	net.Conn
	listener *Listener
	linger   atomic.Bool
	// writeUntil is the write deadline in force; only the goroutine that writes the response uses it.
	writeUntil time.Time
}

// Write writes under a rolling deadline.
func (c *Conn) Write(p []byte) (int, error) {
	stall := c.listener.writeStall
	if stall > 0 {
		// Renewed when a tenth is used up: a system call for each write would be felt, a slightly shorter wait is not.
		if now := time.Now(); c.writeUntil.Sub(now) < stall-stall/10 {
			c.writeUntil = now.Add(stall)
			if err := c.SetWriteDeadline(c.writeUntil); err != nil {
				return 0, err
			}
		}
	}
	return c.Conn.Write(p)
}

// Close closes the connection; when LingerOnClose was called it first reads what the client still sends, so that
// the response is not lost.
func (c *Conn) Close() error {
	if c.linger.CompareAndSwap(true, false) {
		select {
		case c.listener.slots <- struct{}{}:
			c.discard()
			<-c.listener.slots
		default:
		}
	}
	return c.Conn.Close()
}

var discardBuffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

// lingerSlice is how often a lingering connection looks whether the server is stopping.
const lingerSlice = 250 * time.Millisecond

func (c *Conn) discard() {
	buf := discardBuffers.Get().(*[]byte)
	defer discardBuffers.Put(buf)
	cfg := c.listener.linger
	end := time.Now().Add(cfg.Total)
	quiet := time.Now().Add(cfg.Idle)
	for left := cfg.Bytes; left > 0; {
		now := time.Now()
		if now.After(end) || now.After(quiet) {
			return
		}
		if err := c.SetReadDeadline(now.Add(min(lingerSlice, cfg.Idle))); err != nil {
			return
		}
		n, err := c.Read((*buf)[:min(left, int64(len(*buf)))])
		left -= int64(n)
		if n > 0 {
			quiet = time.Now().Add(cfg.Idle)
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		select {
		case <-c.listener.closing:
			return
		default:
		}
	}
}

// LingerOnClose makes the connection's Close read on for a while. The caller also sees to it that the connection
// is closed after the response.
func LingerOnClose(ctx *fasthttp.RequestCtx) {
	conn := ctx.Conn()
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = t.NetConn()
	}
	if c, ok := conn.(*Conn); ok {
		c.linger.Store(true)
	}
}
