package vips

import (
	"bytes"
	"encoding/binary"
)

// Metadata can cost far more than pixels: libpng inflates each text, by up to 8 MB, and keeps it; libjpeg walks the
// list of all kept segments for each new one. So what no variant shows is taken out before libvips looks.

// pngAncillary are the chunks beside the critical ones that are kept, once each, and how long they may be: those
// for opacity, colours and orientation. EXIF has to fit into a JPEG's segment too; a profile is compressed.
var pngAncillary = map[string]int{
	"tRNS": 256, "gAMA": 4, "cHRM": 32, "sRGB": 1, "pHYs": 9, "sBIT": 4, "eXIf": 64 << 10, "iCCP": 1 << 20,
}

// jpegSegments are the application segments that are kept: those that have a say in colours and orientation.
var jpegSegments = map[byte][]byte{
	jpegAPP0: []byte("JFIF\x00"), jpegAPP0 + 1: []byte("Exif"), jpegAPP0 + 2: []byte("ICC_PROFILE\x00"), jpegAPP0 + 14: []byte("Adobe"),
}

// maxJPEGSegments leaves room for a profile in as many pieces as can be (255) and some of the others.
const maxJPEGSegments = 300

// pruning takes pieces out of bytes, from the front to the back and in place.
type pruning struct {
	b             []byte
	read, written int
}

func (p *pruning) drop(from, to int) {
	p.written += copy(p.b[p.written:], p.b[p.read:from])
	p.read = to
}

func (p *pruning) rest() []byte {
	p.drop(len(p.b), len(p.b))
	return p.b[:p.written]
}

// leanPNG changes b. What is no whole chunk, and what follows the end, stays as it is.
func leanPNG(b []byte) []byte {
	const signature, around = 8, 12 // a chunk has its length and name before its data, and a checksum behind
	p := pruning{b: b}
	seen := map[string]bool{}
	for at := signature; at+around <= len(b); {
		size := int64(binary.BigEndian.Uint32(b[at:]))
		if size > int64(len(b)-at-around) {
			break
		}
		name, end := string(b[at+4:at+8]), at+around+int(size)
		if name == "IEND" {
			break
		}
		if ancillary := name[0]&0x20 != 0; ancillary {
			if most, keep := pngAncillary[name]; !keep || seen[name] || size > int64(most) {
				p.drop(at, end)
			} else {
				seen[name] = true
			}
		}
		at = end
	}
	return p.rest()
}

// leanJPEG changes b. It finds segments where libjpeg does, which takes markers without a meaning for bare ones.
func leanJPEG(b []byte) []byte {
	p := pruning{b: b}
	kept := 0
	for at := 2; at < len(b); {
		next := bytes.IndexByte(b[at:], 0xff)
		if next < 0 {
			break
		}
		// Fill bytes go with their marker: left alone, they would make a new one of what follows.
		start := at + next
		for at = start; at < len(b) && b[at] == 0xff; at++ {
		}
		if at+3 > len(b) || b[at] == jpegEOI {
			break
		}
		marker := b[at]
		if marker < jpegSOF0 || marker >= jpegRST0 && marker <= jpegSOI {
			at++
			continue
		}
		size := int(binary.BigEndian.Uint16(b[at+1:]))
		end := at + 1 + size
		if size < 2 || end > len(b) {
			break
		}
		if marker == jpegCOM || marker >= jpegAPP0 && marker <= jpegAPP15 {
			if prefix, ok := jpegSegments[marker]; ok && kept < maxJPEGSegments && bytes.HasPrefix(b[at+3:end], prefix) {
				kept++
			} else {
				p.drop(start, end)
			}
		}
		at = end
	}
	return p.rest()
}
