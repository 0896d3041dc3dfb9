package vips

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/image/webp"
)

// The flags in the first byte of a VP8X chunk (developers.google.com/speed/webp/docs/riff_container).
const (
	vp8xAnimation = 0x02
	vp8xAlpha     = 0x10
)

// frameHead is what an ANMF chunk has before the frame's own chunks.
const frameHead = 16

// chunk is one RIFF chunk; its data begins at the start of the section.
type chunk struct {
	name string
	data *io.SectionReader
}

// chunks reads the chunks of a section to its very end, few enough to hold.
func chunks(r *io.SectionReader) ([]chunk, error) {
	const most = 4096 // three a frame, and defaultMaxFrames
	var all []chunk
	head := make([]byte, 8)
	for at := int64(0); at < r.Size(); {
		if _, err := r.ReadAt(head, at); err != nil {
			return nil, fmt.Errorf("half a chunk: %w", err)
		}
		size := int64(binary.LittleEndian.Uint32(head[4:]))
		all = append(all, chunk{string(head[:4]), io.NewSectionReader(r, at+8, size)})
		at += 8 + size + size%2
		if at > r.Size() || len(all) > most {
			return nil, fmt.Errorf("a chunk %q of %d bytes", head[:4], size)
		}
	}
	return all, nil
}

// plainWebP returns the shape of a WebP that consists of picture data only: no metadata, no colour profile, nothing
// before or behind.
func plainWebP(r *io.SectionReader) (shape, error) {
	head := make([]byte, 12)
	if _, err := r.ReadAt(head, 0); err != nil {
		return shape{}, err
	}
	if string(head[:4]) != "RIFF" || string(head[8:]) != "WEBP" || int64(binary.LittleEndian.Uint32(head[4:]))+8 != r.Size() {
		return shape{}, fmt.Errorf("no WebP of %d bytes", r.Size())
	}
	all, err := chunks(io.NewSectionReader(r, 12, r.Size()-12))
	if err != nil {
		return shape{}, err
	}
	if len(all) == 0 || all[0].name != "VP8X" {
		return plainFrame(all)
	}
	canvas := make([]byte, 10)
	if all[0].data.Size() != int64(len(canvas)) {
		return shape{}, errors.New("a long VP8X")
	}
	if _, err := all[0].data.ReadAt(canvas, 0); err != nil {
		return shape{}, err
	}
	want := shape{1 + uint24(canvas[4:]), 1 + uint24(canvas[7:]), 1}
	switch canvas[0] &^ vp8xAlpha {
	case 0:
		got, err := plainFrame(all[1:])
		if err == nil && got != want {
			err = fmt.Errorf("%v on a canvas of %v", got, want)
		}
		return want, err
	case vp8xAnimation:
		want.frames, err = plainAnimation(all[1:], want)
		return want, err
	}
	return shape{}, fmt.Errorf("flags %#x", canvas[0])
}

// plainAnimation counts the frames, each of which lies on the canvas.
func plainAnimation(all []chunk, canvas shape) (int, error) {
	if len(all) < 2 || all[0].name != "ANIM" || all[0].data.Size() != 6 {
		return 0, errors.New("no ANIM with frames behind it")
	}
	for _, c := range all[1:] {
		if c.name != "ANMF" || c.data.Size() < frameHead {
			return 0, fmt.Errorf("a chunk %q of %d bytes", c.name, c.data.Size())
		}
		head := make([]byte, frameHead)
		if _, err := c.data.ReadAt(head, 0); err != nil {
			return 0, err
		}
		inside, err := chunks(io.NewSectionReader(c.data, frameHead, c.data.Size()-frameHead))
		if err != nil {
			return 0, err
		}
		got, err := plainFrame(inside)
		if err != nil {
			return 0, err
		}
		x, y := 2*uint24(head), 2*uint24(head[3:])
		if got != (shape{1 + uint24(head[6:]), 1 + uint24(head[9:]), 1}) || x+got.width > canvas.width || y+got.height > canvas.height {
			return 0, fmt.Errorf("a frame %v at %d, %d on %v", got, x, y, canvas)
		}
	}
	return len(all) - 1, nil
}

// plainFrame takes the chunks of one picture: its data, and before it perhaps its opacity.
func plainFrame(all []chunk) (shape, error) {
	if len(all) == 2 && all[0].name == "ALPH" && all[1].name == "VP8 " {
		all = all[1:]
	}
	if len(all) != 1 || all[0].name != "VP8 " && all[0].name != "VP8L" {
		return shape{}, fmt.Errorf("%d unexpected chunks", len(all))
	}
	head := make([]byte, 20, 20+30) // "RIFF", size, "WEBP", name, size, then the first bytes of the data
	copy(head, "RIFF\x00\x00\x00\x00WEBP")
	copy(head[12:], all[0].name)
	size := uint32(all[0].data.Size())
	binary.LittleEndian.PutUint32(head[4:], 12+size)
	binary.LittleEndian.PutUint32(head[16:], size)
	data := make([]byte, min(30, all[0].data.Size()))
	if _, err := all[0].data.ReadAt(data, 0); err != nil {
		return shape{}, err
	}
	config, err := webp.DecodeConfig(bytes.NewReader(append(head, data...)))
	if err == nil && (config.Width < 1 || config.Height < 1) {
		err = fmt.Errorf("%d x %d", config.Width, config.Height)
	}
	return shape{config.Width, config.Height, 1}, err
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
