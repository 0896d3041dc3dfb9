package ffmpeg

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// x265 makes clips with a high dynamic range.
const x265 = " -c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -tag:v hvc1 -x265-params log-level=error:"

// TestHighDynamicRange compares with the same mapping by hand, which is scaled afterwards and not before.
func TestHighDynamicRange(t *testing.T) {
	r := runner(t, Config{})
	for _, row := range []struct{ name, transfer, extra string }{
		{"HDR10", "smpte2084", ":hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400"},
		{"HLG", "arib-std-b67", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			in := clip(t, "in.mp4", lavfi+"testsrc2=s=640x360:r=10:d=0.5"+x265+"colorprim=bt2020:transfer="+row.transfer+":colormatrix=bt2020nc"+row.extra)
			v := open(t, r, in)
			require.True(t, v.media.video.colour.hdr())
			require.Equal(t, "hevc", v.Facts().VideoCodec)
			m := transcode(t, v, small)
			for _, tag := range []string{"color_space", "color_transfer", "color_primaries"} {
				require.Equal(t, "bt709", m.video[tag], tag)
			}
			require.Equal(t, "tv", m.video["color_range"])
			byHand := "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p,scale=320:180"
			want := frame(t, in, "0.2", byHand)
			alike(t, want, frame(t, m.path, "0.2", "null"), 6)

			poster, err := v.Poster(t.Context())
			require.NoError(t, err)
			defer poster.Close()
			require.Equal(t, 640, decodePNG(t, poster).Bounds().Dx())
		})
	}
}

// TestWideColours has standard range in BT.2020, whose green is not that of BT.709.
func TestWideColours(t *testing.T) {
	in := clip(t, "in.mp4", lavfi+quarters+" -vf zscale=pin=bt709:tin=bt709:min=bt709:p=bt2020:t=bt709:m=bt2020nc,format=yuv420p10le"+x265+"colorprim=bt2020:transfer=bt709:colormatrix=bt2020nc")
	v := open(t, runner(t, Config{}), in)
	require.False(t, v.media.video.colour.hdr())
	m := transcode(t, v, small)
	require.Equal(t, "bt709", m.video["color_primaries"])
	require.Equal(t, "bt709", m.video["color_space"])
	picture := frame(t, m.path, "0.5", "null")
	near(t, picture, 0.25, 0.25, red, 45) // 8-bit rounding is coarse near 0 in BT.709's curve
	near(t, picture, 0.75, 0.25, green, 45)
	near(t, picture, 0.25, 0.75, blue, 45)
}

// TestScreenRecording has frames only now and then, and a last one that stays.
func TestScreenRecording(t *testing.T) {
	r := runner(t, Config{})
	// Half a second of movement, then frames at 1, 2 and 3 s.
	pick := " -vf select=lt(t\\,0.55)+eq(n\\,60)+eq(n\\,120)+eq(n\\,179) -fps_mode vfr -enc_time_base 1/600"
	for _, name := range []string{"in.mp4", "in.mkv"} {
		in := clip(t, name, lavfi+"testsrc2=s=640x360:r=60:d=3"+pick+" -c:v libx264 -preset ultrafast -pix_fmt yuv444p")
		v := open(t, r, in)
		m := transcode(t, v, small)
		require.LessOrEqual(t, m.fps(t), 60.5)
		require.InDelta(t, v.Facts().Duration.Seconds(), m.Duration.Seconds(), 0.1)
		for _, at := range []string{"0.255", "0.905", "1.505", "2.505"} { // what stands on the screen then
			alike(t, frame(t, in, "0", "fps=60,trim=start="+at+",scale=320:180"), frame(t, m.path, "0", "fps=60,trim=start="+at), 8)
		}
	}
}

// TestLongGap has a film of a few frames that lasts for minutes: it must not cost as much as one that moves.
func TestLongGap(t *testing.T) {
	in := clip(t, "in.mp4", lavfi+"testsrc2=s=64x64:r=30:d=0.4 -vf setpts=if(eq(N\\,11)\\,300/TB\\,PTS) -fps_mode vfr -c:v libx264 -preset ultrafast -pix_fmt yuv444p")
	v := open(t, runner(t, Config{}), in)
	m := transcode(t, v, small)
	require.InDelta(t, v.Facts().Duration.Seconds(), m.Duration.Seconds(), 1)
	require.LessOrEqual(t, m.fps(t), sparseRate+0.1)
}

