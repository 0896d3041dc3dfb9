package vips

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"golang.org/x/image/webp"
)

// inspect looks at one output before it is believed: the child has decoded foreign bytes and may be theirs.
func inspect(f *os.File, preset Preset) (Output, error) {
	info, err := f.Stat()
	if err != nil {
		return Output{}, fmt.Errorf("look at the output: %w", err)
	}
	width, height, err := plainWebP(io.NewSectionReader(f, 0, info.Size()))
	if err == nil && max(width, height) > preset.LongEdge {
		err = fmt.Errorf("%d x %d", width, height)
	}
	if err != nil {
		return Output{}, &Undecodable{ReasonCrashed, fmt.Sprintf("the output for %s is wrong: %v", preset.Name, err)}
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, info.Size())); err != nil {
		return Output{}, fmt.Errorf("read the output: %w", err)
	}
	return Output{preset.Name, f, width, height, info.Size(), hex.EncodeToString(sum.Sum(nil))}, nil
}

// plainWebP returns the size of a still WebP that consists of picture data only: no metadata, no colour profile,
// no animation, nothing before or behind.
func plainWebP(r *io.SectionReader) (width, height int, err error) {
	head := make([]byte, 12)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, 0, err
	}
	if string(head[:4]) != "RIFF" || string(head[8:]) != "WEBP" || int64(binary.LittleEndian.Uint32(head[4:]))+8 != r.Size() {
		return 0, 0, fmt.Errorf("no WebP of %d bytes", r.Size())
	}
	for at := int64(12); at < r.Size(); {
		if _, err := r.ReadAt(head[:8], at); err != nil {
			return 0, 0, err
		}
		switch name := string(head[:4]); name {
		case "VP8 ", "VP8L", "VP8X", "ALPH":
		default:
			return 0, 0, fmt.Errorf("a chunk %q", name)
		}
		size := int64(binary.LittleEndian.Uint32(head[4:]))
		at += 8 + size + size%2
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return 0, 0, err
	}
	config, err := webp.DecodeConfig(bufio.NewReader(r))
	if err == nil && (config.Width < 1 || config.Height < 1) {
		err = fmt.Errorf("%d x %d", config.Width, config.Height)
	}
	return config.Width, config.Height, err
}
