package mediatest

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// place is where a box (ISO base media) lies in its parent's bytes.
type place struct {
	kind             string
	start, body, end int
}

// box makes a box around the parts of its content.
func box(kind string, content ...[]byte) []byte {
	out := append(make([]byte, 4), kind...)
	for _, c := range content {
		out = append(out, c...)
	}
	binary.BigEndian.PutUint32(out, uint32(len(out)))
	return out
}

// boxes lists the boxes that lie side by side in b, up to the first that does not fit.
func boxes(b []byte) []place {
	var list []place
	for at := 0; at+8 <= len(b); {
		p := place{kind: string(b[at+4 : at+8]), start: at, body: at + 8}
		size := uint64(binary.BigEndian.Uint32(b[at:]))
		switch {
		case size == 1 && at+16 <= len(b):
			size, p.body = binary.BigEndian.Uint64(b[at+8:]), at+16
		case size == 0:
			size = uint64(len(b) - at)
		}
		if size < uint64(p.body-at) || size > uint64(len(b)-at) {
			return list
		}
		p.end = at + int(size)
		list = append(list, p)
		at = p.end
	}
	return list
}

func findBox(t testing.TB, b []byte, kind string) place {
	t.Helper()
	for _, p := range boxes(b) {
		if p.kind == kind {
			return p
		}
	}
	require.Fail(t, "no box "+kind)
	return place{}
}

// within follows a path of boxes and returns the content of the last, as a part of b.
func within(t testing.TB, b []byte, path ...string) []byte {
	t.Helper()
	for _, kind := range path {
		p := findBox(t, b, kind)
		b = b[p.body:p.end]
	}
	return b
}
