package trailer

import (
	"errors"
	"io"

	"gatehouse/gateway/intake/bmff"
	"gatehouse/gateway/intake/window"
)

// Video looks at a video of size bytes: a ZIP that readers would find from the end, and what stands behind the
// last box (ISO media) or element (Matroska). Samples are not looked through: a picture has megabytes, a video
// gigabytes.
func Video(r io.ReaderAt, size int64, mediaType string) (Finding, error) {
	w := window.New(r, size)
	f, err := zipAtEnd(w)
	if err != nil || f.Kind != Clean {
		return f, notShort(err)
	}
	switch mediaType {
	case "video/webm", "video/x-matroska":
		f, err = behindSegment(w)
	default:
		f, err = behindBoxes(w)
	}
	return f, notShort(err)
}

// behindBoxes walks the boxes of the file and judges what is behind the last. Cameras add boxes of their own, so
// any is passed that does not begin with something else's signature. A box that is cut off by the end of the file
// is for the video job to refuse.
func behindBoxes(w *window.Reader) (Finding, error) {
	k := bmff.NewWalker(w, maxBoxes)
	off := int64(0)
	for off < w.Size() {
		b, err := k.Next(off, w.Size())
		switch {
		case errors.Is(err, bmff.ErrTruncated) && mediaBoxes[b.Type]:
			return Finding{}, nil
		case trouble(err) != nil:
			return Finding{}, err
		case err != nil:
			return region(w, off, w.Size(), false)
		case b.Type != "mdat" && b.Type != "moov":
			if f, err := boxContent(w, b); err != nil || f.Kind != Clean {
				return f, err
			}
		}
		off = b.End
	}
	return Finding{}, nil
}

// The elements that may stand at the top of a Matroska file (RFC 9559).
const (
	idHeader  = 0x1a45dfa3
	idSegment = 0x18538067
	idVoid    = 0xec
	idCRC     = 0xbf
)

// behindSegment walks the top elements of a Matroska file and judges what is behind the last. A segment of unknown
// size, as browsers record it, reaches to the end.
func behindSegment(w *window.Reader) (Finding, error) {
	off := int64(0)
	for off < w.Size() {
		id, body, length, err := element(w, off)
		if err != nil {
			return Finding{}, err
		}
		switch id {
		case idHeader, idSegment, idVoid, idCRC:
		default:
			return region(w, off, w.Size(), false)
		}
		if length < 0 || length > w.Size()-body {
			if id != idSegment {
				return region(w, off, w.Size(), false)
			}
			return Finding{}, nil
		}
		if id == idVoid {
			if f, err := boxContent(w, bmff.Box{Body: body, End: body + length}); err != nil || f.Kind != Clean {
				return f, err
			}
		}
		off = body + length
	}
	return Finding{}, nil
}

// element reads the id and the length of the EBML element at off. id is 0 when there is none; length is -1 when
// it is unknown.
func element(w *window.Reader, off int64) (id uint64, body, length int64, err error) {
	b, err := w.View(off, int(min(12, w.Size()-off)))
	if err != nil {
		return 0, 0, 0, err
	}
	id, n := vint(b, 4)
	if n == 0 {
		return 0, 0, 0, nil
	}
	size, m := vint(b[n:], 8)
	if m == 0 {
		return 0, 0, 0, nil
	}
	body = off + int64(n+m)
	mask := uint64(1)<<(7*m) - 1
	if size &= mask; size == mask {
		return id, body, -1, nil
	}
	return id, body, int64(size), nil
}

// vint reads an EBML number of at most most bytes with its length marker; n is 0 when there is none.
func vint(b []byte, most int) (v uint64, n int) {
	for n = 1; n <= most && n <= len(b); n++ {
		if b[0]&(0x80>>(n-1)) == 0 {
			continue
		}
		for _, c := range b[:n] {
			v = v<<8 | uint64(c)
		}
		return v, n
	}
	return 0, 0
}
