package picture

import (
	"encoding/binary"
	"hash/crc32"

	"gatehouse/gateway/intake/window"
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// pngWalk is what the chunks of a PNG (W3C PNG, third edition) have said so far.
type pngWalk struct {
	*reader
	header, data, palette bool
	colour                byte
	declared, controls    int64 // frames by acTL, and fcTL chunks met
}

// png walks the chunks up to IEND and checks each one's CRC.
func (s *reader) png() error {
	b, err := s.View(0, len(pngSignature))
	if err != nil {
		return err
	}
	if string(b) != pngSignature {
		return s.malformed("no PNG signature")
	}
	p := pngWalk{reader: s}
	for off := int64(len(pngSignature)); ; {
		b, err := s.View(off, 8)
		if err != nil {
			return err
		}
		length, typ := int64(binary.BigEndian.Uint32(b)), string(b[4:8])
		if length > 1<<31-1 || !pngType(typ) {
			return s.malformed("chunk %q of %d bytes", typ, length)
		}
		from, to := off+8, off+8+length
		if to > s.Size()-4 {
			return window.ErrShort
		}
		if err := s.pngCRC(off+4, to); err != nil {
			return err
		}
		if err := p.chunk(typ, from, to); err != nil {
			return err
		}
		off = to + 4
		if typ == "IEND" {
			s.info.End = off
			return p.finish(length)
		}
	}
}

// chunk looks at the content of one chunk.
func (p *pngWalk) chunk(typ string, from, to int64) error {
	if !p.header && typ != "IHDR" {
		return p.malformed("%s before IHDR", typ)
	}
	switch typ {
	case "IHDR":
		return p.ihdr(from, to)
	case "PLTE":
		p.palette = true
		if n := to - from; n == 0 || n%3 != 0 || n > 3*256 {
			return p.malformed("palette of %d bytes", n)
		}
		return p.text(from, to)
	case "IDAT":
		if p.colour == 3 && !p.palette {
			return p.malformed("no palette before IDAT")
		}
		p.data = true
		return nil
	case "IEND", "fdAT":
		return nil
	case "acTL":
		return p.acTL(from, to)
	case "fcTL":
		return p.fcTL(from, to)
	}
	if typ[0]&0x20 == 0 {
		return p.malformed("unknown critical chunk %q", typ)
	}
	return p.text(from, to)
}

func (p *pngWalk) ihdr(from, to int64) error {
	if p.header || to-from != 13 {
		return p.malformed("IHDR of %d bytes", to-from)
	}
	b, err := p.View(from, 13)
	if err != nil {
		return err
	}
	width, height := int64(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint32(b[4:]))
	depth, colour := b[8], b[9]
	if !pngDepth(depth, colour) || b[10] != 0 || b[11] != 0 || b[12] > 1 {
		return p.malformed("IHDR: depth %d, colour %d, methods %v", depth, colour, b[10:13])
	}
	p.header, p.colour = true, colour
	return p.setSize(width, height)
}

func (p *pngWalk) acTL(from, to int64) error {
	if to-from != 8 || p.declared > 0 || p.data {
		return p.malformed("acTL of %d bytes, repeated or behind IDAT", to-from)
	}
	b, err := p.View(from, 4)
	if err != nil {
		return err
	}
	if p.declared = int64(binary.BigEndian.Uint32(b)); p.declared == 0 {
		return p.malformed("animation without frames")
	}
	return p.setFrames(p.declared)
}

func (p *pngWalk) fcTL(from, to int64) error {
	if to-from != 26 {
		return p.malformed("fcTL of %d bytes", to-from)
	}
	b, err := p.View(from, 26)
	if err != nil {
		return err
	}
	field := func(i int) int64 { return int64(binary.BigEndian.Uint32(b[i:])) }
	w, h, x, y := field(4), field(8), field(12), field(16)
	if w == 0 || h == 0 || x+w > p.info.Width || y+h > p.info.Height {
		return p.malformed("frame of %d x %d at %d,%d is not inside the picture", w, h, x, y)
	}
	p.controls++
	if p.declared > 0 && p.controls > p.declared {
		return p.setFrames(p.controls)
	}
	return nil
}

func (p *pngWalk) finish(iend int64) error {
	switch {
	case iend != 0:
		return p.malformed("IEND with content")
	case !p.data:
		return p.malformed("no IDAT")
	case p.declared > 0 && p.controls == 0:
		return p.malformed("animation without frame controls")
	}
	return nil
}

// pngCRC compares the checksum behind to with that of the bytes before it.
func (s *reader) pngCRC(from, to int64) error {
	crc := uint32(0)
	for off := from; off < to; {
		b, err := s.Chunk(off, to)
		if err != nil {
			return err
		}
		crc = crc32.Update(crc, crc32.IEEETable, b)
		off += int64(len(b))
	}
	b, err := s.View(to, 4)
	if err != nil {
		return err
	}
	if want := binary.BigEndian.Uint32(b); want != crc {
		return s.malformed("checksum of the chunk at %d: %08x, computed %08x", from-4, want, crc)
	}
	return nil
}

func pngType(t string) bool {
	for _, c := range []byte(t) {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			return false
		}
	}
	return true
}

// pngDepth holds table 12 of the specification: which bit depths go with which colour type.
func pngDepth(depth, colour byte) bool {
	switch colour {
	case 0:
		return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16
	case 3:
		return depth == 1 || depth == 2 || depth == 4 || depth == 8
	case 2, 4, 6:
		return depth == 8 || depth == 16
	}
	return false
}
