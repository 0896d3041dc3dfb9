// Package bmff walks the boxes of ISO base media files (ISO/IEC 14496-12): MP4, QuickTime, HEIF, AVIF.
//
// It knows where boxes begin and end and which brands a file claims, and nothing about what is in them.
package bmff

import (
	"encoding/binary"
	"errors"
	"fmt"

	"gatehouse/gateway/intake/window"
)

// MaxDepth is how deep boxes may lie in each other. The deepest path Gatehouse reads,
// moov/trak/mdia/minf/stbl/stsd, has six.
const MaxDepth = 8

var (
	// ErrTruncated says that a box claims more bytes than its parent has.
	ErrTruncated = errors.New("box is longer than what is left")
	// ErrMalformed says that what stands there is no box.
	ErrMalformed = errors.New("not a box")
	// ErrTooMany says that the walk met more boxes than it was allowed.
	ErrTooMany = errors.New("too many boxes")
)

// Box is one box: the header begins at Start, the content at Body, the next box at End.
type Box struct {
	Type             string
	Start, Body, End int64
	// ToEnd is true when the size is 0 in the file: the box reaches to the end of the file.
	ToEnd bool
}

// Len is the length of the content in bytes.
func (b Box) Len() int64 { return b.End - b.Body }

// Walker reads boxes from a file and counts them.
type Walker struct {
	*window.Reader
	left int
}

// NewWalker returns a Walker that reads at most maxBoxes boxes, at all depths together.
func NewWalker(w *window.Reader, maxBoxes int) *Walker { return &Walker{w, maxBoxes} }

// Next reads the header of the box at off inside a parent that ends at end. With ErrTruncated the box is still
// returned, its End cut to the parent's.
func (k *Walker) Next(off, end int64) (Box, error) {
	if k.left--; k.left < 0 {
		return Box{}, ErrTooMany
	}
	if end-off < 8 {
		return Box{}, ErrMalformed
	}
	h, err := k.View(off, 8)
	if err != nil {
		return Box{}, err
	}
	b := Box{Type: string(h[4:8]), Start: off, Body: off + 8}
	if !printable(h[4:8]) {
		return Box{}, ErrMalformed
	}
	size := uint64(binary.BigEndian.Uint32(h))
	switch size {
	case 0:
		b.End, b.ToEnd = end, true
		return b, nil
	case 1:
		b.Body = off + 16
		if end-off < 16 {
			b.Body, b.End = end, end
			return b, ErrTruncated
		}
		if h, err = k.View(off+8, 8); err != nil {
			return Box{}, err
		}
		size = binary.BigEndian.Uint64(h)
	}
	if size < uint64(b.Body-off) {
		return Box{}, ErrMalformed
	}
	if size > uint64(end-off) {
		b.End = end
		return b, ErrTruncated
	}
	b.End = off + int64(size)
	return b, nil
}

// Each calls fn for every box between off and end. Boxes must fill the space; a rest of fewer than 8 bytes is
// passed over, because QuickTime ends some lists with four zero bytes.
func (k *Walker) Each(off, end int64, fn func(Box) error) error {
	for end-off >= 8 {
		b, err := k.Next(off, end)
		if err != nil {
			return err
		}
		if err := fn(b); err != nil {
			return err
		}
		off = b.End
	}
	return nil
}

// Descend calls fn for every box at the end of path under the boxes between off and end, for instance
// Descend(moov.Body, moov.End, fn, "trak", "mdia", "hdlr"). An empty name stands for any.
func (k *Walker) Descend(off, end int64, fn func(Box) error, path ...string) error {
	if len(path) == 0 || len(path) > MaxDepth {
		return fmt.Errorf("descend %d levels: out of range", len(path))
	}
	return k.Each(off, end, func(b Box) error {
		switch {
		case path[0] != "" && b.Type != path[0]:
			return nil
		case len(path) == 1:
			return fn(b)
		}
		return k.Descend(b.Body, b.End, fn, path[1:]...)
	})
}

// printable allows what four-character codes are made of: ASCII, and the copyright sign of QuickTime's user data.
func printable(t []byte) bool {
	for _, c := range t {
		if (c < 0x20 || c > 0x7e) && c != 0xa9 {
			return false
		}
	}
	return true
}
