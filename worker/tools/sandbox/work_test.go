package sandbox

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// newFolder is a private folder that is gone after the test.
func newFolder(t *testing.T) *Folder {
	t.Helper()
	f, err := NewFolder(t.TempDir(), "test-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Remove()) })
	return f
}

// installed is the path of a program of the system.
func installed(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	require.NoError(t, err)
	return path
}

// Encoders start threads, map memory, ask for processors and reopen their output: all that must pass.
func TestEncodersWork(t *testing.T) {
	const source = "testsrc2=size=640x360:rate=30:duration=1"
	for name, args := range map[string]string{
		"h264.mp4": "-c:v libx264 -preset veryfast -pix_fmt yuv420p -threads 4 -c:a aac -movflags +faststart",
		"h265.mp4": "-c:v libx265 -preset ultrafast -pix_fmt yuv420p -tag:v hvc1 -c:a aac -movflags +faststart",
		"vp9.webm": "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -row-mt 1 -threads 4 -c:a libopus",
		"av1.mkv":  "-c:v libsvtav1 -preset 12 -c:a libopus",
		"hdr.mp4": "-vf setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc,zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709," +
			"tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p -c:v libx264 -preset ultrafast -an",
		"still.webp": "-frames:v 1 -c:v libwebp -an",
	} {
		t.Run(name, func(t *testing.T) {
			folder := newFolder(t)
			f, err := folder.Create(name)
			require.NoError(t, err)
			ffmpeg, path := installed(t, "ffmpeg"), f.Name()
			r := plenty()
			r.Write, r.Exec, r.Nice, r.Require = []string{path}, []string{ffmpeg}, 5, true
			full := strings.Fields("-nostdin -nostats -loglevel warning -f lavfi -i " + source + " -f lavfi -i sine=duration=1 " + args)
			c := start(t, r, Program{Name: ffmpeg, Args: append(full, "-y", path)})
			require.NoError(t, c.Wait(), c.Stderr())
			info, err := f.Stat()
			require.NoError(t, err)
			require.NotZero(t, info.Size())

			// What was made can be probed and decoded in a sandbox too.
			ffprobe := installed(t, "ffprobe")
			var out bytes.Buffer
			r = plenty()
			r.Read, r.Exec, r.Limits.FileBytes = []string{path}, []string{ffprobe}, 0
			c = start(t, r, Program{Name: ffprobe, Args: []string{"-v", "error", "-show_streams", path}, Stdout: &out})
			require.NoError(t, c.Wait(), c.Stderr())
			require.Contains(t, out.String(), "codec_name=")

			r.Exec = []string{ffmpeg}
			c = start(t, r, Program{Name: ffmpeg, Args: strings.Fields("-nostdin -v warning -threads 4 -i " + path + " -f null -")})
			require.NoError(t, c.Wait(), c.Stderr())
		})
	}
}
