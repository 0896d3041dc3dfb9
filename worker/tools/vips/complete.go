package vips

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// errCutOff refuses a picture whose end is missing.
var errCutOff = errors.New("the picture ends too early")

// The JPEG markers that the walks know (ITU-T T.81, table B.1).
const (
	jpegTEM   = 0x01
	jpegSOF0  = 0xc0
	jpegRST0  = 0xd0
	jpegRST7  = 0xd7
	jpegSOI   = 0xd8
	jpegEOI   = 0xd9
	jpegAPP0  = 0xe0
	jpegAPP15 = 0xef
	jpegCOM   = 0xfe
)

// jpegComplete walks a JPEG's markers and is nil when it finds the end marker. libvips pads what is missing with
// grey and calls it a success, and bimg cannot ask for more. It does not look at what follows the end.
func jpegComplete(b []byte) error {
	for at := 2; ; {
		// Between segments, and in scan data, everything up to the next marker is skipped.
		next := bytes.IndexByte(b[min(at, len(b)):], 0xff)
		if next < 0 {
			return errCutOff
		}
		at += next + 1
		if at >= len(b) {
			return errCutOff
		}
		switch marker := b[at]; {
		case marker == jpegEOI:
			return nil
		case marker == 0xff: // fill byte: the marker is still to come
		case marker == 0x00 || marker == jpegTEM || marker >= jpegRST0 && marker <= jpegRST7 || marker == jpegSOI:
			at++ // stuffed data byte, or a marker without a length
		default:
			if at+3 > len(b) {
				return errCutOff
			}
			at += 1 + int(binary.BigEndian.Uint16(b[at+1:]))
		}
	}
}
