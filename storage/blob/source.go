package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// source is what a put reads from: it can be opened again for another attempt if the reader allows.
type source struct {
	r     io.Reader
	size  int64
	at    io.ReaderAt // set when r is a ReaderAt and a Seeker: attempts then have cursors of their own
	seek  io.Seeker
	start int64
}

// newSource fails at once where the size can be seen to be wrong.
func newSource(r io.Reader, size int64) (*source, error) {
	if size < 0 {
		return nil, fmt.Errorf("%w: declared %d", ErrSize, size)
	}
	s := &source{r: r, size: size}
	seek, ok := r.(io.Seeker)
	if !ok {
		return s, nil
	}
	start, err := seek.Seek(0, io.SeekCurrent)
	if err != nil {
		return s, nil // a pipe or the like: has the method, cannot do it
	}
	end, err := seek.Seek(0, io.SeekEnd)
	if err != nil {
		return s, nil
	}
	if _, err := seek.Seek(start, io.SeekStart); err != nil {
		return nil, fmt.Errorf("rewind reader: %w", err)
	}
	if end-start != size {
		return nil, fmt.Errorf("%w: declared %d, holds %d", ErrSize, size, end-start)
	}
	s.seek, s.start = seek, start
	s.at, _ = r.(io.ReaderAt)
	return s, nil
}

// rewindable tells whether a second attempt can read the bytes again.
func (s *source) rewindable() bool { return s.seek != nil }

// attempt returns the bytes from their beginning, as long as ctx lasts. The caller detaches it before the next
// attempt.
func (s *source) attempt(ctx context.Context) (*attempt, error) {
	a := &attempt{r: s.r, left: s.size, cancelled: ctx.Err}
	if s.at != nil {
		a.r = io.NewSectionReader(s.at, s.start, s.size)
	} else if s.seek != nil {
		if _, err := s.seek.Seek(s.start, io.SeekStart); err != nil {
			return nil, fmt.Errorf("rewind reader: %w", err)
		}
	}
	if s.size == 0 {
		a.finish()
	}
	return a, a.err
}

// attempt reads exactly the declared bytes and no more. It holds the last bytes back until the reader is known
// to end there, so that a receiver that counts never sees a complete body from a reader that is too long. It has
// no Seek, so nobody rewinds it behind our back.
//
// Once the put is cancelled it hands out nothing more: a transport notices a cancel some time later, and until
// then would send the rest, so that a put that failed as cancelled might still have been stored.
type attempt struct {
	mu   sync.Mutex // an HTTP transport may still be reading when the request has returned
	r    io.Reader
	left int64
	// cancelled is nil while the put may go on, then why not.
	cancelled func() error
	// err is the first failure of the reader itself. It outranks whatever the receiver makes of the broken body.
	err      error
	touched  bool
	detached bool
}

var errDetached = errors.New("blob: body read after its put returned")

func (a *attempt) Read(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.detached:
		return 0, errDetached
	case a.err != nil:
		return 0, a.err
	case a.left == 0:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	a.touched = true
	n, err := a.r.Read(p[:min(int64(len(p)), a.left)])
	a.left -= int64(n)
	if a.left == 0 {
		a.finish()
	}
	switch cancelled := a.cancelled(); {
	case a.err != nil:
	case cancelled != nil: // perhaps by the reader itself, just now: these bytes stay here
		a.err = cancelled
	case a.left == 0:
		return n, io.EOF
	case err == io.EOF:
		a.err = fmt.Errorf("%w: %d bytes missing", ErrSize, a.left)
	case err != nil:
		a.err = err
	default:
		return n, nil
	}
	return 0, a.err
}

// finish makes sure that the reader ends here.
func (a *attempt) finish() {
	var one [1]byte
	n, err := io.ReadFull(a.r, one[:])
	switch {
	case n > 0:
		a.err = fmt.Errorf("%w: it holds more", ErrSize)
	case err != io.EOF:
		a.err = err
	}
}

// detach waits for a Read in progress and forbids further ones. It returns whether any of the reader's
// bytes were taken, and its own failure.
func (a *attempt) detach() (touched bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.detached = true
	return a.touched, a.err
}
