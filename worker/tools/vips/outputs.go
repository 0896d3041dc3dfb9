package vips

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

// shape is what a picture file says of itself.
type shape struct{ width, height, frames int }

// inspect looks at one sealed output before it is believed. It leaves the file's position alone, and the File of the
// Output to be opened.
func inspect(f *os.File, preset Preset, facts Facts) (Output, error) {
	info, err := f.Stat()
	if err != nil {
		return Output{}, fmt.Errorf("look at the output: %w", err)
	}
	look := plainWebP
	if preset.Format == FormatAVIF {
		look = plainAVIF
	}
	got, err := look(io.NewSectionReader(f, 0, info.Size()))
	w, h := fit(facts.Width, facts.Height, preset.LongEdge)
	if err == nil && (got.width != w || got.height != h || got.frames > facts.Frames) {
		err = fmt.Errorf("%d x %d x %d instead of %d x %d x %d", got.width, got.height, got.frames, w, h, facts.Frames)
	}
	if err != nil {
		return Output{}, distrust(fmt.Errorf("output %s: %w", preset.Name, err))
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, info.Size())); err != nil {
		return Output{}, fmt.Errorf("read the output: %w", err)
	}
	return Output{
		Preset: preset.Name, Width: got.width, Height: got.height, Frames: got.frames, Size: info.Size(),
		SHA256: hex.EncodeToString(sum.Sum(nil)), MediaType: preset.Format.MediaType(), Ext: string(preset.Format),
	}, nil
}
