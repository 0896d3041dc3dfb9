package mediatest

import (
	"bytes"
	"image"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVideosAreWhatTheySay(t *testing.T) {
	for _, kind := range append(VideoKinds(), AVIInDisguise) {
		t.Run(string(kind), func(t *testing.T) {
			c := Video(t, kind)
			p := Probe(t, c.Path)
			require.Len(t, p.Of("video"), 1)
			require.InDelta(t, c.Seconds, p.Format.Duration, 0.2)
			channels := 0
			for _, s := range p.Of("audio") {
				channels = s.Channels
			}
			require.Equal(t, c.Channels, channels)
			img := Frame(t, c.Path, 0.15, c.HDR)
			require.Equal(t, image.Pt(c.Width, c.Height), img.Rect.Size())
			Looks(t, img, c.Spots)
			v := p.Of("video")[0]
			if c.HDR {
				require.NotEmpty(t, missed(Frame(t, c.Path, 0.15, false), c.Spots), "colours that were not mapped")
			}
			require.Equal(t, c.HDR, v.Primaries == "bt2020", v.Primaries)
		})
	}
}

func TestVideosAreSpecialAsTheySay(t *testing.T) {
	video := func(kind VideoKind) Stream { return Probe(t, Video(t, kind).Path).Of("video")[0] }
	require.Equal(t, -90, video(PortraitMOV).Rotation())
	b, err := os.ReadFile(Video(t, PortraitMOV).Path)
	require.NoError(t, err)
	require.True(t, bytes.Contains(b, []byte(Place)))
	require.Equal(t, "smpte2084", video(HDR10).Transfer)
	require.Equal(t, "arib-std-b67", video(HLG).Transfer)
	require.Equal(t, "yuv420p10le", video(HDR10).PixelFormat)
	require.Equal(t, "64:45", video(Anamorphic).PixelShape)
	require.NotEqual(t, video(VFR).FrameRate, video(VFR).MeanRate)
	require.Equal(t, "avi", Probe(t, Video(t, AVIInDisguise).Path).Format.Name)
}

func TestLongVideoHasTheSizeThatWasAskedFor(t *testing.T) {
	c := Long(t, 20, 30)
	info, err := os.Stat(c.Path)
	require.NoError(t, err)
	require.InDelta(t, 30<<20, info.Size(), 3<<20)
	require.InDelta(t, 20, Probe(t, c.Path).Format.Duration, 0.3)
}
