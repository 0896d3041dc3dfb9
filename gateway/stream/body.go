package stream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"gatehouse/storage"
)

// Pace is how fast a client must send. Only the time in which the server waits for the client counts: a slow store
// never makes a client look slow.
type Pace struct {
	// MinBytesPerSecond is the least average over each Window of waiting.
	MinBytesPerSecond int64
	// Window is the time over which the average is taken, and so the grace at the start.
	Window time.Duration
	// Stall is the longest wait for any byte at all.
	Stall time.Duration
}

// DefaultPace lets a phone on a bad line through (8 kbit/s, 20 s without a byte) and cuts a client that keeps an
// upload open for its own sake.
func DefaultPace() Pace {
	return Pace{MinBytesPerSecond: 1 << 10, Window: 10 * time.Second, Stall: 20 * time.Second}
}

// Body is the body of one request. It ends with io.EOF only when exactly Content-Length bytes were read; every
// other end is a *storage.Error with UPLOAD_INCOMPLETE. Errors are final. Not safe for concurrent use.
type Body struct {
	r        io.Reader
	conn     net.Conn // nil when there is none to set deadlines on
	declared int64
	read     int64
	err      error

	pace    Pace
	until   time.Time // the read deadline in force
	last    time.Time // no read may wait beyond this; zero for no such limit
	waited  time.Duration
	inCycle int64 // bytes since waited was last set to zero
}

// newBody reads declared bytes from r. conn may be nil.
func newBody(r io.Reader, conn net.Conn, declared int64, pace Pace) *Body {
	b := &Body{r: r, conn: conn, declared: declared, pace: pace}
	if declared == 0 {
		b.err = io.EOF
	}
	return b
}

// Declared is the Content-Length, 0 when the request has no body.
func (b *Body) Declared() int64 { return b.declared }

// Consumed is how many bytes were read so far.
func (b *Body) Consumed() int64 { return b.read }

// Ended reports whether every declared byte was read.
func (b *Body) Ended() bool { return b.read == b.declared && !b.broken() }

// broken reports whether the body ended before its time.
func (b *Body) broken() bool { return b.err != nil && b.err != io.EOF } //nolint:errorlint // set by Read itself

// Limit refuses a body that declares more than limit bytes with FILE_TOO_LARGE. Content-Length is exact and no byte
// beyond it is ever read, so checking what is declared bounds what can arrive.
func (b *Body) Limit(limit int64) error {
	if b.declared > limit {
		return storage.Refuse(storage.CodeFileTooLarge, storage.Details{"limit": limit, "request_bytes": b.declared})
	}
	return nil
}

// Within gives the rest of the body a fixed time, for bodies that are small and have no reason to take long.
func (b *Body) Within(d time.Duration) { b.last = time.Now().Add(d) }

// Read reads from the body.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if left := b.declared - b.read; int64(len(p)) > left {
		p = p[:left]
	}
	before := time.Now()
	if err := b.renewDeadline(before); err != nil {
		b.err = incomplete(reasonConnectionLost, err)
		return 0, b.err
	}
	n, err := b.r.Read(p)
	b.read += int64(n)
	b.inCycle += int64(n)
	b.waited += time.Since(before)
	switch {
	case b.read == b.declared:
		b.err = io.EOF
	case err != nil:
		b.err = b.explain(err)
	case b.tooSlow():
		b.err = incomplete(reasonTooSlow, fmt.Errorf("%d bytes in %v", b.inCycle, b.waited))
	}
	if n > 0 {
		return n, nil
	}
	return 0, b.err
}

// renewDeadline keeps the read deadline between nine and ten tenths of Stall ahead, so that not every read costs a
// system call.
func (b *Body) renewDeadline(now time.Time) error {
	if b.conn == nil || (b.pace.Stall <= 0 && b.last.IsZero()) {
		return nil
	}
	want := now.Add(b.pace.Stall)
	if b.pace.Stall <= 0 || (!b.last.IsZero() && b.last.Before(want)) {
		want = b.last
	}
	if late := want.Sub(b.until); late >= 0 && late < b.pace.Stall/10 && !b.until.IsZero() {
		return nil
	}
	b.until = want
	return b.conn.SetReadDeadline(want)
}

// tooSlow closes a cycle of waiting that is over and says whether it brought too little.
func (b *Body) tooSlow() bool {
	if b.pace.Window <= 0 || b.waited < b.pace.Window {
		return false
	}
	if float64(b.inCycle) < float64(b.pace.MinBytesPerSecond)*b.waited.Seconds() {
		return true
	}
	b.waited, b.inCycle = 0, 0
	return false
}

func (b *Body) explain(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return incomplete(reasonTooSlow, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return incomplete(reasonTruncated, fmt.Errorf("%d of %d bytes", b.read, b.declared))
	}
	return incomplete(reasonConnectionLost, err)
}
