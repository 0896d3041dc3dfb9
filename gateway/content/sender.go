package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// skipBytes is the gap between two ranges that is read and thrown away rather than opened anew: a round trip to an
// object store costs more than so many bytes.
const skipBytes = 64 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

// sender is the body of a response. fasthttp writes it with WriteTo and closes it in every case. An error stops the
// response short of its announced length, and fasthttp closes the connection.
type sender struct {
	ctx    context.Context
	cancel context.CancelFunc
	object Object
	pieces []piece

	text string // of pieces[0], not read yet
	left int64  // of pieces[0]'s span, not read yet

	src  io.ReadCloser // nil when nothing is open
	at   int64         // the offset of src's next byte
	end  int64         // where src ends
	hook *Hook
	sent int64 // what the connection has taken
	err  error
}

// newSender opens the object at its first byte.
func newSender(c *fiber.Ctx, o Object, p plan) (*sender, error) {
	ctx, cancel := context.WithCancel(c.UserContext())
	s := &sender{ctx: ctx, cancel: cancel, object: o, pieces: p.pieces}
	s.text, s.left = s.pieces[0].text, s.pieces[0].span.length
	if err := s.seek(); err != nil {
		cancel()
		return nil, err
	}
	if h, ok := c.Context().UserValue(hookKey{}).(*Hook); ok {
		h.claimed = true
		s.hook = h
	}
	return s, nil
}

// seek makes the first piece's span the next to be read, through a small gap or with a new open, which then takes
// in the spans that follow closely.
func (s *sender) seek() error {
	want := s.pieces[0].span
	if s.src != nil && want.start >= s.at && want.start-s.at <= skipBytes && want.end() <= s.end {
		if want.start > s.at {
			if _, err := io.CopyN(io.Discard, s.src, want.start-s.at); err != nil {
				return fmt.Errorf("skip to byte %d: %w", want.start, short(err))
			}
			s.at = want.start
		}
		return nil
	}
	if err := s.closeSource(); err != nil {
		return err
	}
	end := want.end()
	for _, next := range s.pieces[1:] {
		if next.span.length == 0 || next.span.start < end || next.span.start-end > skipBytes {
			break
		}
		end = next.span.end()
	}
	src, err := s.object.Open(s.ctx, want.start, end-want.start)
	if err != nil {
		return fmt.Errorf("open at byte %d: %w", want.start, err)
	}
	s.src, s.at, s.end = src, want.start, end
	return nil
}

func (s *sender) closeSource() error {
	if s.src == nil {
		return nil
	}
	err := s.src.Close()
	s.src = nil
	if err != nil {
		return fmt.Errorf("close object: %w", err)
	}
	return nil
}

// Read gives the next bytes of the response body.
func (s *sender) Read(p []byte) (int, error) {
	for len(s.pieces) > 0 {
		if s.text != "" {
			n := copy(p, s.text)
			s.text = s.text[n:]
			return n, nil
		}
		if s.left > 0 {
			return s.readSpan(p)
		}
		s.pieces = s.pieces[1:]
		if len(s.pieces) > 0 {
			s.text, s.left = s.pieces[0].text, s.pieces[0].span.length
		}
	}
	return 0, io.EOF
}

func (s *sender) readSpan(p []byte) (int, error) {
	if s.left == s.pieces[0].span.length {
		if err := s.seek(); err != nil {
			return 0, err
		}
	}
	n, err := s.src.Read(p[:min(s.left, int64(len(p)))])
	s.left -= int64(n)
	s.at += int64(n)
	if err != nil && s.left > 0 {
		return n, fmt.Errorf("read object at byte %d: %w", s.at, short(err))
	}
	return n, nil
}

// WriteTo writes the whole response body.
func (s *sender) WriteTo(w io.Writer) (int64, error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		n, err := s.Read(*buf)
		if n > 0 {
			m, werr := w.Write((*buf)[:n])
			s.sent += int64(m)
			if werr != nil {
				err = fmt.Errorf("send: %w", werr)
			}
		}
		if err == io.EOF { //nolint:errorlint // Read's own end
			return s.sent, nil
		}
		if err != nil {
			s.err = err
			return s.sent, err
		}
	}
}

// short makes an early end what it is: a damaged object.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Close releases the object and tells the hook how it went.
func (s *sender) Close() error {
	err := s.closeSource()
	s.cancel()
	if h := s.hook; h != nil {
		s.hook = nil
		h.done(s.sent, errors.Join(s.err, err))
	}
	return err
}

// Hook learns when a body that outlives its handler has been sent.
type Hook struct {
	done    func(sent int64, err error)
	claimed bool
}

type hookKey struct{}

// OnSent makes Serve call done once, when the body is sent or given up; err says why it was. It must be called before
// the handler.
func OnSent(ctx *fasthttp.RequestCtx, done func(sent int64, err error)) *Hook {
	h := &Hook{done: done}
	ctx.SetUserValue(hookKey{}, h)
	return h
}

// Claimed reports, after the handler, whether done will be called.
func (h *Hook) Claimed() bool { return h.claimed }
