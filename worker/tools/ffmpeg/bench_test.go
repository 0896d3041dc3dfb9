package ffmpeg

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	graph "github.com/u2takey/ffmpeg-go"
)

// BenchmarkTranscode runs the same arguments with and without what is around them: sandbox, checks, digest.
func BenchmarkTranscode(b *testing.B) {
	in := clip(b, "in.mp4", lavfi+"testsrc2=s=1280x720:r=30:d=5,noise=alls=10:allf=t -c:v libx264 -preset ultrafast -pix_fmt yuv422p")
	v := open(b, runner(b, Config{}), in)
	preset := Preset{Name: "h264", Codec: H264, LongEdge: 1920}
	to := filepath.Join(b.TempDir(), "out.mp4")
	args, err := defaultLimits.arguments(func() *graph.Stream {
		p := v.media.plan(preset.withDefaults())
		return p.transcode(v.in, v.media, v.r.cfg.Limits, v.r.cfg.Threads, to)
	})
	require.NoError(b, err)
	var ours, theirs time.Duration
	for b.Loop() {
		began := time.Now()
		out, err := v.Transcode(b.Context(), preset, nil)
		require.NoError(b, err)
		ours += time.Since(began)
		require.NoError(b, out.File.Close())

		began = time.Now()
		require.NoError(b, exec.Command("nice", append([]string{"-n", "19", v.r.cfg.FFmpeg}, args...)...).Run())
		theirs += time.Since(began)
	}
	b.ReportMetric(ours.Seconds()/float64(b.N), "s/ours")
	b.ReportMetric(theirs.Seconds()/float64(b.N), "s/by-hand")
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "ours/by-hand")
	b.ReportMetric(0, "ns/op") // both together say nothing
}

// BenchmarkRemux is dominated by starting three children.
func BenchmarkRemux(b *testing.B) {
	in := clip(b, "in.mp4", lavfi+"testsrc2=s=640x360:r=30:d=10"+x264)
	r := runner(b, Config{})
	for b.Loop() {
		v, err := tryOpen(r, in)
		require.NoError(b, err)
		out, err := v.Transcode(b.Context(), full, nil)
		require.NoError(b, err)
		require.True(b, out.Remuxed)
		require.NoError(b, out.File.Close())
		require.NoError(b, v.Close())
	}
}
