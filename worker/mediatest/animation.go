package mediatest

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The animations have three frames. The first fills all but one transparent quarter. The second paints a smaller
// patch of blue into the middle of the upper left quarter and goes, leaving what was there before (GIF) or nothing
// (WebP). The third paints a patch into the lower right quarter. They play three times.
var (
	delays = []time.Duration{100 * time.Millisecond, 250 * time.Millisecond, 700 * time.Millisecond}
	plays  = 3
)

// AnimatedGIF has transparency, disposal, delays that differ, and a number of plays.
func AnimatedGIF(t testing.TB, w, h int) File {
	t.Helper()
	p := color.Palette{Clear, Red, Green, Blue, Yellow}
	first := image.NewPaletted(image.Rect(0, 0, w, h), p)
	for y := range h {
		for x := range w {
			first.SetColorIndex(x, y, [2][2]uint8{{1, 2}, {4, 0}}[min(1, 2*y/h)][min(1, 2*x/w)])
		}
	}
	patch := func(at image.Rectangle, index uint8) *image.Paletted {
		img := image.NewPaletted(at, p)
		for i := range img.Pix {
			img.Pix[i] = index
		}
		return img
	}
	g := &gif.GIF{
		Image:     []*image.Paletted{first, patch(upperLeft(w, h), 3), patch(lowerRight(w, h), 1)},
		Disposal:  []byte{gif.DisposalNone, gif.DisposalPrevious, gif.DisposalNone},
		LoopCount: plays - 1, // a GIF says how often it is repeated
		Config:    image.Config{ColorModel: p, Width: w, Height: h},
	}
	for _, d := range delays {
		g.Delay = append(g.Delay, int(d/(10*time.Millisecond)))
	}
	var b bytes.Buffer
	require.NoError(t, gif.EncodeAll(&b, g))
	return File{
		Name: "gif-animated", Ext: "gif", Width: w, Height: h, Alpha: true, Bytes: b.Bytes(), Delays: delays, Plays: plays,
		Spots: spots(12, Red, Green, Clear, Yellow),
		FrameSpots: [][]Spot{
			spots(12, Red, Green, Clear, Yellow), spots(12, Blue, Green, Clear, Yellow), spots(12, Red, Green, Red, Yellow),
		},
	}
}

// AnimatedWebP is the same with lossless frames, made chunk by chunk.
func AnimatedWebP(t testing.TB, w, h int) File {
	t.Helper()
	half := color.NRGBA{Yellow.R, Yellow.G, Yellow.B, 128}
	const keep, drop, blend, replace = 0, 1, 0, 2 // bits of a frame's flags
	frames := []Chunk{
		webpFrame(t, quarters(w, h, Red, Green, Clear, half), image.Point{}, delays[0], keep|replace),
		webpFrame(t, filled(upperLeft(w, h), Blue), upperLeft(w, h).Min, delays[1], drop|blend),
		webpFrame(t, filled(lowerRight(w, h), Red), lowerRight(w, h).Min, delays[2], keep|blend),
	}
	return File{
		Name: "webp-animated", Ext: "webp", Width: w, Height: h, Alpha: true, Delays: delays, Plays: plays,
		Spots: spots(12, Red, Green, Clear, half),
		FrameSpots: [][]Spot{
			spots(12, Red, Green, Clear, half), spots(12, Blue, Green, Clear, half), spots(12, Clear, Green, Red, half),
		},
		Bytes: animatedWebP(w, h, plays, frames),
	}
}

// Patches begin at even places: WebP can say no others.
func upperLeft(w, h int) image.Rectangle {
	return image.Rect(w/8&^1, h/8&^1, w*3/8, h*3/8)
}

func lowerRight(w, h int) image.Rectangle {
	return image.Rect(w*5/8&^1, h*5/8&^1, w*7/8, h*7/8)
}

func filled(r image.Rectangle, c color.NRGBA) *image.NRGBA {
	return quarters(r.Dx(), r.Dy(), c, c, c, c)
}

// animatedWebP puts frames into a file.
func animatedWebP(w, h, plays int, frames []Chunk) []byte {
	const animation, alpha = 1 << 1, 1 << 4
	header := slices.Concat([]byte{animation | alpha, 0, 0, 0}, uint24(w-1), uint24(h-1))
	chunks := []Chunk{{"VP8X", header}, {"ANIM", []byte{0, 0, 0, 0, byte(plays), byte(plays >> 8)}}}
	return webpFile(append(chunks, frames...)...)
}

// webpFrame is one frame, losslessly.
func webpFrame(t testing.TB, img *image.NRGBA, at image.Point, delay time.Duration, flags byte) Chunk {
	t.Helper()
	still := vips(t, encodePNG(t, img), "webpsave", "frame.webp", "", "--lossless", "--strip")
	content := slices.Concat(uint24(at.X/2), uint24(at.Y/2), uint24(img.Rect.Dx()-1), uint24(img.Rect.Dy()-1),
		uint24(int(delay/time.Millisecond)), []byte{flags})
	for _, c := range WebPChunks(t, still) {
		if c.Name != "VP8X" {
			content = appendChunk(content, c)
		}
	}
	return Chunk{"ANMF", content}
}
