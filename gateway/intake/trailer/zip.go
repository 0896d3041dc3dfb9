package trailer

import (
	"bytes"
	"encoding/binary"
	"errors"

	"gatehouse/gateway/intake/window"
)

const (
	eocdLen = 22
	// eocdReach is how far from the end readers look for the record: its length and the longest comment (65,557
	// bytes), and what Info-ZIP and Go look further.
	eocdReach = 66_000 + eocdLen
)

var (
	eocdSignature    = []byte("PK\x05\x06")
	zip64Locator     = []byte("PK\x06\x07")
	centralSignature = []byte("PK\x01\x02")
)

// zipAtEnd finds a ZIP that readers would open: they search its directory from the end of the file, so it may
// stand behind or in a comment inside any other format. Four letters prove nothing; the record must lead to a
// directory.
func zipAtEnd(w *window.Reader) (Finding, error) {
	const step = window.Block - eocdLen
	for end := w.Size(); end >= eocdLen && end > w.Size()-eocdReach; end -= step {
		start := max(0, end-window.Block)
		b, err := w.View(start, int(end-start))
		if err != nil {
			return Finding{}, err
		}
		b = bytes.Clone(b)                       // the checks below move the window
		b = b[max(0, w.Size()-eocdReach-start):] // nothing before the reach
		start = max(start, w.Size()-eocdReach)
		for i := bytes.LastIndex(b, eocdSignature); i >= 0; i = bytes.LastIndex(b[:i], eocdSignature) {
			ok, err := zipDirectory(w, start+int64(i))
			if err != nil {
				return Finding{}, err
			}
			if ok {
				return Finding{Archive, "zip", start + int64(i)}, nil
			}
		}
	}
	return Finding{}, nil
}

// zipDirectory reports whether the end record at off leads to a central directory, either by its size, as readers
// find it when something stands in front of the archive, or by its offset.
func zipDirectory(w *window.Reader, off int64) (bool, error) {
	b, err := w.View(off, eocdLen)
	if errors.Is(err, window.ErrShort) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	size, offset := int64(binary.LittleEndian.Uint32(b[12:])), int64(binary.LittleEndian.Uint32(b[16:]))
	for _, try := range []struct {
		at  int64
		sig []byte
	}{{off - size, centralSignature}, {offset, centralSignature}, {off - 20, zip64Locator}} {
		b, err := w.View(try.at, 4)
		if err != nil && !errors.Is(err, window.ErrShort) {
			return false, err
		}
		if err == nil && bytes.Equal(b, try.sig) {
			return true, nil
		}
	}
	return false, nil
}