// TestNoDuration has what browsers' recorders write: WebM without a duration.
func TestNoDuration(t *testing.T) {
	in := clip(t, "in.webm", lavfi+"testsrc2=s=320x180:d=1"+tone+"-c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -c:a libopus -live 1")
	v := open(t, runner(t, Config{}), in)
	require.InDelta(t, 1, v.Facts().Duration.Seconds(), 0.1)
	m := transcode(t, v, small)
	require.InDelta(t, 1, m.Duration.Seconds(), 0.1)
}

// TestLateClock has files whose times do not begin at 0, as parts of a long recording.
func TestLateClock(t *testing.T) {
	r := runner(t, Config{})
	for _, name := range []string{"in.mkv", "in.mp4"} {
		v := open(t, r, clip(t, name, lavfi+"testsrc2=s=320x180:r=30:d=2"+x264+"-output_ts_offset 9000"))
		require.InDelta(t, 2, v.Facts().Duration.Seconds(), 0.1, name)
		require.InDelta(t, 2, transcode(t, v, full).Duration.Seconds(), 0.1, name)
		require.InDelta(t, 2, transcode(t, v, small).Duration.Seconds(), 0.1, name)
	}
}

// TestTrimmed has a beginning that its editor has hidden and not removed; a chapter and a caption go as well.
func TestTrimmed(t *testing.T) {
	long := clip(t, "long.mp4", lavfi+"testsrc2=s=320x180:r=30:d=3 -g 90"+x264)
	notes := filepath.Join(t.TempDir(), "notes")
	require.NoError(t, os.WriteFile(notes, []byte(";FFMETADATA1\ntitle=S3CRET\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\ntitle=S3CRET\n"), 0o600))
	captions := filepath.Join(t.TempDir(), "captions.srt")
	require.NoError(t, os.WriteFile(captions, []byte("1\n00:00:00,000 --> 00:00:01,000\nS3CRET\n"), 0o600))
	in := clip(t, "in.mp4", "-ss 1.5 -i "+long+" -i "+notes+" -i "+captions+" -map 0:v -map 2 -map_metadata 1 -map_chapters 1 -c:v copy -c:s mov_text")
	b, err := os.ReadFile(in)
	require.NoError(t, err)
	require.GreaterOrEqual(t, bytes.Count(b, []byte("S3CRET")), 3, "title, chapter, caption")
	v := open(t, runner(t, Config{}), in)
	m := transcode(t, v, full)
	require.False(t, m.Remuxed)
	require.InDelta(t, 1.5, m.Duration.Seconds(), 0.1)
	require.Equal(t, "45", m.video["nb_frames"])
	alike(t, frame(t, in, "0.3", "null"), frame(t, m.path, "0.3", "null"), 8)
}

// TestBystanders has a cover picture and captions, which are no reason to refuse, and are not the picture.
func TestBystanders(t *testing.T) {
	cover := clip(t, "cover.png", lavfi+"color=red:s=600x600 -frames:v 1")
	captions := filepath.Join(t.TempDir(), "captions.srt")
	require.NoError(t, os.WriteFile(captions, []byte("1\n00:00:00,000 --> 00:00:01,000\nS3CRET\n"), 0o600))
	film := clip(t, "film.mkv", lavfi+"testsrc2=s=320x180:d=0.5 -i "+captions+" -map 0 -map 1 -c:s srt"+x264)
	in := clip(t, "in.mp4", "-i "+cover+" -i "+film+" -map 0 -map 1 -c copy -c:s mov_text -disposition:v:0 attached_pic")
	r := runner(t, Config{})
	for _, path := range []string{film, in} {
		v := open(t, r, path)
		require.Equal(t, 320, v.Facts().Width)
		require.True(t, transcode(t, v, full).Remuxed)
	}
}
