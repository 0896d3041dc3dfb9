package vips

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// vp8xAlpha is the flag "has alpha" in the first byte of a VP8X chunk.
const vp8xAlpha = 0x10

// strip leaves only the picture data of a WebP made by libvips: 8.14 adds an EXIF block of its own even when it
// is told to strip.
func strip(b []byte) ([]byte, error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WEBP" {
		return nil, errors.New("strip: no WebP")
	}
	out := append(make([]byte, 0, len(b)), b[:12]...)
	var alpha bool
	for rest := b[12:]; len(rest) > 0; {
		if len(rest) < 8 {
			return nil, errors.New("strip: half a chunk")
		}
		size := uint64(binary.LittleEndian.Uint32(rest[4:]))
		size = 8 + size + size%2
		if size > uint64(len(rest)) {
			return nil, errors.New("strip: half a chunk")
		}
		chunk := rest[:size]
		rest = rest[size:]
		switch name := string(chunk[:4]); name {
		case "VP8X":
			// Only the alpha of an ALPH chunk needs it.
			if alpha = len(chunk) == 18 && chunk[8]&vp8xAlpha != 0; alpha {
				out = append(out, chunk...)
				out[len(out)-10] = vp8xAlpha
			}
		case "ALPH", "VP8 ", "VP8L":
			out = append(out, chunk...)
		case "EXIF", "XMP ", "ICCP":
		default:
			return nil, fmt.Errorf("strip: an unexpected chunk %q", name)
		}
	}
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out, nil
}
