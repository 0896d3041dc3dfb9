package trailer

import (
	"cmp"
	"encoding/binary"
	"slices"

	"gatehouse/gateway/intake/window"
)

// sefBlock is one entry of Samsung's directory: a small header with a name, then data.
type sefBlock struct{ from, to int64 }

// samsung reads the trailer of Samsung phones: named blocks, then a directory from SEFH that tells how far back
// each block begins and how long it is, the directory's length, and SEFT. All numbers are little-endian.
func samsung(w *window.Reader, from, to, _ int64) (int64, Finding, error) {
	b, err := tail(w, from, to, 8)
	if err != nil || len(b) < 8 || string(b[4:]) != "SEFT" {
		return to, Finding{}, err
	}
	length := int64(binary.LittleEndian.Uint32(b))
	directory := to - 8 - length
	if length < 12 || length > 12+12*255 || directory < from {
		return to, Finding{}, nil
	}
	if b, err = w.View(directory, int(length)); err != nil {
		return 0, Finding{}, err
	}
	if string(b[:4]) != "SEFH" || int64(binary.LittleEndian.Uint32(b[8:]))*12+12 != length {
		return to, Finding{}, nil
	}
	var blocks []sefBlock
	for e := b[12:]; len(e) >= 12; e = e[12:] {
		start := directory - int64(binary.LittleEndian.Uint32(e[4:]))
		end := start + int64(binary.LittleEndian.Uint32(e[8:]))
		if start < from || end > directory || end-start < 8 {
			return to, Finding{}, nil
		}
		blocks = append(blocks, sefBlock{start, end})
	}
	return sefBlocks(w, directory, to, blocks)
}

// sefBlocks checks that the blocks follow each other up to the directory, and what is in each.
func sefBlocks(w *window.Reader, directory, to int64, blocks []sefBlock) (int64, Finding, error) {
	slices.SortFunc(blocks, func(a, b sefBlock) int { return cmp.Compare(a.from, b.from) })
	start := directory
	for i, block := range blocks {
		next := directory
		if i+1 < len(blocks) {
			next = blocks[i+1].from
		}
		if block.to > next {
			return to, Finding{}, nil
		}
		if gap, err := skipPadding(w, block.to, next); err != nil || gap < next {
			return to, Finding{}, err
		}
		if f, err := sefContent(w, block); err != nil || f.Kind != Clean {
			return to, f, err
		}
		start = min(start, block.from)
	}
	return start, Finding{}, nil
}

// sefContent judges one block: a video must be one, pictures and notes must not be something else.
func sefContent(w *window.Reader, block sefBlock) (Finding, error) {
	b, err := w.View(block.from, 8)
	if err != nil {
		return Finding{}, err
	}
	length := int64(binary.LittleEndian.Uint32(b[4:]))
	if length > 256 || length > block.to-block.from-8 {
		return refuse(w, block.from, block.to)
	}
	if b, err = w.View(block.from+8, int(length)); err != nil {
		return Finding{}, err
	}
	motion := string(b) == "MotionPhoto_Data"
	from := block.from + 8 + length
	if from == block.to {
		return Finding{}, nil
	}
	if b, err = w.View(from, int(min(3, block.to-from))); err != nil {
		return Finding{}, err
	}
	switch {
	case hasVideoBrand(w, from):
		return motionVideo(w, from, block.to)
	case string(b) == "mpv" && block.to-from <= 64:
		return Finding{}, nil // a pointer to the video, which is elsewhere
	case motion:
		return refuse(w, from, block.to)
	case string(b) == "\xff\xd8\xff":
		return Finding{}, nil // a second picture; hiddenAnywhere has been through it
	}
	return classify(w, from, block.to)
}
