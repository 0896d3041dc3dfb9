// Package window reads a foreign file through one small buffer.
//
// The parsers of the intake walk files of any size by offset. They ask a Reader for a few bytes here and there;
// it keeps one block in memory, so that walking costs constant memory and one read a block.
package window

import (
	"errors"
	"fmt"
	"io"
)

// Block is how many bytes a Reader holds, and the most that one View can show.
const Block = 16 << 10

// ErrShort says that bytes were asked for which the file does not have: the file is cut off or lies about its
// lengths. Any other error of a Reader comes from the disk and is not the file's fault.
var ErrShort = errors.New("file ends too early")

// Reader looks at a file of known size through one block. Slices it returns are valid until the next call.
type Reader struct {
	r    io.ReaderAt
	size int64
	buf  []byte
	off  int64 // where buf begins in the file
}

// New returns a Reader over the first size bytes of r.
func New(r io.ReaderAt, size int64) *Reader {
	return &Reader{r: r, size: size, buf: make([]byte, 0, Block)}
}

// Size is the size of the file in bytes.
func (w *Reader) Size() int64 { return w.size }

// View returns exactly n bytes at off; n must be at most Block.
func (w *Reader) View(off int64, n int) ([]byte, error) {
	if off < 0 || n < 0 || off > w.size || int64(n) > w.size-off {
		return nil, ErrShort
	}
	if n > Block {
		return nil, fmt.Errorf("view of %d bytes: more than the window holds", n)
	}
	if off < w.off || off+int64(n) > w.off+int64(len(w.buf)) {
		if err := w.fill(off); err != nil {
			return nil, err
		}
	}
	i := off - w.off
	return w.buf[i : i+int64(n)], nil
}

// Chunk returns what the window holds from off on, at least one byte and nothing at or behind end. It is for
// walking long runs: the caller goes on at off plus the length.
func (w *Reader) Chunk(off, end int64) ([]byte, error) {
	if end > w.size || off >= end || off < 0 {
		return nil, ErrShort
	}
	if off < w.off || off >= w.off+int64(len(w.buf)) {
		if err := w.fill(off); err != nil {
			return nil, err
		}
	}
	b := w.buf[off-w.off:]
	return b[:min(int64(len(b)), end-off)], nil
}

func (w *Reader) fill(off int64) error {
	w.buf = w.buf[:min(int64(Block), w.size-off)]
	n, err := w.r.ReadAt(w.buf, off)
	if n == len(w.buf) {
		w.off = off
		return nil
	}
	w.buf = w.buf[:0]
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // the caller told us the size, so this is our trouble, not the file's
	}
	return fmt.Errorf("read %d bytes at %d: %w", min(int64(Block), w.size-off), off, err)
}
