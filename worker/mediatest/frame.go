package mediatest

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"testing"

	"github.com/stretchr/testify/require"
)

// Frame is the frame of a video that is seen after so many seconds, upright and in square pixels. HDR is mapped to
// the colours of ordinary screens when tone is true.
func Frame(t testing.TB, path string, seconds float64, tone bool) *image.NRGBA {
	t.Helper()
	filters := "scale=w='trunc(iw*if(sar,sar,1)+0.5)':h=ih"
	if tone {
		filters = "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0," +
			"zscale=t=bt709:m=bt709:r=tv,format=yuv420p," + filters
	}
	out := run(t, nil, "ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-ss", fmt.Sprint(seconds), "-i", path,
		"-map", "0:v:0", "-frames:v", "1", "-vf", filters, "-c:v", "png", "-pix_fmt", "rgb24", "-f", "image2pipe", "-")
	img, err := png.Decode(bytes.NewReader(out))
	require.NoError(t, err)
	return asNRGBA(img)
}
