package mediatest

import (
	"fmt"
	"image/color"
	"testing"

	"github.com/stretchr/testify/require"
)

// VideoKind names a kind of video.
type VideoKind string

// The kinds. All but AVIInDisguise are to be taken.
const (
	Plain       VideoKind = "plain"           // H.264 and AAC in MP4, as the web wants it: nothing to do but remux
	PortraitMOV VideoKind = "portrait-mov"    // of an iPhone: stored lying, shown upright, with a GPS position
	VFR         VideoKind = "vfr"             // a screen recording: frames only where something happens
	FourK60     VideoKind = "4k60"            // 3840 x 2160 at 60 frames a second
	HDR10       VideoKind = "hdr10"           // H.265 with 10 bits, PQ, BT.2020
	HLG         VideoKind = "hlg"             // the same with the other curve
	Surround    VideoKind = "surround"        // 5.1 channels
	Silent      VideoKind = "silent"          // no sound at all
	OddSize     VideoKind = "odd-size"        // an odd number of columns and of rows
	Anamorphic  VideoKind = "anamorphic"      // PAL wide screen: pixels that are no squares
	TenBit      VideoKind = "ten-bit"         // H.264 with 10 bits and full chroma, which browsers do not play
	HighRate    VideoKind = "120-fps"         // slow motion
	MKV         VideoKind = "mkv-vp9-opus"    // VP9 and Opus in Matroska
	WebM        VideoKind = "webm-vp8-vorbis" // VP8 and Vorbis in WebM
	// AVIInDisguise is an AVI whose name ends in .mp4.
	AVIInDisguise VideoKind = "avi-in-disguise"
)

// VideoKinds are those that must come out right.
func VideoKinds() []VideoKind {
	return []VideoKind{
		Plain, PortraitMOV, VFR, FourK60, HDR10, HLG, Surround, Silent, OddSize, Anamorphic, TenBit, HighRate, MKV, WebM,
	}
}

// Clip is a video made for a test, and what is true of it. Its file belongs to all tests: read it only.
type Clip struct {
	Kind VideoKind
	Path string
	// Width and Height are those that a player shows: upright, in square pixels.
	Width, Height int
	Seconds       float64
	// FPS is the highest number of frames a second.
	FPS int
	// Channels of sound; 0 means none.
	Channels int
	// HDR tells that the colours are to be mapped to those of ordinary screens.
	HDR bool
	// Spots are the colours that a player shows, of HDR those after a mapping, roughly. The middle line is left out:
	// there a white square moves.
	Spots []Spot
}

// Place is the position in the metadata of PortraitMOV, as text: no result may contain it.
const Place = "+37.3349-122.0090"

// Video makes a video of a kind, or finds it where it was made before.
func Video(t testing.TB, kind VideoKind) Clip {
	t.Helper()
	c := Clip{Kind: kind, Width: 640, Height: 360, Seconds: 2, FPS: 30, Channels: 2, Spots: quarterSpots(16)}
	switch kind {
	case Plain:
		c.Path = c.encode(t, "plain.mp4", c.scene()+toYUV, x264, "-movflags", "+faststart")
	case PortraitMOV:
		c.Width, c.Height = 1080, 1920
		lying := c.encode(t, "lying.mov", c.scene()+",transpose=2"+toYUV, x264,
			"-movflags", "use_metadata_tags", "-metadata", "com.apple.quicktime.location.ISO6709="+Place+"+012.3/",
			"-metadata", "com.apple.quicktime.make=Apple", "-timecode", "10:00:00:00")
		c.Path = patched(t, "portrait.mov", lying, "1", func(b []byte) []byte { return turnMOV(t, b) })
	case VFR:
		c.Seconds, c.FPS = 4, 60
		c.Path = c.encode(t, "screen.mp4", c.scene()+toYUV+`,select='lt(mod(t\,1)\,0.2)+gt(t\,3.7)'`, x264, "-vsync", "vfr")
	case FourK60:
		c.Width, c.Height, c.Seconds, c.FPS = 3840, 2160, 1, 60
		c.Path = c.encode(t, "4k60.mp4", c.scene()+toYUV, x264)
	case HDR10:
		c.hdr(t, "hdr10.mp4", "smpte2084",
			":hdr10=1:max-cll=1000,400:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)")
	case HLG:
		c.hdr(t, "hlg.mov", "arib-std-b67", "")
	default:
		c.other(t)
	}
	return c
}

