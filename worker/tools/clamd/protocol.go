package clamd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// maxReply bounds a reply. The longest honest one is a signature name, well under 1 KiB.
const maxReply = 8 << 10

// dialTimeout bounds connecting; a clamd that is busy accepts late, but not this late.
const dialTimeout = 5 * time.Second

// ErrUnavailable means that nothing was learned about the file, because the scanner cannot be reached or
// cannot scan anything at the moment. The caller waits and asks again without counting an attempt.
var ErrUnavailable = errors.New("virus scanner unavailable")

// errCut means that clamd hung up without a complete answer.
var errCut = errors.New("clamd closed the connection without a complete answer")

func unavailable(doing string, err error) error {
	return fmt.Errorf("%s: %w: %w", doing, ErrUnavailable, err)
}

// session is one connection for one command. It ends when the context it was dialled with does.
type session struct {
	net.Conn
	// cancelled is nil while that context lasts, then its cause.
	cancelled func() error
	release   func() bool
}

func (s *Scanner) dial(ctx context.Context) (*session, error) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, s.network, s.address)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("connect to clamd: %w", context.Cause(ctx))
		}
		return nil, unavailable("connect to clamd", err)
	}
	release := context.AfterFunc(ctx, func() {
		// A deadline in the past wakes every read and write; the session itself is closed by its user.
		_ = conn.SetDeadline(time.Unix(1, 0))
	})
	return &session{Conn: conn, cancelled: func() error { return context.Cause(ctx) }, release: release}, nil
}

// end hangs up. The answer is here or has failed by then, and no file's bytes are on their way: closing loses nothing.
func (s *session) end() {
	s.release()
	_ = s.Conn.Close()
}

// fail turns an input/output error of the session into what the caller must know: its own context first.
func (s *session) fail(doing string, err error) error {
	if cause := s.cancelled(); cause != nil {
		return fmt.Errorf("%s: %w", doing, cause)
	}
	return fmt.Errorf("%s: %w: %w", doing, errCut, err)
}

// reply reads clamd's whole answer up to the end of the connection, and returns its one record. A "z" command
// is answered by one record ending in NUL; anything more, less or else is an error.
func (s *session) reply() (string, error) {
	raw, err := io.ReadAll(io.LimitReader(s.Conn, maxReply+1))
	if err != nil {
		return "", s.fail("read clamd's answer", err)
	}
	return oneRecord(raw)
}

func oneRecord(raw []byte) (string, error) {
	record, rest, found := bytes.Cut(raw, []byte{0})
	switch {
	case len(raw) == 0:
		return "", errCut
	case !found:
		// Timeouts ("COMMAND READ TIMED OUT\n") end in a newline even here.
		return "", fmt.Errorf("clamd answered out of turn: %.200q", raw)
	case len(rest) > 0:
		return "", fmt.Errorf("clamd gave more than one answer: %.200q", raw)
	}
	return string(record), nil
}

// command sends one argument-less command and returns the answer.
func (s *Scanner) command(ctx context.Context, name string) (string, error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return "", err
	}
	defer conn.end()
	if _, err := conn.Write([]byte("z" + name + "\x00")); err != nil {
		return "", conn.fail("send "+name, err)
	}
	return conn.reply()
}
