package ffmpeg

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	lavfi = "-f lavfi -i "
	tone  = " -f lavfi -i sine=d=1 "
	x264  = " -c:v libx264 -preset ultrafast -pix_fmt yuv420p "
)

func TestCopiesWhatIsWebReady(t *testing.T) {
	in := clip(t, "in.mp4", lavfi+"testsrc2=s=640x360:r=30:d=1"+tone+x264+"-bf 2 -c:a aac -metadata title=S3CRET -metadata:s:v title=S3CRET -metadata location=+48.1+11.5/")
	v := open(t, runner(t, Config{}), in)
	require.Equal(t, "h264", v.Facts().VideoCodec)
	m := transcode(t, v, full)
	require.True(t, m.Remuxed)
	require.Equal(t, 640, m.Width)
	require.InDelta(t, time.Second, m.Duration, float64(100*time.Millisecond))
	alike(t, frame(t, in, "0.5", "null"), frame(t, m.path, "0.5", "null"), 0.01)
}
