package picture

import "gatehouse/gateway/intake/bmff"

// heifTrack is the longest picture track of a sequence.
type heifTrack struct {
	size   heifSize
	frames int64
}

// readSequence reads the picture tracks in moov: animated AVIF, HEIF bursts. Frames is the largest number of
// samples; the dimensions are the largest of item and tracks.
func (h *heifFile) readSequence() error {
	if err := h.walk.Descend(h.moov.Body, h.moov.End, h.readTrack, "trak"); err != nil {
		return err
	}
	if h.sequence.frames == 0 {
		return nil
	}
	h.info.Frames = max(h.info.Frames, h.sequence.frames)
	return h.setSize(max(h.info.Width, h.sequence.size.width), max(h.info.Height, h.sequence.size.height))
}

func (h *heifFile) readTrack(trak bmff.Box) error {
	pictures := false
	err := h.walk.Descend(trak.Body, trak.End, func(b bmff.Box) error {
		_, c, err := h.fullBox(b)
		if err != nil {
			return err
		}
		c.uint(4)
		handler := c.fourCC()
		pictures = handler == "pict" || handler == "auxv"
		return c.err
	}, "mdia", "hdlr")
	if err != nil || !pictures {
		return err
	}
	return h.walk.Descend(trak.Body, trak.End, func(b bmff.Box) error {
		switch b.Type {
		case "stsz", "stz2":
			_, c, err := h.fullBox(b)
			if err != nil {
				return err
			}
			c.uint(4) // one size for all samples, or the width of each size
			h.sequence.frames = max(h.sequence.frames, int64(c.uint(4)))
			return c.err
		case "stsd":
			return h.readSampleEntries(b)
		}
		return nil
	}, "mdia", "minf", "stbl", "")
}

// readSampleEntries takes the dimensions from the visual sample entries (14496-12, 12.1.3).
func (h *heifFile) readSampleEntries(stsd bmff.Box) error {
	_, c, err := h.fullBox(stsd)
	if err != nil {
		return err
	}
	c.uint(4) // the count; the boxes themselves are counted
	if c.err != nil {
		return c.err
	}
	return h.walk.Each(c.off, stsd.End, func(b bmff.Box) error {
		c := &cursor{h: h, off: b.Body + 24, end: b.End}
		size := heifSize{int64(c.uint(2)), int64(c.uint(2))}
		h.sequence.size.width = max(h.sequence.size.width, size.width)
		h.sequence.size.height = max(h.sequence.size.height, size.height)
		return c.err
	})
}
