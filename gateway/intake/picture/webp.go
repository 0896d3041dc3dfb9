package picture

import (
	"encoding/binary"

	"gatehouse/gateway/intake/window"
)

// webpWalk is what the chunks of a WebP (RFC 9649) have said so far.
type webpWalk struct {
	*reader
	extended, animated bool
	images, frames     int64
}

// webp walks the RIFF chunks up to the end that the RIFF header gives.
func (s *reader) webp() error {
	b, err := s.View(0, 12)
	if err != nil {
		return err
	}
	if string(b[:4]) != "RIFF" || string(b[8:12]) != "WEBP" {
		return s.malformed("no RIFF of WEBP")
	}
	end := 8 + int64(binary.LittleEndian.Uint32(b[4:]))
	if end > s.Size() {
		return window.ErrShort
	}
	w := webpWalk{reader: s}
	if err := w.chunks(12, end, w.chunk); err != nil {
		return err
	}
	switch {
	case w.animated && w.frames == 0, !w.animated && w.images != 1, w.animated && w.images > 0, !w.animated && w.frames > 0:
		return s.malformed("%d pictures and %d frames, animated: %t", w.images, w.frames, w.animated)
	}
	s.info.End = end
	return nil
}

// chunks calls fn for each chunk between off and end; chunks are padded to an even length.
func (w *webpWalk) chunks(off, end int64, fn func(typ string, from, to int64) error) error {
	for off < end {
		if end-off < 8 {
			return w.malformed("%d bytes between chunks", end-off)
		}
		b, err := w.View(off, 8)
		if err != nil {
			return err
		}
		typ, length := string(b[:4]), int64(binary.LittleEndian.Uint32(b[4:]))
		if length > end-off-8 {
			return w.malformed("chunk %q of %d bytes does not fit", typ, length)
		}
		if err := fn(typ, off+8, off+8+length); err != nil {
			return err
		}
		off = min(off+8+length+length&1, end)
	}
	return nil
}

func (w *webpWalk) chunk(typ string, from, to int64) error {
	switch typ {
	case "VP8X":
		return w.canvas(from, to)
	case "VP8 ", "VP8L":
		w.images++
		width, height, err := w.bitstream(typ, from, to)
		if err != nil {
			return err
		}
		if w.extended && (width != w.info.Width || height != w.info.Height) {
			return w.malformed("picture of %d x %d on a canvas of %d x %d", width, height, w.info.Width, w.info.Height)
		}
		return w.setSize(width, height)
	case "ANMF":
		return w.frame(from, to)
	case "ALPH":
		return nil
	}
	return w.text(from, to) // ICCP, EXIF, XMP, ANIM and what is not known
}

func (w *webpWalk) canvas(from, to int64) error {
	if w.extended || w.images > 0 || to-from < 10 {
		return w.malformed("VP8X of %d bytes, or not first", to-from)
	}
	b, err := w.View(from, 10)
	if err != nil {
		return err
	}
	w.extended, w.animated = true, b[0]&2 != 0
	return w.setSize(1+int64(uint24(b[4:])), 1+int64(uint24(b[7:])))
}

// frame reads one frame of an animation: its place on the canvas and the picture in it.
func (w *webpWalk) frame(from, to int64) error {
	if !w.extended || to-from < 16 {
		return w.malformed("frame of %d bytes, or without a canvas", to-from)
	}
	b, err := w.View(from, 12)
	if err != nil {
		return err
	}
	x, y := 2*int64(uint24(b)), 2*int64(uint24(b[3:]))
	width, height := 1+int64(uint24(b[6:])), 1+int64(uint24(b[9:]))
	if x+width > w.info.Width || y+height > w.info.Height {
		return w.malformed("frame of %d x %d at %d,%d is not inside the picture", width, height, x, y)
	}
	w.frames++
	if err := w.setFrames(w.frames); err != nil {
		return err
	}
	pictures := 0
	err = w.chunks(from+16, to, func(typ string, from, to int64) error {
		if typ != "VP8 " && typ != "VP8L" {
			return nil
		}
		pictures++
		pw, ph, err := w.bitstream(typ, from, to)
		if err == nil && (pw != width || ph != height) {
			err = w.malformed("picture of %d x %d in a frame of %d x %d", pw, ph, width, height)
		}
		return err
	})
	if err == nil && pictures != 1 {
		err = w.malformed("frame with %d pictures", pictures)
	}
	return err
}

// bitstream reads the dimensions from the header of the coded picture itself: RFC 6386 section 9.1, RFC 9649
// section 3.4.
func (w *webpWalk) bitstream(typ string, from, to int64) (width, height int64, err error) {
	need := map[string]int{"VP8 ": 10, "VP8L": 5}[typ]
	if to-from < int64(need) {
		return 0, 0, w.malformed("%s of %d bytes", typ, to-from)
	}
	b, err := w.View(from, need)
	if err != nil {
		return 0, 0, err
	}
	if typ == "VP8L" {
		bits := int64(binary.LittleEndian.Uint32(b[1:]))
		if b[0] != 0x2f || bits>>29 != 0 {
			return 0, 0, w.malformed("VP8L signature %#x, version %d", b[0], bits>>29)
		}
		return 1 + bits&0x3fff, 1 + bits>>14&0x3fff, nil
	}
	if b[0]&1 != 0 || b[3] != 0x9d || b[4] != 0x01 || b[5] != 0x2a {
		return 0, 0, w.malformed("VP8 without a key frame")
	}
	return int64(binary.LittleEndian.Uint16(b[6:]) & 0x3fff), int64(binary.LittleEndian.Uint16(b[8:]) & 0x3fff), nil
}

func uint24(b []byte) uint32 { return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 }
