package picture

import "encoding/binary"

// gif walks the blocks of GIF89a up to the trailer. The canvas is the logical screen, grown to hold every frame,
// as decoders grow it.
func (s *reader) gif() error {
	b, err := s.View(0, 13)
	if err != nil {
		return err
	}
	if v := string(b[:6]); v != "GIF87a" && v != "GIF89a" {
		return s.malformed("version %q", v)
	}
	width, height := int64(binary.LittleEndian.Uint16(b[6:])), int64(binary.LittleEndian.Uint16(b[8:]))
	off, err := s.gifPalette(13, b[10])
	if err != nil {
		return err
	}
	for frames := int64(0); ; {
		b, err := s.View(off, 1)
		if err != nil {
			return err
		}
		switch b[0] {
		case 0x3b:
			if frames == 0 {
				return s.malformed("no picture in it")
			}
			s.info.End = off + 1
			return nil
		case 0x21:
			if off, err = s.gifExtension(off); err != nil {
				return err
			}
		case 0x2c:
			var right, bottom int64
			if off, right, bottom, err = s.gifImage(off); err != nil {
				return err
			}
			width, height = max(width, right), max(height, bottom)
			frames++
			s.info.Frames = frames
			if err := s.setSize(width, height); err != nil {
				return err
			}
		default:
			return s.malformed("block %#x at %d", b[0], off)
		}
	}
}

// gifPalette skips the colour table that flags announce. It is a place to hide text, so it is shown as text.
func (s *reader) gifPalette(off int64, flags byte) (int64, error) {
	if flags&0x80 == 0 {
		return off, nil
	}
	end := off + 3<<(flags&7+1)
	return end, s.text(off, end)
}

func (s *reader) gifExtension(off int64) (int64, error) {
	if _, err := s.View(off, 2); err != nil {
		return 0, err
	}
	end, err := s.gifBlocks(off + 2)
	if err != nil {
		return 0, err
	}
	return end, s.text(off+2, end)
}

// gifImage walks one image and returns the offset behind it and where the image reaches on the canvas.
func (s *reader) gifImage(off int64) (next, right, bottom int64, err error) {
	b, err := s.View(off, 10)
	if err != nil {
		return 0, 0, 0, err
	}
	field := func(i int) int64 { return int64(binary.LittleEndian.Uint16(b[i:])) }
	if field(5) == 0 || field(7) == 0 {
		return 0, 0, 0, s.malformed("frame of %d x %d", field(5), field(7))
	}
	right, bottom = field(1)+field(5), field(3)+field(7)
	if off, err = s.gifPalette(off+10, b[9]); err != nil {
		return 0, 0, 0, err
	}
	if b, err = s.View(off, 2); err != nil {
		return 0, 0, 0, err
	}
	if b[0] < 1 || b[0] > 11 || b[1] == 0 {
		return 0, 0, 0, s.malformed("frame without data, or code size %d", b[0])
	}
	next, err = s.gifBlocks(off + 1)
	return next, right, bottom, err
}

// gifBlocks skips data sub-blocks up to and with the empty one that ends them.
func (s *reader) gifBlocks(off int64) (int64, error) {
	for {
		b, err := s.View(off, 1)
		if err != nil {
			return 0, err
		}
		n := int64(b[0])
		if off += 1 + n; n == 0 {
			return off, nil
		}
	}
}
