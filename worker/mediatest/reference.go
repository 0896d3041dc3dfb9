package mediatest

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"testing"

	"github.com/stretchr/testify/require"
)

// Reference is what an independent program makes of a picture, of an animation its first frame: the vips program turns
// it upright and into sRGB, and shrinks it when it is longer than longEdge.
func Reference(t testing.TB, f File, longEdge int) *image.NRGBA {
	t.Helper()
	edge := fmt.Sprint(longEdge)
	args := []string{edge, "--height", edge, "--size", "down"}
	switch { // vips is to be told what numbers without a profile mean
	case f.CMYK:
		args = append(args, "--import-profile", "cmyk", "--export-profile", "srgb")
	case !f.Grey:
		args = append(args, "--import-profile", "srgb", "--export-profile", "srgb")
	}
	out := vips(t, f.Bytes, "thumbnail", "reference.png", "", args...)
	img, err := png.Decode(bytes.NewReader(out))
	require.NoError(t, err)
	return asNRGBA(img)
}
