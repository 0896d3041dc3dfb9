package vips

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// strip leaves only the picture data of a WebP made by libvips: 8.14 adds an EXIF block of its own even when it
// is told to strip.
func strip(b []byte) ([]byte, error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WEBP" {
		return nil, errors.New("strip: no WebP")
	}
	out := append(make([]byte, 0, len(b)), b[:12]...)
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
			// A picture without opacity and motion needs none.
			if len(chunk) != 18 {
				return nil, errors.New("strip: a long VP8X")
			}
			if flags := chunk[8] & (vp8xAlpha | vp8xAnimation); flags != 0 {
				out = append(out, chunk...)
				out[len(out)-10] = flags
			}
		case "ANIM", "ANMF", "ALPH", "VP8 ", "VP8L":
			out = append(out, chunk...)
		case "EXIF", "XMP ", "ICCP":
		default:
			return nil, fmt.Errorf("strip: an unexpected chunk %q", name)
		}
	}
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out, nil
}
