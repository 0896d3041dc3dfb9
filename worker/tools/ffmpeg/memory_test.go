//go:build !race

// What needs little memory is shown without the race detector, whose shadow memory counts against a child's limit.

package ffmpeg

import (
	"image"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

// TestMemoryOfPosters has frames of which not even a few fit beside each other.
func TestMemoryOfPosters(t *testing.T) {
	in := clip(t, "in.mp4", lavfi+"color=black:s=8192x4320:r=60:d=0.1 -g 1"+x264)
	v := open(t, runner(t, Config{Threads: 4, Limits: Limits{MemoryBytes: 350 << 20}}), in)
	_, err := v.look(t.Context(), v.r.cfg.Limits.looks(v.media.duration)[0])
	require.ErrorIs(t, err, ErrUnplayable)
	require.Equal(t, image.Pt(1920, 1012), poster(t, v).Bounds().Size())
}

// TestMemoryOfVideos gives a clip too little memory for its frames.
func TestMemoryOfVideos(t *testing.T) {
	in := clip(t, "in.mp4", lavfi+"testsrc2=s=1280x720:r=30:d=4"+x264)
	v, err := tryOpen(runner(t, Config{Limits: Limits{MemoryBytes: minMemory}}), in)
	if err == nil {
		_, err = v.Transcode(t.Context(), Preset{Name: "x", Codec: H264, LongEdge: 1280, MaxRate: 500_000, Speed: "slow"}, nil)
		require.NoError(t, v.Close())
	}
	unplayable(t, err, storage.ReasonVideoTooCostly)
}
