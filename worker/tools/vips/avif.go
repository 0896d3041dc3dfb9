package vips

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// maxAVIFMeta bounds what describes the picture; libheif needs some hundred bytes.
const maxAVIFMeta = 8 << 10

// box is one box of an ISO media file (ISO/IEC 14496-12), without its head.
type box struct {
	name string
	data []byte
}

// boxes splits data to its very end.
func boxes(data []byte) ([]box, error) {
	var all []box
	for len(data) > 0 {
		if len(data) < 8 {
			return nil, errors.New("half a box")
		}
		size := int64(binary.BigEndian.Uint32(data))
		if size < 8 || size > int64(len(data)) {
			return nil, fmt.Errorf("a box %q of %d bytes", data[4:8], size)
		}
		all = append(all, box{string(data[4:8]), data[8:size]})
		data = data[size:]
	}
	return all, nil
}

// plainAVIF returns the shape of a still AVIF as libheif writes it, which consists of picture data only: no
// metadata, no colour profile, nothing before or behind.
func plainAVIF(r *io.SectionReader) (shape, error) {
	meta, err := avifMeta(r)
	if err != nil {
		return shape{}, err
	}
	inside, err := boxes(meta)
	if err != nil {
		return shape{}, err
	}
	var got shape
	for _, b := range inside {
		switch b.name {
		case "hdlr", "pitm", "iloc", "iref":
		case "iinf":
			err = avifItems(b.data)
		case "iprp":
			got, err = avifProperties(b.data)
		default:
			err = fmt.Errorf("a box %q", b.name)
		}
		if err != nil {
			return shape{}, err
		}
	}
	if got.frames != 1 {
		return shape{}, errors.New("no picture")
	}
	return got, nil
}

// avifMeta walks the outermost boxes, ftyp, meta and mdat, and returns the inside of meta.
func avifMeta(r *io.SectionReader) ([]byte, error) {
	head := make([]byte, 8)
	var meta []byte
	at := int64(0)
	for _, want := range []string{"ftyp", "meta", "mdat"} {
		if _, err := r.ReadAt(head, at); err != nil {
			return nil, err
		}
		size := int64(binary.BigEndian.Uint32(head))
		if name := string(head[4:]); name != want || size < 12 || want != "mdat" && size > maxAVIFMeta {
			return nil, fmt.Errorf("a box %q of %d bytes instead of %s", name, size, want)
		}
		if want != "mdat" {
			meta = make([]byte, size-8)
			if _, err := r.ReadAt(meta, at+8); err != nil {
				return nil, err
			}
		}
		if want == "ftyp" && string(meta[:4]) != "avif" {
			return nil, fmt.Errorf("the brand %q", meta[:4])
		}
		at += size
	}
	if at != r.Size() {
		return nil, fmt.Errorf("%d bytes of boxes in %d", at, r.Size())
	}
	return meta[4:], nil // behind version and flags
}

// avifItems allows one picture and perhaps its opacity.
func avifItems(iinf []byte) error {
	if len(iinf) < 6 {
		return errors.New("a short iinf")
	}
	items, err := boxes(iinf[6:]) // behind version, flags and count
	if err != nil {
		return err
	}
	if len(items) < 1 || len(items) > 2 {
		return fmt.Errorf("%d items", len(items))
	}
	for _, i := range items {
		if i.name != "infe" || len(i.data) < 12 || string(i.data[8:12]) != "av01" {
			return fmt.Errorf("an item %q", i.data)
		}
	}
	return nil
}

// avifProperties allows what a decoder needs. All sizes must agree, and colours must be told by number.
func avifProperties(iprp []byte) (shape, error) {
	outer, err := boxes(iprp)
	if err != nil {
		return shape{}, err
	}
	if len(outer) != 2 || outer[0].name != "ipco" || outer[1].name != "ipma" {
		return shape{}, errors.New("other than ipco and ipma")
	}
	properties, err := boxes(outer[0].data)
	if err != nil {
		return shape{}, err
	}
	var got shape
	for _, p := range properties {
		switch {
		case p.name == "ispe" && len(p.data) == 12:
			width, height := binary.BigEndian.Uint32(p.data[4:]), binary.BigEndian.Uint32(p.data[8:])
			size := shape{int(width), int(height), 1}
			if got.frames == 1 && got != size || min(width, height) < 1 || max(width, height) > maxEdge {
				return shape{}, fmt.Errorf("a size of %d x %d", width, height)
			}
			got = size
		case p.name == "colr" && len(p.data) >= 4 && string(p.data[:4]) == "nclx":
		case !slices.Contains([]string{"av1C", "pixi", "auxC"}, p.name):
			return shape{}, fmt.Errorf("a property %q", p.name)
		}
	}
	return got, nil
}
