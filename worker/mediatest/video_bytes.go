package mediatest

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// turnMOV tells players to turn the video a quarter clockwise, as a phone does that was held upright.
func turnMOV(t testing.TB, file []byte) []byte {
	t.Helper()
	moov := within(t, file, "moov")
	turned := false
	for _, p := range boxes(moov) {
		if p.kind != "trak" {
			continue
		}
		header := within(t, moov[p.body:p.end], "tkhd")
		require.Zero(t, header[0], "version 0, with times of 4 bytes")
		const matrixAt, sizeAt = 40, 76
		height := binary.BigEndian.Uint32(header[sizeAt+4:])
		if height == 0 {
			continue // sound
		}
		const one, unit = 1 << 16, 1 << 30 // 16.16 and 2.30
		for i, v := range []uint32{0, one, 0, 1<<32 - one, 0, 0, height, 0, unit} {
			binary.BigEndian.PutUint32(header[matrixAt+4*i:], v)
		}
		turned = true
	}
	require.True(t, turned)
	return file
}

// Long is a video of that length and roughly that many MiB, which is made without encoding all of it. Its full chroma
// keeps it from being remuxed: making it web-ready takes as long as its length demands.
func Long(t testing.TB, seconds, mebibytes int) Clip {
	t.Helper()
	c := Clip{Kind: "long", Width: 1280, Height: 720, Seconds: 4, FPS: 30, Channels: 2, Spots: quarterSpots(16)}
	rate := fmt.Sprint(mebibytes << 23 / seconds)
	// Noise takes whatever bits it is given.
	piece := c.encode(t, "piece.mp4", c.scene()+",noise=alls=30:allf=t"+asBT709+",format=yuv444p", []string{
		"-c:v", "libx264", "-preset", "ultrafast", "-b:v", rate, "-minrate", rate, "-maxrate", rate, "-bufsize", rate, "-c:a", "aac",
	})
	c.Seconds = float64(seconds)
	c.Path = ffmpeg(t, "long.mp4", "-stream_loop", "-1", "-i", piece, "-c", "copy", "-t", fmt.Sprint(seconds))
	return c
}
