package ffmpeg

import (
	"cmp"
	"fmt"
)

// Codec is how a variant's picture is coded.
type Codec string

// The codecs of variants.
const (
	H264 Codec = "h264"
	H265 Codec = "h265"
)

// Preset is a variant to be made. Only the first three must be given; the others have defaults.
type Preset struct {
	// Name is the caller's.
	Name  string
	Codec Codec
	// LongEdge bounds the longer side as shown, in pixels, and ShortEdge the shorter: 1920 and 1080 hold a landscape
	// of 1920 x 1080 and a portrait of 1080 x 1920. Nothing is enlarged. ShortEdge 0 means 9/16 of LongEdge.
	LongEdge, ShortEdge int
	// CRF is the quality: 1 to 51, less is better and larger. 0 means 23 for H.264 and 27 for H.265.
	CRF int
	// Speed is the encoder's preset, from superfast to slow. "" means veryfast: faster ones cost quality, slower ones
	// half as much time again for a twentieth of the size.
	Speed string
	// MaxRate is the most the picture takes, bits a second, averaged over two seconds. 0 means 6 Mbit/s for H.264 and
	// 4 Mbit/s for H.265 at 1920 x 1080, and in proportion to the pixels at other sizes.
	MaxRate int64
	// MaxFPS is the most frames a second; 0 means 60.
	MaxFPS int
	// AudioRate is for two channels, bits a second; 0 means 128 kbit/s.
	AudioRate int64
	// Encode is whether nothing is ever copied: picture and sound are made anew.
	Encode bool
}

// minRate is the least default rate, for very small pictures.
const minRate = 400_000

// speeds are the encoders' presets that make sense on a server.
var speeds = map[string]bool{"superfast": true, "veryfast": true, "faster": true, "fast": true, "medium": true, "slow": true}

func (p Preset) withDefaults() Preset {
	crf, rate := 23, int64(6_000_000)
	if p.Codec == H265 {
		crf, rate = 27, 4_000_000
	}
	p.ShortEdge = cmp.Or(p.ShortEdge, p.LongEdge*9/16)
	p.CRF = cmp.Or(p.CRF, crf)
	p.Speed = cmp.Or(p.Speed, "veryfast")
	p.MaxRate = cmp.Or(p.MaxRate, max(minRate, rate*int64(p.LongEdge)*int64(p.ShortEdge)/(1920*1080)))
	p.MaxFPS = cmp.Or(p.MaxFPS, 60)
	p.AudioRate = cmp.Or(p.AudioRate, 128_000)
	return p
}

// check refuses what no encoder can do.
func (p Preset) check() error {
	switch {
	case p.Codec != H264 && p.Codec != H265:
		return fmt.Errorf("preset %s: no codec %q", p.Name, p.Codec)
	case p.ShortEdge < 2 || p.LongEdge < p.ShortEdge || p.LongEdge > 7680:
		return fmt.Errorf("preset %s: impossible edges %d and %d", p.Name, p.LongEdge, p.ShortEdge)
	case p.CRF < 1 || p.CRF > 51 || p.MaxRate < 10_000 || p.MaxRate > 1_000_000_000 || p.AudioRate < 8_000 || p.AudioRate > 512_000:
		return fmt.Errorf("preset %s: impossible quality or rates %+v", p.Name, p)
	case p.MaxFPS < 1 || p.MaxFPS > 240:
		return fmt.Errorf("preset %s: impossible frame rate %d", p.Name, p.MaxFPS)
	case !speeds[p.Speed]:
		return fmt.Errorf("preset %s: no speed %q", p.Name, p.Speed)
	}
	return nil
}
