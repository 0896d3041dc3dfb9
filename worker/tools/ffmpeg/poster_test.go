package ffmpeg

import (
	"bytes"
	"image"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
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

// TestPosterOfWhatIsTooDear has minutes of black key frames: each search for a bright one takes more than a look may,
// the first frame does not.
func TestPosterOfWhatIsTooDear(t *testing.T) {
	second := clip(t, "second.mp4", lavfi+"color=black:s=1920x1080:r=60:d=1 -g 1"+x264)
	in := clip(t, "in.mp4", "-stream_loop 99 -i "+second+" -c copy")
	v := open(t, runner(t, Config{Limits: Limits{CPU: lookPart * time.Second}}), in)
	_, err := v.look(t.Context(), v.r.cfg.Limits.looks(v.media.duration)[0])
	unplayable(t, err, storage.ReasonVideoTooSlow)
	require.Equal(t, image.Pt(1920, 1080), poster(t, v).Bounds().Size())
}

// TestPosterOfNothing has a header that promises frames, and none.
func TestPosterOfNothing(t *testing.T) {
	in := clip(t, "in.mp4", lavfi+"testsrc2=s=320x180:r=30:d=2"+x264)
	v := open(t, runner(t, Config{}), in)
	b, err := os.ReadFile(v.in.path)
	require.NoError(t, err)
	media := bytes.Index(b, []byte("mdat"))
	require.NoError(t, os.WriteFile(v.in.path, append(bytes.Clone(b[:media+4]), make([]byte, len(b)-media-4)...), 0o600))
	_, err = v.Poster(t.Context())
	unplayable(t, err, storage.ReasonVideoDamaged)
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
