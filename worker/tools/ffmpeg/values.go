package ffmpeg

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// What is believed of numbers in a report. All beyond is damage, or an attack on arithmetic.
const (
	maxSide     = 1 << 16
	maxDuration = 1000 * time.Hour
	maxRate     = 1e6 // frames a second
	maxAspect   = 32  // of a sample, either way
	maxChannels = 64
)

func (s reportStream) video() (videoTrack, error) {
	if s.Width < 0 || s.Height < 0 || s.Width > maxSide || s.Height > maxSide {
		return videoTrack{}, fmt.Errorf("a picture of %d x %d", s.Width, s.Height)
	}
	v := videoTrack{
		index: s.Index, codec: s.Codec, profile: s.Profile, tag: s.Tag, level: s.Level, width: s.Width, height: s.Height,
		aspect: sampleAspect(s.Aspect), pixels: s.Pixels, fields: known(s.Fields),
		colour:    colour{s.Range == "pc" || strings.HasPrefix(s.Pixels, "yuvj"), known(s.Space), known(s.Transfer), known(s.Primaries)},
		isDefault: s.Disposition.Default != 0,
	}
	for _, side := range s.SideData {
		if side.Matrix != "" {
			v.turn = turnOf(side.Matrix)
		}
	}
	var err error
	if v.fps, err = frameRate(s.AverageRate); err != nil {
		return videoTrack{}, err
	}
	if v.peak, err = frameRate(s.Rate); err != nil {
		return videoTrack{}, err
	}
	if v.bitRate, err = strconv.ParseInt(cmp.Or(s.BitRate, "0"), 10, 64); err != nil || v.bitRate < 0 {
		v.bitRate = 0 // not known
	}
	v.duration, err = s.length()
	return v, err
}

func (s reportStream) audio() (audioTrack, error) {
	a := audioTrack{
		index: s.Index, codec: s.Codec, profile: s.Profile, channels: s.Channels, layout: known(s.Layout),
		isDefault: s.Disposition.Default != 0,
	}
	if a.channels < 0 || a.channels > maxChannels {
		return audioTrack{}, fmt.Errorf("%d channels", a.channels)
	}
	var err error
	if s.SampleRate != "" {
		if a.rate, err = strconv.Atoi(s.SampleRate); err != nil || a.rate < 0 || a.rate > 1<<20 {
			return audioTrack{}, fmt.Errorf("a sample rate of %q", s.SampleRate)
		}
	}
	a.duration, err = s.length()
	return a, err
}

// length is how long the stream lasts; Matroska has it in a tag.
func (s reportStream) length() (time.Duration, error) {
	if s.Duration != "" {
		return duration(s.Duration)
	}
	hours, rest, ok := strings.Cut(s.Tags.Duration, ":")
	minutes, seconds, ok2 := strings.Cut(rest, ":")
	if !ok || !ok2 {
		return 0, nil
	}
	h, err := strconv.ParseUint(hours, 10, 16)
	m, err2 := strconv.ParseUint(minutes, 10, 8)
	d, err3 := duration(strings.TrimRight(seconds, "\x00"))
	if err != nil || err2 != nil || err3 != nil {
		return 0, nil // a free text, for all we know
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + d, nil
}

// known maps ffmpeg's words for not knowing to "".
func known(s string) string {
	if s == "unknown" || s == "unspecified" || s == "reserved" {
		return ""
	}
	return s
}

// duration reads seconds; "" and "N/A" are 0.
func duration(s string) (time.Duration, error) {
	if s == "" || s == "N/A" {
		return 0, nil
	}
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 || seconds > maxDuration.Seconds() {
		return 0, fmt.Errorf("a duration of %q", s)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// frameRate reads a fraction; 0 is not known.
func frameRate(s string) (float64, error) {
	num, den, err := fraction(s, "/")
	if err != nil {
		return 0, fmt.Errorf("a frame rate of %q", s)
	}
	if num == 0 || den == 0 {
		return 0, nil
	}
	rate := float64(num) / float64(den)
	if rate < 0 || rate > maxRate {
		return 0, fmt.Errorf("a frame rate of %q", s)
	}
	return rate, nil
}

// sampleAspect reads a ratio. What makes no sense is taken for square, as players do.
func sampleAspect(s string) ratio {
	num, den, err := fraction(s, ":")
	if err != nil || num <= 0 || den <= 0 || num/den > maxAspect || den/num > maxAspect {
		return ratio{1, 1}
	}
	return ratio{num, den}
}

func fraction(s, by string) (num, den int, err error) {
	if s == "" || s == "N/A" {
		return 0, 0, nil
	}
	left, right, ok := strings.Cut(s, by)
	if !ok {
		return 0, 0, fmt.Errorf("no fraction: %q", s)
	}
	n, err := strconv.ParseInt(left, 10, 32)
	if err != nil {
		return 0, 0, err
	}
	d, err := strconv.ParseInt(right, 10, 32)
	return int(n), int(d), err
}
