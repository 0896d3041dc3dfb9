package mediatest

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/image/webp"
)

// Animation is a WebP, decoded: each frame as it is seen, on the whole canvas. A still picture has one frame, no
// delays and no number of plays.
type Animation struct {
	Frames []*image.NRGBA
	Delays []time.Duration
	// Plays is how often all frames are played; 0 means forever.
	Plays int
	// Extras are the names of the chunks that are no part of the picture, such as metadata.
	Extras []string
}

// DecodeWebP decodes a still WebP.
func DecodeWebP(t testing.TB, file []byte) *image.NRGBA {
	t.Helper()
	a := ReadWebP(t, file)
	require.Empty(t, a.Delays, "an animation instead of a still picture")
	return a.Frames[0]
}

// ReadWebP decodes any WebP. A file that does not fit together fails the test.
func ReadWebP(t testing.TB, file []byte) Animation {
	t.Helper()
	var a Animation
	var canvas *image.NRGBA
	for i, c := range WebPChunks(t, file) {
		switch c.Name {
		case "VP8X":
			require.Zero(t, i)
			canvas = image.NewNRGBA(image.Rect(0, 0, readUint24(c.Content[4:])+1, readUint24(c.Content[7:])+1))
		case "ANIM":
			a.Plays = int(c.Content[4]) | int(c.Content[5])<<8
		case "ANMF":
			require.NotNil(t, canvas, "a frame without a canvas")
			a.add(t, canvas, c.Content)
		case "VP8 ", "VP8L", "ALPH":
		default:
			a.Extras = append(a.Extras, c.Name)
		}
	}
	if len(a.Frames) == 0 {
		a.Frames = append(a.Frames, decodeStill(t, file))
	}
	return a
}

// add draws one frame onto the canvas, keeps what is seen, and clears the frame's place if it says so.
func (a *Animation) add(t testing.TB, canvas *image.NRGBA, frame []byte) {
	t.Helper()
	require.Greater(t, len(frame), 16)
	at := image.Pt(2*readUint24(frame), 2*readUint24(frame[3:]))
	place := image.Rectangle{at, at.Add(image.Pt(readUint24(frame[6:])+1, readUint24(frame[9:])+1))}
	require.True(t, place.In(canvas.Rect), "a frame beyond the canvas: %v", place)
	chunks := chunksOf(t, frame[16:])
	for _, c := range chunks {
		if c.Name == "ALPH" { // opacity beside a lossy picture needs the header that says so
			size := append(uint24(place.Dx()-1), uint24(place.Dy()-1)...)
			chunks = append([]Chunk{{"VP8X", append([]byte{1 << 4, 0, 0, 0}, size...)}}, chunks...)
			break
		}
	}
	img := decodeStill(t, webpFile(chunks...))
	require.Equal(t, place.Size(), img.Rect.Size(), "a frame of another size than it says")
	op := draw.Over
	if frame[15]&2 != 0 {
		op = draw.Src
	}
	draw.Draw(canvas, place, img, image.Point{}, op)
	a.Delays = append(a.Delays, time.Duration(readUint24(frame[12:]))*time.Millisecond)
	seen := image.NewNRGBA(canvas.Rect)
	copy(seen.Pix, canvas.Pix)
	a.Frames = append(a.Frames, seen)
	if frame[15]&1 != 0 {
		draw.Draw(canvas, place, image.Transparent, image.Point{}, draw.Src)
	}
}

func decodeStill(t testing.TB, file []byte) *image.NRGBA {
	t.Helper()
	img, err := webp.Decode(bytes.NewReader(file))
	require.NoError(t, err)
	return asNRGBA(img)
}

// asNRGBA gives any picture the kind that the comparisons read.
func asNRGBA(img image.Image) *image.NRGBA {
	b := img.Bounds()
	out := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	switch m := img.(type) {
	case *image.NRGBA:
		if m.Rect.Min == (image.Point{}) {
			return m
		}
	case *image.YCbCr:
		eachPixel(out, func(x, y int) color.NRGBA { return television(m.YCbCrAt(b.Min.X+x, b.Min.Y+y), 255) })
		return out
	case *image.NYCbCrA:
		eachPixel(out, func(x, y int) color.NRGBA {
			return television(m.YCbCrAt(b.Min.X+x, b.Min.Y+y), m.NYCbCrAAt(b.Min.X+x, b.Min.Y+y).A)
		})
		return out
	}
	draw.Draw(out, out.Rect, img, b.Min, draw.Src)
	return out
}

func eachPixel(out *image.NRGBA, at func(x, y int) color.NRGBA) {
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			out.SetNRGBA(x, y, at(x, y))
		}
	}
}

// television is the colour of a lossy WebP's sample. Go's decoder hands the samples out right but takes them for
// those of a JPEG; WebP's have the range of television (BT.601, 16 to 235).
func television(c color.YCbCr, alpha uint8) color.NRGBA {
	luma, cb, cr := 1.164*(float64(c.Y)-16), float64(c.Cb)-128, float64(c.Cr)-128
	level := func(v float64) uint8 { return uint8(max(0, min(255, v+0.5))) }
	return color.NRGBA{level(luma + 1.596*cr), level(luma - 0.813*cr - 0.392*cb), level(luma + 2.017*cb), alpha}
}
