package ffmpeg

import (
	"bytes"
	"image/color"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Parts of command lines for clips.
const (
	lavfi = "-f lavfi -i "
	tone  = " -f lavfi -i sine=d=1 "
	x264  = " -c:v libx264 -preset ultrafast -pix_fmt yuv420p "
	aac   = " -c:a aac -shortest "
	// quarters has red and green above blue and white, and tells all ways to turn it apart.
	quarters = "color=red:s=160x90:r=30:d=1[a];color=lime:s=160x90:r=30:d=1[b];color=blue:s=160x90:r=30:d=1[c];color=white:s=160x90:r=30:d=1[d];[a][b]hstack[t];[c][d]hstack[u];[t][u]vstack"
)

func TestCopiesWhatIsWebReady(t *testing.T) {
	in := clip(t, "in.mp4", lavfi+"testsrc2=s=640x360:r=30:d=1"+tone+x264+"-bf 2"+aac+
		"-metadata title=S3CRET -metadata:s:v title=S3CRET -metadata:s:a language=deu -metadata location=+48.1+11.5/")
	b, err := os.ReadFile(in)
	require.NoError(t, err)
	require.Contains(t, string(b), "S3CRET")
	require.Contains(t, string(b), "x264 - core", "the picture data has a message that must go")
	v := open(t, runner(t, Config{}), in)
	require.Equal(t, Facts{Duration: time.Second, Width: 640, Height: 360, FPS: 30, VideoCodec: "h264", AudioCodec: "aac"}, v.Facts())
	require.InDelta(t, len(b)*8, v.media.bitRate(), float64(len(b)))
	m := transcode(t, v, full)
	require.True(t, m.Remuxed)
	require.Equal(t, 640, m.Width)
	require.InDelta(t, time.Second, m.Duration, float64(100*time.Millisecond))
	alike(t, frame(t, in, "0.5", "null"), frame(t, m.path, "0.5", "null"), 0.01)
	require.Equal(t, "aac", m.audio["codec_name"])

	again, err := v.Transcode(t.Context(), full, nil)
	require.NoError(t, err)
	require.Equal(t, m.SHA256, keep(t, again).SHA256, "the same bytes each time")

	anew := full
	anew.Encode = true
	require.False(t, v.media.plan(anew.withDefaults()).copyAudio)
	require.False(t, transcode(t, v, anew).Remuxed)
}

// TestCopiesNoMessages has texts between the pictures of H.264: unregistered user data, and user data registered by
// ITU-T T.35, as captions are.
func TestCopiesNoMessages(t *testing.T) {
	r := runner(t, Config{})
	in := clip(t, "in.mp4", lavfi+"testsrc2=s=320x180:r=30:d=1"+tone+x264+"-bf 2 -bsf:v h264_metadata=sei_user_data=b5003147-4741-4034-9653-21492feee5b8+S3CRET"+aac+
		"-movflags use_metadata_tags -metadata copyright=S3CRET -metadata:s:a handler_name=S3CRET")
	unregistered, err := os.ReadFile(in)
	require.NoError(t, err)
	at := bytes.Index(unregistered, []byte("\xb5\x00\x31\x47\x47\x41\x40\x34")) // the UUID: country, provider and kind in T.35
	require.Positive(t, at)
	registered := bytes.Clone(unregistered)
	require.EqualValues(t, 5, registered[at-2], "the type of the message, before its size")
	registered[at-2] = 4
	for name, content := range map[string][]byte{"unregistered": unregistered, "registered": registered} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "in.mp4")
			require.NoError(t, os.WriteFile(path, content, 0o600))
			require.Equal(t, 3, bytes.Count(content, []byte("S3CRET")))
			m := transcode(t, open(t, r, path), full) // which looks for the texts in what comes out
			require.True(t, m.Remuxed)
			for _, at := range []string{"0", "0.9"} {
				alike(t, frame(t, path, at, "null"), frame(t, m.path, at, "null"), 0.01)
			}
		})
	}
}

