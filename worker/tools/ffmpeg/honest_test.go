package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCopiesOnlyWhatIsHonest has pictures that a copy would show other than they are, or more of.
func TestCopiesOnlyWhatIsHonest(t *testing.T) {
	r := runner(t, Config{})
	plain := clip(t, "plain.mp4", lavfi+"testsrc2=s=640x360:r=30:d=4"+x264+"-bf 0 -g 30")
	h265 := clip(t, "h265.mp4", lavfi+"testsrc2=s=320x180:r=30:d=1 -c:v libx265 -preset ultrafast -pix_fmt yuv420p -x265-params log-level=error")
	for name, row := range map[string]struct {
		path   string
		codec  Codec
		copied bool
	}{
		"plain":                    {plain, H264, true},
		"H.265":                    {h265, H265, true},
		"cropped by a few rows":    {clip(t, "in.mp4", lavfi+"testsrc2=s=640x362:r=30:d=1"+x264), H264, true},
		"end cut off":              {withEdit(t, plain, 1000), H264, false},
		"cropped":                  {clip(t, "in.mp4", "-i "+plain+" -c copy -bsf:v h264_metadata=crop_right=320:crop_bottom=180"), H264, false},
		"parameters in between":    {twoSizes(t), H264, false},
		"H.265, the same":          {clip(t, "in.mp4", "-i "+h265+" -c copy -bsf:v hevc_mp4toannexb -tag:v hev1"), H265, false},
		"repeated in each picture": {clip(t, "in.mkv", lavfi+"testsrc2=s=320x180:r=30:d=1"+x264+"-x264-params repeat-headers=1"), H264, false},
	} {
		t.Run(name, func(t *testing.T) {
			v := open(t, r, row.path)
			p := full
			p.Codec, p.MaxRate = row.codec, 20_000_000
			require.True(t, v.media.plan(p.withDefaults()).copyVideo, "its header is that of one to copy")
			m := transcode(t, v, p)
			require.Equal(t, row.copied, m.Remuxed)
			require.InDelta(t, v.media.used.Seconds(), m.Duration.Seconds(), 0.2)
		})
	}
}

// withEdit shortens the only edit of a film to so many milliseconds of its header's clock.
func withEdit(t testing.TB, film string, length uint32) string {
	t.Helper()
	b, err := os.ReadFile(film)
	require.NoError(t, err)
	at := bytes.Index(b, []byte("elst"))
	require.Positive(t, at)
	binary.BigEndian.PutUint32(b[at+12:], length)
	path := filepath.Join(t.TempDir(), "in.mp4")
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return path
}

// twoSizes is a film whose second half has another size, as only its pictures say.
func twoSizes(t testing.TB) string {
	t.Helper()
	var all []byte
	for _, size := range []string{"320x240", "160x120"} {
		b, err := os.ReadFile(clip(t, "half.h264", lavfi+"testsrc2=r=30:d=1:s="+size+x264+"-bf 0"))
		require.NoError(t, err)
		all = append(all, b...)
	}
	path := filepath.Join(t.TempDir(), "both.h264")
	require.NoError(t, os.WriteFile(path, all, 0o600))
	return clip(t, "in.mp4", "-r 30 -i "+path+" -c copy -tag:v avc3")
}

func TestParameterSets(t *testing.T) {
	require.Equal(t, []byte{1, 0x64, 0, 10, 0xff, 0xe2}, dumped("\n00000000: 0164 000a ffe2                         .d....\n"))
	require.Equal(t, 2, parameterSets("h264", []byte{1, 0x64, 0, 10, 0xff, 0xe2}))
	require.Zero(t, parameterSets("h264", []byte{0, 0, 0, 1, 0x67, 0x64}))
	hevc := append(append([]byte{1}, make([]byte, 21)...), 2, 32, 0, 1, 0, 1, 9, 33, 0, 2, 0, 1, 9, 0, 0)
	require.Equal(t, 2, parameterSets("hevc", hevc))
	for cut := range hevc {
		require.LessOrEqual(t, parameterSets("hevc", hevc[:cut]), 2)
	}
}
