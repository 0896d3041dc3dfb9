package picture

import (
	"bytes"
	"encoding/binary"
	"errors"

	"gatehouse/gateway/intake/window"
)

// maxExtraJPEGs bounds the pictures behind the first: previews, gain maps, depth maps. Phones write up to four.
const maxExtraJPEGs = 32

// jpeg walks the markers of ITU-T T.81. Behind the first picture, phones and stereo cameras write more (CIPA
// DC-007 multi-picture format, Ultra HDR gain maps), with zero bytes between; whole ones belong to the picture.
func (s *reader) jpeg() error {
	f := jpegFrame{reader: s, primary: true}
	end, err := f.walk(0)
	if err != nil {
		return err
	}
	s.info.End = end
	for range maxExtraJPEGs {
		next, err := s.skipZeros(s.info.End)
		if err != nil {
			return err
		}
		b, err := s.View(next, 3)
		if errors.Is(err, window.ErrShort) || err == nil && !bytes.Equal(b, []byte{0xff, 0xd8, 0xff}) {
			return nil
		}
		if err != nil {
			return err
		}
		extra := jpegFrame{reader: s}
		end, err := extra.walk(next)
		if fault := (*Error)(nil); errors.As(err, &fault) || errors.Is(err, window.ErrShort) {
			return nil // not whole: the trailer rule says what it is
		} else if err != nil {
			return err
		}
		s.info.End = end
	}
	return nil
}

// skipZeros returns the offset of the first byte from off on that is not zero, or the size of the file.
func (s *reader) skipZeros(off int64) (int64, error) {
	for off < s.Size() {
		b, err := s.Chunk(off, s.Size())
		if err != nil {
			return 0, err
		}
		if n := len(b) - len(bytes.TrimLeft(b, "\x00")); n < len(b) {
			return off + int64(n), nil
		}
		off += int64(len(b))
	}
	return off, nil
}

// jpegFrame is the walk over one JPEG stream, from SOI to EOI.
type jpegFrame struct {
	*reader
	primary        bool
	sized, scanned bool
}

// walk returns the offset behind the EOI marker.
func (f *jpegFrame) walk(off int64) (int64, error) {
	b, err := f.View(off, 2)
	if err != nil {
		return 0, err
	}
	if b[0] != 0xff || b[1] != 0xd8 {
		return 0, f.malformed("no SOI at %d", off)
	}
	for off += 2; ; {
		marker, next, err := f.marker(off)
		if err != nil {
			return 0, err
		}
		if marker == 0xd9 {
			if !f.scanned {
				return 0, f.malformed("no scan before EOI")
			}
			return f.repeatedEOI(next)
		}
		b, err := f.View(next, 2)
		if err != nil {
			return 0, err
		}
		length := int64(binary.BigEndian.Uint16(b))
		if length < 2 {
			return 0, f.malformed("segment %#x of length %d", marker, length)
		}
		if err := f.segment(marker, next+2, next+length); err != nil {
			return 0, err
		}
		off = next + length
		if marker == 0xda {
			if off, err = f.entropy(off); err != nil {
				return 0, err
			}
		}
	}
}

// marker reads the marker at off, past fill bytes, and returns the offset behind it.
func (f *jpegFrame) marker(off int64) (byte, int64, error) {
	b, err := f.View(off, 2)
	if err != nil {
		return 0, 0, err
	}
	if b[0] != 0xff {
		return 0, 0, f.malformed("no marker at %d", off)
	}
	for b[1] == 0xff {
		off++
		if b, err = f.View(off, 2); err != nil {
			return 0, 0, err
		}
	}
	switch m := b[1]; {
	case m == 0x00, m == 0x01, m >= 0xd0 && m <= 0xd8, m >= 0x02 && m < 0xc0:
		return 0, 0, f.malformed("marker %#x at %d", m, off)
	default:
		return m, off + 2, nil
	}
}

// segment looks at the content of one segment, from the length field to its end.
func (f *jpegFrame) segment(marker byte, from, to int64) error {
	switch {
	case marker == 0xc4, marker == 0xc8, marker == 0xcc: // DHT, JPG, DAC: shaped like SOF, but none
	case marker >= 0xc0 && marker <= 0xcf:
		return f.frameHeader(marker, from, to)
	case marker == 0xda:
		return f.scanHeader(from, to)
	case marker >= 0xe0 && marker <= 0xef, marker == 0xfe:
		return f.text(from, to)
	}
	if to > f.Size() {
		return window.ErrShort
	}
	return nil
}

func (f *jpegFrame) frameHeader(marker byte, from, to int64) error {
	switch marker {
	case 0xc0, 0xc1, 0xc2, 0xc9, 0xca: // baseline, extended, progressive; Huffman and arithmetic
	default:
		return f.malformed("coding process %#x that no web decoder reads", marker)
	}
	if f.sized {
		return f.malformed("second frame header")
	}
	if to-from < 6 {
		return f.malformed("frame header of %d bytes", to-from)
	}
	b, err := f.View(from, 6)
	if err != nil {
		return err
	}
	height, width, comps := int64(binary.BigEndian.Uint16(b[1:])), int64(binary.BigEndian.Uint16(b[3:])), int64(b[5])
	if comps < 1 || comps > 4 || to-from != 6+3*comps || width == 0 || height == 0 {
		return f.malformed("frame header: %d x %d, %d components", width, height, comps)
	}
	f.sized = true
	if f.primary {
		return f.setSize(width, height)
	}
	return nil
}

func (f *jpegFrame) scanHeader(from, to int64) error {
	if !f.sized {
		return f.malformed("scan before the frame header")
	}
	b, err := f.View(from, 1)
	if err != nil {
		return err
	}
	if n := int64(b[0]); n < 1 || n > 4 || to-from != 4+2*n {
		return f.malformed("scan header of %d components in %d bytes", b[0], to-from)
	}
	f.scanned = true
	return nil
}

// entropy skips entropy-coded data: everything up to a marker that is neither a stuffed zero, nor a restart, nor
// fill. It returns the offset of that marker.
func (f *jpegFrame) entropy(off int64) (int64, error) {
	for {
		b, err := f.Chunk(off, f.Size())
		if err != nil {
			return 0, err
		}
		i := bytes.IndexByte(b, 0xff)
		if i < 0 {
			off += int64(len(b))
			continue
		}
		off += int64(i)
		if b, err = f.View(off, 2); err != nil {
			return 0, err
		}
		switch m := b[1]; {
		case m == 0x00, m >= 0xd0 && m <= 0xd7:
			off += 2
		case m == 0xff:
			off++
		default:
			return off, nil
		}
	}
}

// repeatedEOI passes over more EOI markers, which some cameras write.
func (f *jpegFrame) repeatedEOI(off int64) (int64, error) {
	for range 8 {
		b, err := f.View(off, 2)
		if errors.Is(err, window.ErrShort) {
			break
		}
		if err != nil {
			return 0, err
		}
		if b[0] != 0xff || b[1] != 0xd9 {
			break
		}
		off += 2
	}
	return off, nil
}
