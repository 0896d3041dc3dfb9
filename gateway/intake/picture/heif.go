package picture

import (
	"encoding/binary"
	"errors"

	"gatehouse/gateway/intake/bmff"
)

// Bounds of what is kept of one HEIF file. A 200-megapixel phone picture has about 800 items.
const (
	maxHEIFBoxes = 16 << 10
	maxHEIFItems = 4096
	maxHEIFProps = 4096
	maxHEIFLinks = 64 << 10 // property associations and references
)

// heifFile is what the boxes of a HEIF file (ISO/IEC 23008-12) have said so far.
type heifFile struct {
	*reader
	walk       *bmff.Walker
	meta, moov *bmff.Box
	idat       *bmff.Box

	primary  uint32
	types    map[uint32]string    // item id -> item type
	props    []heifSize           // ispe properties by index; others are zero
	sizes    map[uint32]heifSize  // item id -> its ispe
	data     map[uint32]heifRange // item id -> its first extent in the file
	derived  map[uint32][]uint32  // item id -> what it is made of (dimg)
	links    int
	sequence heifTrack
}

type heifSize struct{ width, height int64 }

// heifRange is where (the beginning of) an item's bytes lie in the file.
type heifRange struct{ from, to int64 }

// heifTopLevel are the boxes that belong to the picture. A walk stops in front of anything else, motion photo
// video (mpvd) and vendor data (sefd) included: those are for the trailer rule.
var heifTopLevel = map[string]bool{
	"ftyp": true, "meta": true, "mdat": true, "moov": true, "moof": true, "mfra": true, "sidx": true, "styp": true,
	"free": true, "skip": true, "wide": true, "uuid": true, "pdin": true, "idat": true, "emsg": true, "prft": true,
}

// heif walks the boxes of HEIC, HEIF and AVIF, stills and sequences.
func (s *reader) heif() error {
	h := heifFile{
		reader: s, walk: bmff.NewWalker(s.Reader, maxHEIFBoxes),
		types: map[uint32]string{}, sizes: map[uint32]heifSize{}, data: map[uint32]heifRange{}, derived: map[uint32][]uint32{},
	}
	if err := h.topLevel(); err != nil {
		return err
	}
	if h.meta == nil && h.moov == nil {
		return h.malformed("neither meta nor moov")
	}
	if h.meta != nil {
		if err := h.readMeta(); err != nil {
			return err
		}
		if err := h.checkItems(); err != nil {
			return err
		}
	}
	if h.moov != nil {
		if err := h.readSequence(); err != nil {
			return err
		}
	}
	if h.info.Width == 0 {
		return h.malformed("no picture in it")
	}
	return nil
}

// topLevel finds the end of the picture's own boxes and its meta and moov.
func (h *heifFile) topLevel() error {
	off := int64(0)
	for off < h.Size() {
		b, err := h.walk.Next(off, h.Size())
		switch {
		case errors.Is(err, bmff.ErrTruncated) && heifTopLevel[b.Type]:
			return err
		case errors.Is(err, bmff.ErrTruncated), errors.Is(err, bmff.ErrMalformed):
			h.info.End = off
			return nil // what stands here is not the picture's
		case err != nil:
			return err
		case off == 0 && b.Type != "ftyp":
			return h.malformed("begins with %q", b.Type)
		case !heifTopLevel[b.Type], b.Type == "ftyp" && off > 0:
			h.info.End = off
			return nil
		}
		if err := h.keep(b); err != nil {
			return err
		}
		off = b.End
	}
	h.info.End = off
	return nil
}

func (h *heifFile) keep(b bmff.Box) error {
	switch b.Type {
	case "meta":
		if h.meta != nil {
			return h.malformed("second meta box")
		}
		h.meta = &b
	case "moov":
		if h.moov != nil {
			return h.malformed("second moov box")
		}
		h.moov = &b
	case "free", "skip", "uuid":
		return h.text(b.Body, b.End)
	}
	return nil
}

// fullBox skips version and flags and returns the version.
func (h *heifFile) fullBox(b bmff.Box) (version byte, c *cursor, err error) {
	c = &cursor{h: h, off: b.Body, end: b.End}
	v := c.uint(4)
	return byte(v >> 24), c, c.err
}

// readMeta reads the boxes of meta that say what the items are, how large, and where.
func (h *heifFile) readMeta() error {
	_, c, err := h.fullBox(*h.meta)
	if err != nil {
		return err
	}
	return h.walk.Each(c.off, h.meta.End, func(b bmff.Box) error {
		switch b.Type {
		case "pitm":
			version, c, err := h.fullBox(b)
			if err != nil {
				return err
			}
			h.primary = uint32(c.uint(2 + 2*min(int(version), 1)))
			return c.err
		case "iinf":
			return h.readItemInfos(b)
		case "iprp":
			return h.readProperties(b)
		case "iref":
			return h.readReferences(b)
		case "iloc":
			return h.readLocations(b)
		case "idat":
			h.idat = &b
		}
		return nil
	})
}

