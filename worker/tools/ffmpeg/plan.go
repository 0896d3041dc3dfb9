package ffmpeg

import (
	"cmp"
	"slices"
)

// plan is how a variant is made: which tracks are copied as they are, and how the others are encoded.
type plan struct {
	preset               Preset
	size                 frameSize
	copyVideo, copyAudio bool
	// maxFPS is what the result may have.
	maxFPS float64
}

func (m media) plan(p Preset) plan {
	width, height := m.video.shown()
	made := plan{
		preset:    p,
		size:      fit(width, height, p.LongEdge, p.ShortEdge),
		copyVideo: m.copyVideo(p),
		copyAudio: m.audio == nil || m.audio.webReady() && m.video.whole, // what cuts the picture cuts the sound
		maxFPS:    float64(p.MaxFPS) * fpsSlack,
	}
	if p.Encode {
		return made.encoded()
	}
	return made
}

// encoded is the plan when nothing may be copied, or copying has not worked out.
func (p plan) encoded() plan {
	p.copyVideo, p.copyAudio = false, false
	return p
}

// copied profiles are those that browsers and phones decode in hardware.
var copiedProfiles = map[Codec][]string{
	H264: {"Constrained Baseline", "Baseline", "Main", "High", "Progressive High", "Constrained High"},
	H265: {"Main"},
}

// copiedLevels are the highest: 5.2 as H.264 writes it, 5.1 as H.265 does. Recorders announce more than they use.
var copiedLevels = map[Codec]int{H264: 52, H265: 153}

// codecNames are the codecs' names in ffmpeg.
var codecNames = map[Codec]string{H264: "h264", H265: "hevc"}

// copyRate is how much of its rate a preset lets pass: encoding anew costs quality, and is not worth it for less.
const copyRate = 1.25

// copyVideo is whether the picture is web-ready as it is.
func (m media) copyVideo(p Preset) bool {
	v := m.video
	long, short := max(v.width, v.height), min(v.width, v.height)
	rate := cmp.Or(v.bitRate, m.bitRate())
	return v.plays(p.Codec) && v.plain() &&
		long <= p.LongEdge && short <= p.ShortEdge && v.width%2 == 0 && v.height%2 == 0 &&
		v.fps > 0 && v.fps <= float64(p.MaxFPS)*fpsSlack &&
		float64(rate) <= float64(p.MaxRate)*copyRate
}

// plays is whether every player of the codec decodes the track.
func (v videoTrack) plays(c Codec) bool {
	return v.codec == codecNames[c] && slices.Contains(copiedProfiles[c], v.profile) &&
		v.level > 0 && v.level <= copiedLevels[c] && v.pixels == "yuv420p"
}

// plain is whether the frames are shown as they are stored, all of them.
func (v videoTrack) plain() bool {
	return v.whole && v.fields == "progressive" && v.turn == upright && v.aspect.num == v.aspect.den &&
		!v.colour.hdr() && !v.colour.wide() && !v.colour.full
}

// webReady is whether browsers play the sound as it is.
func (a audioTrack) webReady() bool {
	return a.codec == "aac" && slices.Contains([]string{"LC", "HE-AAC", "HE-AACv2"}, a.profile) &&
		a.channels <= 2 && a.rate >= 8000 && a.rate <= 48000
}
