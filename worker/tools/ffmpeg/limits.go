package ffmpeg

import (
	"fmt"
	"time"

	"gatehouse/storage"
)

// allow checks what the probe found. All limits that hold while a child runs are in run.go.
func (l Limits) allow(m media) error {
	if m.streams > l.MaxStreams {
		return &Unplayable{storage.ReasonVideoTooManyStreams, fmt.Sprintf("%d streams", m.streams)}
	}
	v := m.video
	if v == nil {
		return &Unplayable{storage.ReasonVideoNoPicture, fmt.Sprintf("%d streams", m.streams)}
	}
	if decoders[v.codec] == nil {
		return &Unplayable{storage.ReasonVideoCodec, fmt.Sprintf("picture codec %q", v.codec)}
	}
	if m.audio != nil && decoders[m.audio.codec] == nil {
		return &Unplayable{storage.ReasonVideoCodec, fmt.Sprintf("sound codec %q", m.audio.codec)}
	}
	width, height := v.shown()
	if pixels := max(int64(v.width)*int64(v.height), int64(width)*int64(height)); pixels > l.MaxPixels {
		return &Unplayable{storage.ReasonVideoTooManyPixels, fmt.Sprintf("%d x %d", width, height)}
	}
	if v.width == 0 || v.height == 0 || v.pixels == "" {
		return &Unplayable{storage.ReasonVideoDamaged, "no frame could be decoded"}
	}
	if m.audio != nil && (m.audio.channels == 0 || m.audio.rate == 0) {
		return &Unplayable{storage.ReasonVideoDamaged, "the sound could not be decoded"}
	}
	if m.duration <= 0 {
		return &Unplayable{storage.ReasonVideoDamaged, "it has no duration"}
	}
	if m.duration > l.MaxDuration {
		return &Unplayable{storage.ReasonVideoTooLong, m.duration.String()}
	}
	if rate := m.bitRate(); rate > l.MaxBitRate {
		return &Unplayable{storage.ReasonVideoBitRate, fmt.Sprintf("%d bits a second", rate)}
	}
	return nil
}

// bitRate is of the whole file, bits a second. Less than a second counts as one: a few frames have no rate to
// speak of.
func (m media) bitRate() int64 {
	return int64(float64(m.size) * 8 / max(m.duration, time.Second).Seconds())
}

// shown is the size after turning, with square pixels. Wide pixels widen, as players do.
func (v videoTrack) shown() (width, height int) {
	width, height = v.square()
	if v.turn.sideways() {
		return height, width
	}
	return width, height
}

// square is the size before turning, with square pixels.
func (v videoTrack) square() (width, height int) {
	wide := (int64(v.width)*int64(v.aspect.num) + int64(v.aspect.den)/2) / int64(v.aspect.den)
	return max(1, int(wide)), v.height
}

func (m media) facts() Facts {
	width, height := m.video.shown()
	f := Facts{
		Duration: m.duration, Width: width, Height: height, FPS: m.video.rate(), VideoCodec: m.video.codec,
	}
	if m.audio != nil {
		f.AudioCodec = m.audio.codec
	}
	return f
}

// rate is the average of frames a second, or the best guess.
func (v videoTrack) rate() float64 {
	if v.fps > 0 {
		return v.fps
	}
	return v.peak
}
