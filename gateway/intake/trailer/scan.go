package trailer

import (
	"bytes"
	"errors"

	"gatehouse/gateway/intake/window"
)

// hiddenAnywhere looks through a whole picture for what readers find in the middle of a file: scripts that an
// interpreter runs wherever they stand, archives that self-extractor readers search, a PDF header in the first
// kilobyte, a tar header whose first name is the picture's magic number.
func hiddenAnywhere(w *window.Reader) (Finding, error) {
	// A PDF reader accepts the header within the first 1,024 bytes.
	pdf := []needle{{Data, "pdf", "%PDF-", false, func(b []byte) bool {
		return len(b) > 7 && b[6] == '.' && digitAfter(5)(b) && digitAfter(7)(b)
	}}}
	if f, err := scan(w, 0, min(1024+5, w.Size()), pdf); err != nil || f.Kind != Clean {
		return f, err
	}
	if b, err := w.View(0, 512); err == nil && tarHeader(b) {
		return Finding{Archive, "tar", 0}, nil
	} else if err != nil && !errors.Is(err, window.ErrShort) {
		return Finding{}, err
	}
	return scan(w, 0, w.Size(), compressedNeedles)
}

// classify names what lies between from and to, which is not the file's own: its beginning decides, then the first
// signature in it. Clean means that nothing is known to be bad about it, not that it is good.
func classify(w *window.Reader, from, to int64) (Finding, error) {
	b, err := w.View(from, int(min(lookahead, to-from)))
	if err != nil {
		return Finding{}, err
	}
	for _, n := range startNeedles {
		if bytes.HasPrefix(b, []byte(n.sig)) {
			return Finding{n.kind, n.what, from}, nil
		}
	}
	if len(b) >= 512 && tarHeader(b) {
		return Finding{Archive, "tar", from}, nil
	}
	return scan(w, from, to, trailerNeedles)
}

// beginsWith names what the bytes between from and to begin with, looking at the beginning only.
func beginsWith(w *window.Reader, from, to int64) (Finding, error) {
	b, err := w.View(from, int(min(lookahead, to-from)))
	if err != nil {
		return Finding{}, err
	}
	for _, n := range trailerNeedles {
		if len(b) >= len(n.sig) && n.find(b[:len(n.sig)], b) == 0 {
			return Finding{n.kind, n.what, from}, nil
		}
	}
	return Finding{}, nil
}

// scan returns the first of the needles that begins between from and to. It reads the bytes once.
func scan(w *window.Reader, from, to int64, needles []needle) (Finding, error) {
	const step = window.Block - lookahead
	for off := from; off < to; off += step {
		b, err := w.View(off, int(min(window.Block, to-off)))
		if err != nil {
			return Finding{}, err
		}
		best, at := needle{}, len(b)
		for _, n := range needles {
			if i := n.find(b[:min(at+len(n.sig), len(b))], b); i >= 0 && i < at {
				best, at = n, i
			}
		}
		if best.kind != Clean {
			return Finding{best.kind, best.what, off + int64(at)}, nil
		}
	}
	return Finding{}, nil
}

// find returns the offset in b of the first occurrence that passes the check, -1 when there is none. all is b with
// what follows it.
func (n needle) find(b, all []byte) int {
	for off := 0; ; {
		i := n.index(b[off:])
		if i < 0 {
			return -1
		}
		at := off + i
		if n.check == nil || n.check(all[at:min(len(all), at+lookahead)]) {
			return at
		}
		off = at + 1
	}
}

func (n needle) index(b []byte) int {
	if !n.fold {
		return bytes.Index(b, []byte(n.sig))
	}
	// Every folded signature begins with a character that has no case.
	for off := 0; ; {
		i := bytes.IndexByte(b[off:], n.sig[0])
		if i < 0 || len(b)-off-i < len(n.sig) {
			return -1
		}
		if at := off + i; bytes.EqualFold(b[at:at+len(n.sig)], []byte(n.sig)) {
			return at
		}
		off += i + 1
	}
}

// tarHeader checks the magic and the checksum of a POSIX tar header of 512 bytes.
func tarHeader(b []byte) bool {
	if !bytes.Equal(b[257:262], []byte("ustar")) {
		return false
	}
	sum := int64(0)
	for i, c := range b[:512] {
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += int64(c)
	}
	stated := int64(0)
	for _, c := range bytes.Trim(b[148:156], " \x00") {
		if c < '0' || c > '7' {
			return false
		}
		stated = stated<<3 | int64(c-'0')
	}
	return stated == sum
}
