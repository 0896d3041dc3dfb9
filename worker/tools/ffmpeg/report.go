package ffmpeg

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// media is what ffprobe says of a file, checked.
type media struct {
	container container
	size      int64
	// duration is of the whole file, 0 when it does not say; used is how long the tracks last that are used. Neither
	// is exact: a track's does not count the delay of reordered pictures.
	duration, used time.Duration
	streams        int
	// late is whether the file's clock begins so late that its duration may count from 0.
	late bool
	// video is nil when there is none.
	video *videoTrack
	// audio is nil when there is none.
	audio *audioTrack
}

type videoTrack struct {
	index          int
	codec, profile string
	tag            string
	level          int
	width, height  int // as stored
	aspect         ratio
	turn           turn
	pixels         string // ffmpeg's pixel format
	fields         string // "progressive", "" when not known
	fps, peak      float64
	colour         colour
	isDefault      bool
	duration       time.Duration
	bitRate        int64 // 0: not known
	// whole is whether the track begins with a key frame that is shown. What an editor has cut off the beginning is
	// often still there, behind a mark to skip it.
	whole bool
}

type audioTrack struct {
	index          int
	codec, profile string
	rate, channels int
	layout         string
	isDefault      bool
	duration       time.Duration
}

// colour has ffmpeg's names; "" means not known.
type colour struct {
	full                       bool
	space, transfer, primaries string
}

// ratio is a sample's width to its height.
type ratio struct{ num, den int }

// report is ffprobe's JSON. All numbers that ffmpeg prints as texts are texts.
type report struct {
	Packets []struct {
		Stream int    `json:"stream_index"`
		Flags  string `json:"flags"`
	} `json:"packets"`
	Streams []reportStream `json:"streams"`
	Format  struct {
		Start    string `json:"start_time"`
		Duration string `json:"duration"`
		Streams  int    `json:"nb_streams"`
	} `json:"format"`
}

type reportStream struct {
	Index       int    `json:"index"`
	Type        string `json:"codec_type"`
	Codec       string `json:"codec_name"`
	Profile     string `json:"profile"`
	Level       int    `json:"level"`
	Tag         string `json:"codec_tag_string"`
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	Aspect      string `json:"sample_aspect_ratio"`
	Pixels      string `json:"pix_fmt"`
	Fields      string `json:"field_order"`
	Range       string `json:"color_range"`
	Space       string `json:"color_space"`
	Transfer    string `json:"color_transfer"`
	Primaries   string `json:"color_primaries"`
	AverageRate string `json:"avg_frame_rate"`
	Rate        string `json:"r_frame_rate"`
	Duration    string `json:"duration"`
	BitRate     string `json:"bit_rate"`
	SampleRate  string `json:"sample_rate"`
	Channels    int    `json:"channels"`
	Layout      string `json:"channel_layout"`
	Disposition struct {
		Default  int `json:"default"`
		Attached int `json:"attached_pic"`
	} `json:"disposition"`
	Tags struct {
		Duration string `json:"DURATION"`
	} `json:"tags"`
	SideData []struct {
		Type   string `json:"side_data_type"`
		Matrix string `json:"displaymatrix"`
	} `json:"side_data_list"`
}

// rank orders tracks of one kind: what can be decoded goes before what cannot (phones add a second sound track of
// their own kind), and a default one before others.
func rank(codec string, isDefault bool) int {
	n := 0
	if decoders[codec] != nil {
		n += 2
	}
	if isDefault {
		n++
	}
	return n
}

// parseReport reads and checks ffprobe's answer. Of tracks of one rank the first is taken.
func parseReport(text []byte) (media, error) {
	var p report
	if err := json.Unmarshal(text, &p); err != nil {
		return media{}, err
	}
	m := media{streams: len(p.Streams)}
	if p.Format.Streams != len(p.Streams) {
		return media{}, fmt.Errorf("%d streams and %d descriptions", p.Format.Streams, len(p.Streams))
	}
	for _, s := range p.Streams {
		if s.Index < 0 || s.Index >= len(p.Streams) {
			return media{}, fmt.Errorf("stream %d of %d", s.Index, len(p.Streams))
		}
		if err := m.consider(s); err != nil {
			return media{}, fmt.Errorf("stream %d: %w", s.Index, err)
		}
	}
	whole, err := duration(p.Format.Duration)
	if err != nil {
		return media{}, err
	}
	m.setDurations(whole)
	start, err := strconv.ParseFloat(p.Format.Start, 64)
	m.late = err == nil && start > maxMissing.Seconds()
	for _, packet := range p.Packets {
		if m.video != nil && packet.Stream == m.video.index {
			m.video.whole = strings.Contains(packet.Flags, "K") && !strings.Contains(packet.Flags, "D")
			break
		}
	}
	return m, nil
}

func (m *media) setDurations(whole time.Duration) {
	m.duration, m.used = whole, whole
	if m.video == nil || m.video.duration == 0 || m.audio != nil && m.audio.duration == 0 {
		return
	}
	longest := m.video.duration
	if m.audio != nil {
		longest = max(longest, m.audio.duration)
	}
	m.duration = cmp.Or(whole, longest)
	m.used = min(m.duration, longest)
}

// consider takes a track when it is better than the one of its kind so far.
func (m *media) consider(s reportStream) error {
	switch {
	case s.Type == "video" && s.Disposition.Attached == 0: // else a cover picture
		v, err := s.video()
		if err != nil {
			return err
		}
		if m.video == nil || rank(v.codec, v.isDefault) > rank(m.video.codec, m.video.isDefault) {
			m.video = &v
		}
	case s.Type == "audio":
		a, err := s.audio()
		if err != nil {
			return err
		}
		if m.audio == nil || rank(a.codec, a.isDefault) > rank(m.audio.codec, m.audio.isDefault) {
			m.audio = &a
		}
	}
	return nil
}