// other makes the kinds that differ from Plain by little.
func (c *Clip) other(t testing.TB) {
	t.Helper()
	name := string(c.Kind) + ".mp4"
	switch c.Kind {
	case Surround:
		c.Channels = 6
		c.Path = c.encode(t, name, c.scene()+toYUV, x264)
	case Silent:
		c.Channels = 0
		c.Path = c.encode(t, name, c.scene()+toYUV, x264)
	case OddSize:
		c.Width, c.Height = 641, 361
		c.Path = c.encode(t, name, c.scene()+asBT709+",format=yuv444p", x264)
	case Anamorphic:
		c.Width, c.Height = 1024, 576
		c.Path = c.encode(t, name, c.scene()+",scale=720:576,setsar=64/45"+toYUV, x264)
	case TenBit:
		c.Path = c.encode(t, name, c.scene()+asBT709+",format=yuv444p10le", x264)
	case HighRate:
		c.FPS, c.Seconds = 120, 1
		c.Path = c.encode(t, name, c.scene()+toYUV, x264)
	case MKV:
		c.Path = c.encode(t, "vp9.mkv", c.scene()+toYUV,
			[]string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "1M", "-c:a", "libopus"})
	case WebM:
		c.Path = c.encode(t, "vp8.webm", c.scene()+",scale=out_color_matrix=bt601:out_range=tv,format=yuv420p",
			[]string{"-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "1M", "-c:a", "libvorbis"})
	case AVIInDisguise:
		c.Path = c.encode(t, "disguise.mp4", c.scene()+toYUV, []string{"-c:v", "mpeg4", "-q:v", "4", "-c:a", "mp2"}, "-f", "avi")
	default:
		require.Fail(t, "no video of kind "+string(c.Kind))
	}
}

// The ends of the chain of filters: to what ordinary videos carry.
const (
	asBT709 = ",scale=out_color_matrix=bt709:out_range=tv"
	toYUV   = asBT709 + ",format=yuv420p"
)

var x264 = []string{"-c:v", "libx264", "-preset", "ultrafast", "-crf", "18", "-c:a", "aac"}

// scene is the start of the chain: the four quarters, and a white square that moves along the middle.
func (c *Clip) scene() string {
	quarter := func(x, y, colour string) string {
		return fmt.Sprintf(",drawbox=x=%s:y=%s:w=iw/2+1:h=ih/2+1:c=%s:t=fill", x, y, colour)
	}
	return fmt.Sprintf("color=%s:s=%dx%d:r=%d:d=%g,format=rgb24", hexColour(Red), c.Width, c.Height, c.FPS, c.Seconds) +
		quarter("iw/2", "0", hexColour(Green)) + quarter("iw/2", "ih/2", hexColour(Blue)) + quarter("0", "ih/2", hexColour(Yellow)) +
		fmt.Sprintf("[quarters];color=white:s=%dx%d:r=%d[square];", c.Width/16, c.Height/16, c.FPS) +
		"[quarters][square]overlay=x='mod(n*8,W)':y='(H-h)/2':format=rgb:shortest=1"
}

func hexColour(c color.NRGBA) string { return fmt.Sprintf("0x%02x%02x%02x", c.R, c.G, c.B) }

// encode makes the file. codecs may be followed by more options.
func (c *Clip) encode(t testing.TB, name, filters string, codecs []string, more ...string) string {
	t.Helper()
	args := []string{"-f", "lavfi", "-i", filters}
	if c.Channels > 0 {
		layout := map[int]string{2: "stereo", 6: "5.1"}[c.Channels]
		tone := ""
		for i := range c.Channels {
			tone += fmt.Sprintf("|0.2*sin(%d*2*PI*t)", 220*(i+1))
		}
		args = append(args, "-f", "lavfi", "-i", fmt.Sprintf("aevalsrc=%s:c=%s:s=48000:d=%g", tone[1:], layout, c.Seconds))
	}
	if codecs[1] != "libx265" && codecs[1] != "libvpx" { // VP8 knows BT.601 only
		args = append(args, "-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709")
	}
	return ffmpeg(t, name, append(append(args, codecs...), more...)...)
}

// hdr encodes for bright screens: white at 203 of 10,000 candela, as BT.2408 recommends.
func (c *Clip) hdr(t testing.TB, name, curve, more string) {
	t.Helper()
	c.HDR, c.Spots = true, quarterSpots(50)
	filters := c.scene() + ",format=gbrp,zscale=pin=bt709:tin=bt709:min=gbr:p=2020:t=" + curve + ":m=2020_ncl:r=tv:npl=203,format=yuv420p10le"
	c.Path = c.encode(t, name, filters, []string{
		"-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-c:a", "aac",
		"-color_primaries", "bt2020", "-color_trc", curve, "-colorspace", "bt2020nc", "-x265-params",
		"log-level=error:repeat-headers=1:colorprim=bt2020:colormatrix=bt2020nc:transfer=" + curve + more,
	})
}
