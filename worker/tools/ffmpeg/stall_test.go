package ffmpeg

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

// TestStalled has a child that says the same again and again.
func TestStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &progress{}
		ctx, stop := p.watch(t.Context(), stallTimeout)
		defer stop()
		say := func(text string) {
			time.Sleep(stallTimeout - time.Second)
			_, err := io.WriteString(p, text)
			require.NoError(t, err)
			synctest.Wait()
		}
		for _, text := range []string{"frame=1\n", "frame=2\n", "frame=2\nout_time_us=5\n", "total_size=9\nframe=2\n", "fps=3\nspeed=1x\nframe=2\nout_time_us=5\ntotal_size=9\n"} {
			require.NoError(t, ctx.Err())
			say(text)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.ErrorIs(t, context.Cause(ctx), errStalled)
	})
	require.Equal(t, stallTimeout, videoTrack{width: 640, height: 360}.stall())
	require.Equal(t, 16*stallTimeout, videoTrack{width: 7680, height: 4320}.stall())
}

// TestStalledChild gives a child no time at all to get on.
func TestStalledChild(t *testing.T) {
	in := clip(t, "in.mp4", lavfi+"testsrc2=s=1280x720:r=30:d=2"+x264)
	r := runner(t, Config{})
	v := open(t, r, in)
	err := r.run(t.Context(), job{
		program: r.cfg.FFmpeg, args: []string{"-nostdin", "-loglevel", "error", "-stream_loop", "-1", "-i", "file:" + v.in.path, "-f", "null", "-"},
		stdout: io.Discard, read: v.in.path, progress: &progress{}, stall: 100 * time.Millisecond,
	})
	unplayable(t, err, storage.ReasonVideoTooSlow)
	require.ErrorContains(t, err, errStalled.Error())
}