func (h *heifFile) readItemInfos(b bmff.Box) error {
	version, c, err := h.fullBox(b)
	if err != nil {
		return err
	}
	c.uint(2 + 2*min(int(version), 1)) // the count; the boxes themselves are counted
	if c.err != nil {
		return c.err
	}
	return h.walk.Each(c.off, b.End, func(b bmff.Box) error {
		if b.Type != "infe" {
			return nil
		}
		version, c, err := h.fullBox(b)
		if err != nil || version < 2 {
			return err
		}
		id := uint32(c.uint(2 * min(int(version)-1, 2)))
		c.uint(2) // protection
		typ := c.fourCC()
		h.types[id] = typ
		if len(h.types) > maxHEIFItems {
			return h.malformed("more than %d items", maxHEIFItems)
		}
		return c.err
	})
}

func (h *heifFile) readProperties(iprp bmff.Box) error {
	return h.walk.Each(iprp.Body, iprp.End, func(b bmff.Box) error {
		switch b.Type {
		case "ipco":
			return h.walk.Each(b.Body, b.End, h.readProperty)
		case "ipma":
			return h.readAssociations(b)
		}
		return nil
	})
}

func (h *heifFile) readProperty(b bmff.Box) error {
	if len(h.props) >= maxHEIFProps {
		return h.malformed("more than %d properties", maxHEIFProps)
	}
	var size heifSize
	if b.Type == "ispe" {
		_, c, err := h.fullBox(b)
		if err != nil {
			return err
		}
		size = heifSize{int64(c.uint(4)), int64(c.uint(4))}
		if c.err != nil {
			return c.err
		}
		if size.width == 0 || size.height == 0 {
			return h.malformed("ispe of %d x %d", size.width, size.height)
		}
	}
	h.props = append(h.props, size)
	return nil
}

// readAssociations ties properties to items. ipma must follow ipco, as every writer puts it.
func (h *heifFile) readAssociations(b bmff.Box) error {
	version, c, err := h.fullBox(b)
	if err != nil {
		return err
	}
	flags, err := h.View(b.Body+3, 1)
	if err != nil {
		return err
	}
	wide := flags[0]&1 != 0
	for n := c.uint(4); n > 0 && c.err == nil; n-- {
		id := uint32(c.uint(2 + 2*min(int(version), 1)))
		for k := c.uint(1); k > 0 && c.err == nil; k-- {
			index := int(c.uint(1)) & 0x7f
			if wide {
				index = index<<8 | int(c.uint(1))
			}
			if h.links++; h.links > maxHEIFLinks {
				return h.malformed("more than %d associations", maxHEIFLinks)
			}
			if index > len(h.props) {
				return h.malformed("property %d of %d", index, len(h.props))
			}
			if index == 0 || h.props[index-1].width == 0 {
				continue
			}
			if had, ok := h.sizes[id]; ok && had != h.props[index-1] {
				return h.malformed("item %d of two sizes", id)
			}
			h.sizes[id] = h.props[index-1]
		}
	}
	return c.err
}

// readReferences keeps which items a derived picture (a grid, an overlay) is made of.
func (h *heifFile) readReferences(b bmff.Box) error {
	version, c, err := h.fullBox(b)
	if err != nil {
		return err
	}
	width := 2 + 2*min(int(version), 1)
	return h.walk.Each(c.off, b.End, func(b bmff.Box) error {
		c := &cursor{h: h, off: b.Body, end: b.End}
		from := uint32(c.uint(width))
		for n := c.uint(2); n > 0 && c.err == nil; n-- {
			if h.links++; h.links > maxHEIFLinks {
				return h.malformed("more than %d references", maxHEIFLinks)
			}
			if to := uint32(c.uint(width)); b.Type == "dimg" {
				h.derived[from] = append(h.derived[from], to)
			}
		}
		return c.err
	})
}

// cursor reads big-endian numbers one after the other, up to the end of a box.
type cursor struct {
	h        *heifFile
	off, end int64
	err      error
}

// uint reads n bytes, 0 to 8. After an error it returns 0.
func (c *cursor) uint(n int) uint64 {
	if c.err != nil {
		return 0
	}
	if c.end-c.off < int64(n) {
		c.err = c.h.malformed("box ends at %d in the middle of a number", c.end)
		return 0
	}
	var b []byte
	if b, c.err = c.h.View(c.off, n); c.err != nil {
		return 0
	}
	c.off += int64(n)
	var buf [8]byte
	copy(buf[8-n:], b)
	return binary.BigEndian.Uint64(buf[:])
}

func (c *cursor) fourCC() string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(c.uint(4)))
	return string(b[:])
}
