package mediatest

import (
	"testing"
	"time"
)

// File is a picture made for a test, and what is true of it.
type File struct {
	// Name tells kinds apart; Ext has no dot.
	Name, Ext string
	Bytes     []byte
	// Width and Height are those that a viewer shows: upright.
	Width, Height int
	// Alpha tells that something is transparent.
	Alpha bool
	// CMYK tells that the colours are those of a printer, Grey that there are none.
	CMYK, Grey bool
	// Spots are the colours of the picture, of an animation those of its first frame.
	Spots []Spot
	// Of an animation: how long each frame is shown, the colours of each, and how often all are played.
	Delays     []time.Duration
	FrameSpots [][]Spot
	Plays      int
}

// Frames is the number of frames.
func (f File) Frames() int { return max(1, len(f.Delays)) }

// The sizes of most pictures of the list. Landscape when upright, so that a picture that was not turned is seen.
const (
	listWidth, listHeight = 900, 600
)

// Pictures is every kind of picture that must come out right.
func Pictures(t testing.TB) []File {
	t.Helper()
	const w, h = listWidth, listHeight
	list := []File{
		ProgressiveJPEG(t, w, h), CMYK(t, w, h, true), CMYK(t, w, h, false), DisplayP3(t, w, h),
		PNG16(t, w, h), PalettePNG(t, w, h), GreyAlphaPNG(t, w, h), Screenshot(t, 2560, 1440),
		AnimatedGIF(t, w, h), AnimatedWebP(t, w, h), AVIF(t, w, h), HEICSaidTwice(t, w, h, 6), HEICSaidTwice(t, w, h, 3),
		PhotoFile(t, 2400, 1600, 1), PhotoFile(t, 2400, 1600, 6),
	}
	for orientation := 1; orientation <= 8; orientation++ {
		list = append(list, JPEG(t, w, h, orientation), HEIC(t, w, h, orientation))
	}
	return list
}