func TestMatrix(t *testing.T) {
	r := runner(t, Config{})
	for _, row := range []struct {
		name, file, args string
		preset           Preset
		width, height    int
		facts            func(*testing.T, Facts)
		// reference is the filter that makes the expected frame of the input by hand.
		reference string
		remuxed   bool
		sound     int // channels
		check     func(*testing.T, made)
	}{
		{
			name: "4K60", file: "in.mp4", args: lavfi + "testsrc2=s=3840x2160:r=60:d=0.2 -colorspace bt709" + x264, preset: full,
			width: 1920, height: 1080, reference: "scale=1920:1080",
			check: func(t *testing.T, m made) { require.InDelta(t, 60, m.fps(t), 0.5) },
		},
		{
			name: "120 frames a second", file: "in.mp4", args: lavfi + "testsrc2=s=320x180:r=120:d=1" + x264, preset: full,
			width: 320, height: 180, reference: "null",
			check: func(t *testing.T, m made) { require.InDelta(t, 60, m.fps(t), 0.5) },
		},
		{
			name: "5.1", file: "in.mkv", preset: full, sound: 2, width: 320, height: 180, reference: "null", remuxed: true,
			args: lavfi + "testsrc2=s=320x180:d=1 " + lavfi + "sine=d=1 -af pan=5.1|c0=c0|c2=c0|c4=c0 -c:a ac3" + x264,
		},
		{
			name: "four channels of an unknown layout", file: "in.mov", preset: full, sound: 2, width: 320, height: 180, reference: "null", remuxed: true,
			args: lavfi + "testsrc2=s=320x180:d=1 " + lavfi + "sine=d=1 -af pan=4c|c0=c0|c1=c0 -c:a pcm_s16le" + x264,
		},
		{
			name: "mono PCM", file: "in.mov", preset: full, sound: 1, width: 320, height: 180, reference: "null", remuxed: true,
			args:  lavfi + "testsrc2=s=320x180:d=1 " + lavfi + "sine=d=1:r=96000 -c:a pcm_s24be" + x264,
			check: func(t *testing.T, m made) { require.Equal(t, "48000", m.audio["sample_rate"]) },
		},
		{
			name: "odd sides", file: "in.mkv", args: lavfi + "testsrc2=s=321x181:d=1 -c:v libx264 -preset ultrafast -pix_fmt yuv444p", preset: full,
			width: 320, height: 180, reference: "scale=320:180",
		},
		{
			name: "tiny", file: "in.mkv", args: lavfi + "color=red:s=8x8:d=1 -vf format=yuv444p,scale=3:1 -c:v libx264 -pix_fmt yuv444p", preset: full, width: 2, height: 2,
		},
		{
			name: "a line", file: "in.mp4", args: lavfi + "testsrc2=s=3000x4:d=0.5" + x264, preset: full, width: 1920, height: 2,
		},
		{
			name: "anamorphic", file: "in.mp4", args: lavfi + quarters + " -vf scale=360:288,setsar=64/45" + x264, preset: full,
			width: 512, height: 288, reference: "scale=512:288",
			facts: func(t *testing.T, f Facts) { require.Equal(t, 512, f.Width) },
		},
		{
			name: "VP9 and Opus", file: "in.mkv", args: lavfi + "testsrc2=s=320x180:d=1" + tone + "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus", preset: small,
			width: 320, height: 180, reference: "null", sound: 1,
			facts: func(t *testing.T, f Facts) {
				require.Equal(t, "vp9", f.VideoCodec)
				require.Equal(t, "opus", f.AudioCodec)
			},
		},
		{
			name: "VP8 and Vorbis", file: "in.webm", args: lavfi + "testsrc2=s=320x180:d=1" + tone + "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 2M -c:a libvorbis", preset: small,
			width: 320, height: 180, reference: "null", sound: 1,
		},
		{
			name: "AV1", file: "in.webm", args: lavfi + "testsrc2=s=320x180:d=0.5 -c:v libsvtav1 -preset 12", preset: small,
			width: 320, height: 180, reference: "null",
			facts: func(t *testing.T, f Facts) { require.Equal(t, "av1", f.VideoCodec) },
		},
		{
			name: "10 bits", file: "in.mp4", args: lavfi + "testsrc2=s=320x180:d=1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p10le", preset: small,
			width: 320, height: 180, reference: "null",
		},
		{
			name: "full range", file: "in.mov", args: lavfi + quarters + " -vf scale=out_range=full,format=yuvj420p -c:v libx264 -preset ultrafast -color_range pc", preset: small,
			width: 320, height: 180, reference: "null",
			check: func(t *testing.T, m made) { require.Equal(t, "tv", m.video["color_range"]) },
		},
		{
			name: "screen in RGB", file: "in.mkv", args: lavfi + quarters + " -vf format=gbrp -c:v libx264rgb -preset ultrafast -qp 0", preset: small,
			width: 320, height: 180, reference: "null",
			check: func(t *testing.T, m made) { require.Equal(t, "bt709", m.video["color_space"]) },
		},
		{
			name: "interlaced", file: "in.mp4", args: lavfi + "testsrc2=s=320x180:r=50:d=1 -vf tinterlace=interleave_top,fieldorder=tff -flags +ildct+ilme -x264-params tff=1" + x264, preset: small,
			width: 320, height: 180, reference: "bwdif=mode=send_frame",
			check: func(t *testing.T, m made) { require.Equal(t, "progressive", m.video["field_order"]) },
		},
		{
			name: "H.265 8 bits to H.264", file: "in.mp4", args: lavfi + "testsrc2=s=320x180:d=0.5 -c:v libx265 -preset ultrafast -x265-params log-level=error -pix_fmt yuv420p", preset: small,
			width: 320, height: 180, reference: "null",
		},
		{
			name: "to H.265", file: "in.mp4", args: lavfi + "testsrc2=s=320x180:d=0.5" + tone + x264 + aac, preset: Preset{Name: "h265", Codec: H265, LongEdge: 320, Speed: "superfast"},
			width: 320, height: 180, reference: "null", sound: 1,
			check: func(t *testing.T, m made) { require.Equal(t, "hvc1", m.video["codec_tag_string"]) },
		},
		{
			name: "H.265 copied", file: "in.mp4", args: lavfi + "testsrc2=s=320x180:d=0.5 -c:v libx265 -preset ultrafast -x265-params log-level=error -pix_fmt yuv420p -tag:v hev1", preset: Preset{Name: "h265", Codec: H265, LongEdge: 320, MaxRate: 9e6},
			width: 320, height: 180, reference: "null", remuxed: true,
			check: func(t *testing.T, m made) { require.Equal(t, "hvc1", m.video["codec_tag_string"]) },
		},
		{
			name: "too many bits to copy", file: "in.mp4", args: lavfi + "testsrc2=s=640x360:d=1 " + x264, preset: Preset{Name: "low", Codec: H264, LongEdge: 640, MaxRate: 300_000},
			width: 640, height: 360,
		},
		{
			name: "more tracks than two", file: "in.mkv", preset: full, sound: 1, width: 320, height: 180, reference: "null", remuxed: true,
			args: lavfi + "testsrc2=s=320x180:d=1 " + lavfi + "color=red:d=1 " + lavfi + "sine=d=1 " + lavfi + "sine=f=99:d=1 -map 0 -map 1 -map 2 -map 3 -attach /etc/hostname -metadata:s:t mimetype=text/plain" + x264 + aac,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			in := clip(t, row.file, row.args)
			v := open(t, r, in)
			if row.facts != nil {
				row.facts(t, v.Facts())
			}
			m := transcode(t, v, row.preset)
			require.Equal(t, frameSize{row.width, row.height}, frameSize{m.Width, m.Height})
			require.Equal(t, row.remuxed, m.Remuxed)
			require.Equal(t, "1:1", m.video["sample_aspect_ratio"])
			require.InDelta(t, v.Facts().Duration, m.Duration, float64(150*time.Millisecond))
			if row.sound == 0 {
				require.Nil(t, m.audio)
			} else {
				require.Equal(t, "aac", m.audio["codec_name"])
				require.EqualValues(t, row.sound, m.audio["channels"])
			}
			if row.reference != "" {
				alike(t, frame(t, in, "0.1", row.reference), frame(t, m.path, "0.1", "null"), 6)
			}
			if row.check != nil {
				row.check(t, m)
			}
		})
	}
}

