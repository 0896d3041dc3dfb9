package picture

import (
	"math"

	"gatehouse/gateway/intake/bmff"
	"gatehouse/gateway/intake/window"
)

// readLocations reads iloc and checks that every extent lies inside the file. For each item it keeps where the
// first extent is.
func (h *heifFile) readLocations(b bmff.Box) error {
	version, c, err := h.fullBox(b)
	if err != nil {
		return err
	}
	if version > 2 {
		return h.malformed("iloc version %d", version)
	}
	packed := c.uint(2)
	l := ilocReader{h: h, c: c, version: version,
		offset: int(packed >> 12), length: int(packed >> 8 & 15), base: int(packed >> 4 & 15)}
	if version > 0 {
		l.index = int(packed & 15)
	}
	for _, n := range []int{l.offset, l.length, l.base, l.index} {
		if n != 0 && n != 4 && n != 8 {
			return h.malformed("iloc with fields of %d bytes", n)
		}
	}
	items := c.uint(2)
	if version == 2 {
		items = items<<16 | c.uint(2)
	}
	if items > maxHEIFItems {
		return h.malformed("%d locations", items)
	}
	for ; items > 0 && c.err == nil; items-- {
		if err := l.item(); err != nil {
			return err
		}
	}
	return c.err
}

// ilocReader reads item locations; the numbers are field widths in bytes.
type ilocReader struct {
	h                           *heifFile
	c                           *cursor
	version                     byte
	offset, length, base, index int
}

func (l *ilocReader) item() error {
	c := l.c
	id := uint32(c.uint(2))
	if l.version == 2 {
		id = id<<16 | uint32(c.uint(2))
	}
	method := uint64(0)
	if l.version > 0 {
		method = c.uint(2) & 15
	}
	reference := c.uint(2)
	base := c.uint(l.base)
	extents := c.uint(2)
	if c.err != nil {
		return c.err
	}
	if reference != 0 || method > 2 {
		return l.h.malformed("item %d lies in another file or by method %d", id, method)
	}
	if l.offset+l.length+l.index == 0 {
		extents = min(extents, 1) // they take no bytes, so they are all the same
	}
	for n := uint64(0); n < extents; n++ {
		c.uint(l.index)
		offset, length := c.uint(l.offset), c.uint(l.length)
		if c.err != nil {
			return c.err
		}
		r, err := l.extent(method, base, offset, length)
		if err != nil {
			return err
		}
		if n == 0 {
			l.h.data[id] = r
		}
	}
	return nil
}

// extent checks one extent and returns where it lies in the file. Extents inside other items (method 2) have no
// place of their own.
func (l *ilocReader) extent(method, base, offset, length uint64) (heifRange, error) {
	h := l.h
	if method == 2 {
		return heifRange{}, nil
	}
	if base > math.MaxInt64 || offset > math.MaxInt64-base || length > math.MaxInt64-base-offset {
		return heifRange{}, h.malformed("extent at %d+%d of %d bytes overflows", base, offset, length)
	}
	from, to := int64(base+offset), int64(base+offset+length)
	begin, end := int64(0), h.Size()
	if method == 1 {
		idat, err := h.findIdat()
		if err != nil {
			return heifRange{}, err
		}
		begin, end = idat.Body, idat.End
	}
	if to > end-begin {
		if method == 0 {
			return heifRange{}, window.ErrShort
		}
		return heifRange{}, h.malformed("extent of %d..%d is outside of idat", from, to)
	}
	if length == 0 {
		to = end - begin // the format's way to say: all there is
	}
	return heifRange{begin + from, begin + to}, nil
}

// findIdat returns meta's idat box, which may stand behind iloc.
func (h *heifFile) findIdat() (bmff.Box, error) {
	if h.idat == nil {
		err := h.walk.Each(h.meta.Body+4, h.meta.End, func(b bmff.Box) error {
			if b.Type == "idat" {
				h.idat = &b
			}
			return nil
		})
		if err != nil {
			return bmff.Box{}, err
		}
	}
	if h.idat == nil {
		return bmff.Box{}, h.malformed("item in idat, and no idat")
	}
	return *h.idat, nil
}

// checkItems holds the size of every item against the limits, and the primary one's structure against its size.
// Decoders may be asked for any of them.
func (h *heifFile) checkItems() error {
	for _, size := range h.sizes {
		if err := h.checkLimitsOf(Info{Width: size.width, Height: size.height, Frames: 1, End: h.info.End}); err != nil {
			return err
		}
	}
	size, ok := h.sizes[h.primary]
	if !ok {
		if h.moov != nil {
			return nil // a sequence alone has no primary item
		}
		return h.malformed("primary item %d has no size", h.primary)
	}
	if _, ok := h.types[h.primary]; !ok {
		return h.malformed("primary item %d is not described", h.primary)
	}
	for id, typ := range h.types {
		var err error
		switch typ {
		case "grid":
			err = h.checkGrid(id)
		case "iovl":
			err = h.checkOverlay(id)
		}
		if err != nil {
			return err
		}
	}
	if r := h.data[h.primary]; r.to <= r.from && h.types[h.primary] != "iden" && len(h.derived[h.primary]) == 0 {
		return h.malformed("primary item %d has no data", h.primary)
	}
	return h.setSize(size.width, size.height)
}

// checkGrid compares a grid item's own numbers (23008-12, 6.6.2.3) with its size and its tiles: a decoder
// allocates by them.
func (h *heifFile) checkGrid(id uint32) error {
	r := h.data[id]
	c := &cursor{h: h, off: r.from, end: r.to}
	version, flags := c.uint(1), c.uint(1)
	rows, columns := int64(c.uint(1))+1, int64(c.uint(1))+1
	width := 2 + 2*int(flags&1)
	out := heifSize{int64(c.uint(width)), int64(c.uint(width))}
	if c.err != nil {
		return c.err
	}
	tiles := h.derived[id]
	if version != 0 || int64(len(tiles)) != rows*columns {
		return h.malformed("grid of %d x %d with %d tiles", columns, rows, len(tiles))
	}
	if size, ok := h.sizes[id]; ok && size != out {
		return h.malformed("grid of %v in an item of %v", out, size)
	}
	if err := h.checkLimitsOf(Info{Width: out.width, Height: out.height, Frames: 1, End: h.info.End}); err != nil {
		return err
	}
	first := h.sizes[tiles[0]]
	for _, tile := range tiles {
		size, ok := h.sizes[tile]
		if !ok || size != first || h.types[tile] == "grid" {
			return h.malformed("grid tile %d of %v beside %v", tile, size, first)
		}
	}
	if first.width*columns < out.width || first.height*rows < out.height ||
		first.width*(columns-1) >= out.width || first.height*(rows-1) >= out.height {
		return h.malformed("grid of %v from %d x %d tiles of %v", out, columns, rows, first)
	}
	return nil
}

// checkOverlay does the same for an overlay's canvas (23008-12, 6.6.2.4).
func (h *heifFile) checkOverlay(id uint32) error {
	r := h.data[id]
	c := &cursor{h: h, off: r.from, end: r.to}
	flags := c.uint(2) & 1
	c.uint(8) // the colour behind the pictures
	width := 2 + 2*int(flags)
	out := Info{Width: int64(c.uint(width)), Height: int64(c.uint(width)), Frames: 1, End: h.info.End}
	if c.err != nil {
		return c.err
	}
	return h.checkLimitsOf(out)
}
