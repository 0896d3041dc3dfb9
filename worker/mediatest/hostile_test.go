package mediatest

import (
	"bytes"
	"image"
	_ "image/gif"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/image/webp"
)

func TestFloodsAreSmallAndTrue(t *testing.T) {
	for _, f := range Floods(t) {
		require.Less(t, len(f.Bytes), 3<<20, f.Name)
		require.Greater(t, f.Width*f.Height*f.Frames, 100_000_000, f.Name)
	}
	// What does not need the memory of a flood is decoded to its end.
	_, err := png.Decode(bytes.NewReader(FloodPNG(t, 1000, 1500)))
	require.NoError(t, err)
	img, err := webp.Decode(bytes.NewReader(floodWebP(200, 100)))
	require.NoError(t, err)
	require.Equal(t, image.Pt(200, 100), img.Bounds().Size())
	_, _, err = image.Decode(bytes.NewReader(floodGIF(100, 100, 1, 3)))
	require.NoError(t, err)
	require.Len(t, ReadWebP(t, floodAnimatedWebP(100, 100, 3)).Frames, 3)
}

// Some disguises must reach the planted file where nobody takes care; else they prove nothing.
func TestDisguisesBiteWhoTakesNoCare(t *testing.T) {
	planted := Video(t, Plain).Path
	careless := map[string][]string{
		"hls": nil, "hls-bare-path": nil, "ffconcat": {"-safe", "0"},
		"external-dref": {"-enable_drefs", "1", "-use_absolute_path", "1"},
	}
	for _, d := range VideoDisguises(t, planted) {
		options, bites := careless[d.Name]
		if !bites {
			continue
		}
		in, out := filepath.Join(t.TempDir(), "x."+d.Ext), filepath.Join(t.TempDir(), "out.png")
		require.NoError(t, os.WriteFile(in, d.Bytes, 0o600))
		said, err := exec.Command("ffmpeg", append(append([]string{"-nostdin", "-v", "error"}, options...), "-i", in, "-frames:v", "1", out)...).CombinedOutput()
		require.NoError(t, err, "%s: %s", d.Name, said)
		Looks(t, decodePNG(t, readFile(t, out)), quarterSpots(16))
		delete(careless, d.Name)
	}
	require.Empty(t, careless, "disguises that are not there")
}

func TestMutantsAreManyAndTheSameEachTime(t *testing.T) {
	for _, s := range append(PictureSeeds(t), VideoSeeds(t)...) {
		require.Less(t, len(s.Bytes), 64<<10, s.Name)
		require.GreaterOrEqual(t, len(pieces(s.Bytes)), 3, "the parts of %s", s.Name)
		distinct := map[string]bool{}
		for i, m := range Mutants(s.Bytes, 500, 7) {
			distinct[string(m)] = true
			if i == 123 {
				for j, again := range Mutants(s.Bytes, 124, 7) {
					if j == 123 {
						require.Equal(t, m, again)
					}
				}
			}
		}
		require.Len(t, distinct, 500, s.Name)
		require.False(t, distinct[string(s.Bytes)], "not all are changed: %s", s.Name)
	}
}

func decodePNG(t *testing.T, b []byte) *image.NRGBA {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(b))
	require.NoError(t, err)
	return asNRGBA(img)
}

func TestTruncationsAreCutPoints(t *testing.T) {
	for _, size := range []int{1, 100, 1000, 100_000} {
		n := 0
		distinct := map[int]bool{}
		for length, b := range Truncations(make([]byte, size)) {
			require.Len(t, b, length)
			require.Less(t, length, size)
			distinct[length] = true
			n++
		}
		require.Equal(t, CutPoints, n)
		if size >= 1000 {
			require.GreaterOrEqual(t, len(distinct), CutPoints-1)
		}
	}
}