var (
	red   = color.RGBA{255, 0, 0, 255}
	green = color.RGBA{0, 255, 0, 255}
	blue  = color.RGBA{0, 0, 255, 255}
	white = color.RGBA{255, 255, 255, 255}
)

// TestTurns writes all eight display matrices into a QuickTime file, as phones do.
func TestTurns(t *testing.T) {
	r := runner(t, Config{})
	in := clip(t, "in.mov", lavfi+quarters+" -colorspace bt709 -vf scale=out_color_matrix=bt709"+x264)
	plain, err := os.ReadFile(in)
	require.NoError(t, err)
	for matrix, corners := range map[[4]int32][4]color.RGBA{ // upper left, upper right, lower left, lower right
		{1, 0, 0, 1}:   {red, green, blue, white},
		{-1, 0, 0, 1}:  {green, red, white, blue},
		{1, 0, 0, -1}:  {blue, white, red, green},
		{-1, 0, 0, -1}: {white, blue, green, red},
		{0, 1, -1, 0}:  {blue, red, white, green},
		{0, -1, 1, 0}:  {green, white, red, blue},
		{0, 1, 1, 0}:   {red, blue, green, white},
		{0, -1, -1, 0}: {white, green, blue, red},
	} {
		turned := withMatrix(t, plain, matrix)
		path := in + "-turned.mov"
		require.NoError(t, os.WriteFile(path, turned, 0o600))
		v := open(t, r, path)
		m := transcode(t, v, small)
		require.Equal(t, matrix == [4]int32{1, 0, 0, 1}, m.Remuxed)
		if matrix[0] == 0 {
			require.Equal(t, frameSize{180, 320}, frameSize{m.Width, m.Height})
			require.Equal(t, 180, v.Facts().Width)
		}
		poster, err := v.Poster(t.Context())
		require.NoError(t, err)
		picture := decodePNG(t, poster)
		require.NoError(t, poster.Close())
		for i, want := range corners {
			x, y := 0.25+0.5*float64(i%2), 0.25+0.5*float64(i/2)
			near(t, frame(t, m.path, "0.5", "null"), x, y, want, 8)
			near(t, picture, x, y, want, 8)
		}
	}
}

func TestAnamorphicAndTurned(t *testing.T) {
	in := clip(t, "in.mov", lavfi+quarters+" -vf scale=360:288,setsar=64/45"+x264)
	b, err := os.ReadFile(in)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(in, withMatrix(t, b, [4]int32{0, 1, -1, 0}), 0o600))
	v := open(t, runner(t, Config{}), in)
	require.Equal(t, frameSize{288, 512}, frameSize{v.Facts().Width, v.Facts().Height})
	m := transcode(t, v, small)
	require.Equal(t, frameSize{180, 320}, frameSize{m.Width, m.Height})
	for i, want := range []color.RGBA{blue, red, white, green} {
		near(t, frame(t, m.path, "0.5", "null"), 0.25+0.5*float64(i%2), 0.25+0.5*float64(i/2), want, 8)
	}
}
