// Package readfault tells a disk that does not read from a client's broken bytes.
//
// Decoders fold every error of the reader below them into "this input is damaged". A rule that believed
// them would refuse a good file because our own spool failed. Reader remembers what really came from below.
package readfault

import (
	"errors"
	"fmt"
	"io"
)

// Reader is an io.ReaderAt that remembers the first error other than io.EOF. It is for one goroutine.
type Reader struct {
	r     io.ReaderAt
	fault error
}

// New wraps r.
func New(r io.ReaderAt) *Reader { return &Reader{r: r} }

// ReadAt implements io.ReaderAt.
func (t *Reader) ReadAt(p []byte, off int64) (int, error) {
	n, err := t.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) && t.fault == nil {
		t.fault = fmt.Errorf("read spooled file: %w", err)
	}
	return n, err
}

// Judge returns our own fault if there was one, and otherwise the verdict that was reached.
func (t *Reader) Judge(verdict error) error {
	if t.fault != nil {
		return t.fault
	}
	return verdict
}
