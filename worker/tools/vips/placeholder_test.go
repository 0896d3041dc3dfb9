package vips

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/draw"
	"testing"

	"github.com/stretchr/testify/require"
	"go.n16f.net/thumbhash"
)

func factsOf(t testing.TB, r *Runner, picture []byte) Facts {
	t.Helper()
	var facts []Facts
	require.NoError(t, r.Make(context.Background(), Picture{Bytes: bytes.NewReader(picture)}, small, func(f Facts) error {
		facts = append(facts, f)
		return nil
	}, func(Output) error {
		require.Len(t, facts, 1, "facts come before outputs")
		return nil
	}))
	require.Len(t, facts, 1)
	return facts[0]
}

func TestFacts(t *testing.T) {
	r := runner(t, Config{})
	mostly := image.NewNRGBA(image.Rect(0, 0, 900, 600))
	draw.Draw(mostly, mostly.Rect, image.NewUniform(color.NRGBA{10, 200, 90, 255}), image.Point{}, draw.Src)
	draw.Draw(mostly, image.Rect(0, 0, 300, 600), image.NewUniform(red), image.Point{}, draw.Src)

	f := factsOf(t, r, asPNG(t, mostly))
	require.Equal(t, [3]int{900, 600, 1}, [3]int{f.Width, f.Height, f.Frames})
	require.Equal(t, "#0ac85a", f.DominantColor)
	hash, err := thumbhash.DecodeImage(f.ThumbHash)
	require.NoError(t, err)
	b := hash.Bounds()
	require.Greater(t, b.Dx(), b.Dy())
	left := color.NRGBAModel.Convert(hash.At(b.Dx()/8, b.Dy()/2)).(color.NRGBA)
	right := color.NRGBAModel.Convert(hash.At(b.Dx()*7/8, b.Dy()/2)).(color.NRGBA)
	require.Greater(t, left.R, left.G)
	require.Greater(t, right.G, right.R)

	turned := factsOf(t, r, withSegment(asJPEG(t, mostly), 0xe1, exif(6)))
	require.Equal(t, [3]int{600, 900, 1}, [3]int{turned.Width, turned.Height, turned.Frames})

	// What nobody can see counts neither as a colour nor as a shadow.
	draw.Draw(mostly, image.Rect(300, 0, 900, 600), image.NewUniform(color.NRGBA{0, 0, 255, 0}), image.Point{}, draw.Src)
	clear := factsOf(t, r, asPNG(t, mostly))
	require.Equal(t, "#dc1e1e", clear.DominantColor)
	draw.Draw(mostly, mostly.Rect, image.Transparent, image.Point{}, draw.Src)
	require.Equal(t, "#808080", factsOf(t, r, asPNG(t, mostly)).DominantColor)

	moving := factsOf(t, r, animated(t, 40, 30, flags...))
	require.Equal(t, [3]int{40, 30, 3}, [3]int{moving.Width, moving.Height, moving.Frames})
	require.Equal(t, "#cc0000", moving.DominantColor)

	single := factsOf(t, r, asPNG(t, image.NewGray(image.Rect(0, 0, 1, 1))))
	require.Equal(t, "#000000", single.DominantColor)
}
