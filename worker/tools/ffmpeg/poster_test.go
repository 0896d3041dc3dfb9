package ffmpeg

import (
	"image"
	"testing"

	"github.com/stretchr/testify/require"
)

func poster(t testing.TB, v *Video) image.Image {
	t.Helper()
	f, err := v.Poster(t.Context())
	require.NoError(t, err)
	defer f.Close()
	return decodePNG(t, f)
}

// TestPosterIsNotBlack has black where a poster is usually taken from.
func TestPosterIsNotBlack(t *testing.T) {
	r := runner(t, Config{})
	for name, row := range map[string]string{
		"black key frame, then red": "color=black:s=320x180:r=10:d=1[a];color=red:s=320x180:r=10:d=1[b];[a][b]concat -g 999",
		"all key frames":            "color=black:s=320x180:r=10:d=1[a];color=red:s=320x180:r=10:d=0.3[b];[a][b]concat -g 1",
		"late":                      "color=black:s=320x180:r=2:d=70[a];color=red:s=320x180:r=2:d=40[b];[a][b]concat -g 40",
		"at the end":                "color=black:s=320x180:r=2:d=90[a];color=red:s=320x180:r=2:d=8[b];[a][b]concat -g 9999",
	} {
		t.Run(name, func(t *testing.T) {
			v := open(t, r, clip(t, "in.mp4", lavfi+row+" -sc_threshold 0"+x264))
			near(t, poster(t, v), 0.5, 0.5, red, 12)
		})
	}
	t.Run("all black", func(t *testing.T) {
		v := open(t, r, clip(t, "in.mp4", lavfi+"color=black:s=320x180:r=2:d=2"+x264))
		require.Equal(t, image.Pt(320, 180), poster(t, v).Bounds().Size())
	})
}

// TestPosterIsRepresentative has a flash among many alike frames.
func TestPosterIsRepresentative(t *testing.T) {
	in := clip(t, "in.mp4", lavfi+"color=white:s=320x180:r=10:d=0.1[a];color=blue:s=320x180:r=10:d=2[b];[a][b]concat -g 1"+x264)
	near(t, poster(t, open(t, runner(t, Config{}), in)), 0.5, 0.5, blue, 12)
}

func TestPosterOfLargePortrait(t *testing.T) {
	in := clip(t, "in.mp4", lavfi+"testsrc2=s=1440x2560:r=5:d=0.4"+x264)
	require.Equal(t, image.Pt(1080, 1920), poster(t, open(t, runner(t, Config{}), in)).Bounds().Size())
}
