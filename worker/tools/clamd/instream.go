package clamd

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	goclamd "github.com/dutchcoders/go-clamd"
)

// lookAtStream has clamd scan r over TCP by go-clamd. That library sends the end of the stream also when the
// reader failed, ignores failed writes, has no deadline, leaks a goroutine for each unclosed abort or unread
// result channel, and ends without result or error when clamd hangs up. So: the meter remembers how
// reading ended, abort is closed on every way out (which closes the connection and so wakes every goroutine),
// the results are read to the end of the channel, and there must be exactly one.
//
// lookAtStream waits for a Read in progress; r must end when ctx does, as readers of stored blobs do.
func (s *Scanner) lookAtStream(ctx context.Context, r io.Reader, size int64) (look, error) {
	abort := make(chan bool)
	hangUp := sync.OnceFunc(func() { close(abort) })
	defer hangUp()
	defer context.AfterFunc(ctx, hangUp)()

	m := newMeter(ctx, r, size)
	results, err := goclamd.NewClamd("tcp://"+s.address).ScanStream(&hangUpOnError{m, hangUp}, abort)
	var raw []string
	if err == nil {
		raw = collect(results, hangUp)
	}
	switch {
	case ctx.Err() != nil:
		return look{}, fmt.Errorf("stream to clamd: %w", context.Cause(ctx))
	case err != nil && isDial(err):
		return look{}, unavailable("connect to clamd", err)
	case m.complete() != nil:
		return look{}, fmt.Errorf("read the bytes to scan: %w", m.complete())
	case err != nil || len(raw) == 0:
		return s.explainCut(ctx, m, err)
	case len(raw) > 1:
		return look{}, fmt.Errorf("clamd gave more than one answer: %.200q", raw)
	}
	found, err := parseReply(raw[0], streamSubject)
	return look{found, m.n, m.digest()}, err
}

// collect reads the results to the end of the channel, and hangs up at the second one: it is already wrong.
func collect(results <-chan *goclamd.ScanResult, hangUp func()) []string {
	var raw []string
	for result := range results {
		raw = append(raw, result.Raw)
		if len(raw) > 1 {
			hangUp()
			break
		}
	}
	for range results {
		// The connection is closed: what is left is at most what the library has buffered.
	}
	return raw
}

// hangUpOnError closes the connection before go-clamd can send the end of a stream that failed.
type hangUpOnError struct {
	io.Reader
	hangUp func()
}

func (h *hangUpOnError) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if err != nil && err != io.EOF {
		h.hangUp()
	}
	return n, err
}

// explainCut says why a stream ended without an answer. clamd answers a stream over its StreamMaxLength and
// hangs up at once; by then go-clamd may only see a broken pipe. Asking for the limit alone settles it.
func (s *Scanner) explainCut(ctx context.Context, m *meter, cut error) (look, error) {
	fits, err := s.streamFits(ctx, m.size)
	if err == nil && !fits {
		found, err := parseReply(streamTooLong, streamSubject)
		return look{found, m.n, m.digest()}, err
	}
	return look{}, errors.Join(errCut, cut)
}

// streamFits asks whether clamd would take a stream of size bytes: it announces one chunk of that size and ends
// there. clamd refuses an announcement over StreamMaxLength at once, and hangs up silently otherwise.
func (s *Scanner) streamFits(ctx context.Context, size int64) (bool, error) {
	if size > int64(^uint32(0)) {
		return false, nil // StreamMaxLength and chunk lengths are 32 bits wide
	}
	conn, err := s.dial(ctx)
	if err != nil {
		return false, err
	}
	defer conn.end()
	announce := binary.BigEndian.AppendUint32([]byte("zINSTREAM\x00"), uint32(size))
	if _, err := conn.Write(announce); err != nil {
		return false, conn.fail("announce a stream", err)
	}
	if half, ok := conn.Conn.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return false, conn.fail("announce a stream", err)
		}
	}
	raw, err := io.ReadAll(io.LimitReader(conn, maxReply))
	if err != nil {
		return false, conn.fail("announce a stream", err)
	}
	return string(raw) != streamTooLong+"\x00", nil
}

func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
