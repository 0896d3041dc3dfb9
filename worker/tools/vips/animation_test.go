package vips

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/color"
	"image/color/palette"
	"image/draw"
	"image/gif"
	"image/png"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

var flags = []color.NRGBA{{204, 0, 0, 255}, {0, 0, 204, 255}, {0, 204, 0, 255}}

// animated is a GIF with one frame of each colour, 100 ms, 200 ms, 300 ms ... long, shown seven times; the upper
// left quarter is transparent.
func animated(t testing.TB, w, h int, colours ...color.NRGBA) []byte {
	t.Helper()
	g := gif.GIF{LoopCount: 6}
	for i, c := range colours {
		frame := image.NewPaletted(image.Rect(0, 0, w, h), append(color.Palette{color.NRGBA{}}, palette.WebSafe...))
		draw.Draw(frame, frame.Rect, image.NewUniform(c), image.Point{}, draw.Src)
		draw.Draw(frame, image.Rect(0, 0, w/2, h/2), image.Transparent, image.Point{}, draw.Src)
		g.Image, g.Delay, g.Disposal = append(g.Image, frame), append(g.Delay, 10*(i+1)), append(g.Disposal, gif.DisposalBackground)
	}
	var b bytes.Buffer
	require.NoError(t, gif.EncodeAll(&b, &g))
	return b.Bytes()
}

// frames has the vips program show all frames of an output, one below the other.
func frames(t testing.TB, o Output) image.Image {
	t.Helper()
	b, err := io.ReadAll(o.File)
	require.NoError(t, err)
	img, err := png.Decode(bytes.NewReader(converted(t, b, ".png", "copy-all")))
	require.NoError(t, err)
	require.Equal(t, image.Pt(o.Width, o.Height*o.Frames), img.Bounds().Size())
	return img
}

// An animation stays one: all frames, their times and the number of rounds.
func TestAnimations(t *testing.T) {
	r := runner(t, Config{})
	moving := animated(t, 400, 300, flags...)
	for name, picture := range map[string][]byte{"gif": moving, "webp": converted(t, moving, ".webp", "copy-all")} {
		t.Run(name, func(t *testing.T) {
			for _, o := range webps(t, r, picture, Preset{"large", 1000, 85, 2, FormatWebP}, Preset{"small", 160, 85, 2, FormatWebP}) {
				require.Equal(t, len(flags), o.Frames)
				img := frames(t, o)
				for i, c := range flags {
					frame := img.(*image.NRGBA).SubImage(image.Rect(0, i*o.Height, o.Width, (i+1)*o.Height))
					looksIn(t, frame, 75, 25, c)
					looksIn(t, frame, 75, 1, c)
					looksIn(t, frame, 75, 98, c)
					require.Zero(t, colourAt(frame, frame.Bounds().Min.X+o.Width/4, frame.Bounds().Min.Y+o.Height/4).A)
				}
				times, rounds := timing(t, o)
				require.Equal(t, []int{100, 200, 300}, times)
				require.Equal(t, 7, rounds)
			}
		})
	}
}

func TestAnimationLimits(t *testing.T) {
	picture := animated(t, 100, 100, flags...)
	make := func(c Config, frames int64) error {
		_, err := runner(t, c).WebPs(context.Background(), Picture{Bytes: bytes.NewReader(picture), Frames: frames}, small)
		return err
	}
	require.NoError(t, make(Config{MaxPixels: 30000, MaxFrames: 3}, 0))
	require.Equal(t, storage.ReasonPictureTooManyPixels.Slug, reason(t, make(Config{MaxPixels: 29999}, 0)))
	require.Equal(t, storage.ReasonPictureTooManyFrames.Slug, reason(t, make(Config{MaxFrames: 2}, 0)))
	require.Equal(t, storage.ReasonPictureTooManyFrames.Slug, reason(t, make(Config{MaxFrames: 2}, 3)))
}

// looksIn is looks for a part of an image.
func looksIn(t testing.TB, img image.Image, x, y int, want color.NRGBA) {
	t.Helper()
	b := img.Bounds()
	got := colourAt(img, b.Min.X+b.Dx()*x/100, b.Min.Y+b.Dy()*y/100)
	for _, pair := range [][2]uint8{{got.R, want.R}, {got.G, want.G}, {got.B, want.B}, {got.A, want.A}} {
		require.InDelta(t, pair[1], pair[0], 8, "at %d%%, %d%%: %v instead of %v", x, y, got, want)
	}
}

// timing reads the frames' milliseconds and the number of rounds from the file itself.
func timing(t testing.TB, o Output) (times []int, rounds int) {
	t.Helper()
	all, err := chunks(io.NewSectionReader(o.File, 12, o.Size-12))
	require.NoError(t, err)
	for _, c := range all {
		head := make([]byte, min(frameHead, c.data.Size()))
		_, err := c.data.ReadAt(head, 0)
		require.NoError(t, err)
		switch c.name {
		case "ANIM":
			rounds = int(binary.LittleEndian.Uint16(head[4:]))
		case "ANMF":
			times = append(times, uint24(head[12:]))
		}
	}
	return times, rounds
}
