package mediatest

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// Probed is what ffprobe tells of a file.
type Probed struct {
	Streams []Stream
	Format  struct {
		Name     string            `json:"format_name"`
		Duration float64           `json:"duration,string"`
		BitRate  int64             `json:"bit_rate,string"`
		Tags     map[string]string `json:"tags"`
	}
}

// Stream is a part of a file: pictures, sound or data.
type Stream struct {
	Type          string            `json:"codec_type"`
	Codec         string            `json:"codec_name"`
	Profile       string            `json:"profile"`
	Tag           string            `json:"codec_tag_string"`
	Level         int               `json:"level"`
	Width         int               `json:"width"`
	Height        int               `json:"height"`
	PixelFormat   string            `json:"pix_fmt"`
	PixelShape    string            `json:"sample_aspect_ratio"`
	Transfer      string            `json:"color_transfer"`
	Primaries     string            `json:"color_primaries"`
	Matrix        string            `json:"color_space"`
	Range         string            `json:"color_range"`
	FrameRate     string            `json:"r_frame_rate"`
	MeanRate      string            `json:"avg_frame_rate"`
	Frames        string            `json:"nb_frames"`
	Channels      int               `json:"channels"`
	ChannelLayout string            `json:"channel_layout"`
	SampleRate    string            `json:"sample_rate"`
	Duration      string            `json:"duration"`
	Tags          map[string]string `json:"tags"`
	SideData      []SideData        `json:"side_data_list"`
}

// SideData is what a stream carries beside its frames: a rotation, the brightness of a screen.
type SideData struct {
	Type     string `json:"side_data_type"`
	Rotation int    `json:"rotation"`
}

// Rotation is the turn that players must make, against the clock in degrees, 0 when there is none.
func (s Stream) Rotation() int {
	for _, d := range s.SideData {
		if d.Rotation != 0 {
			return d.Rotation
		}
	}
	return 0
}

// Of returns the streams of a type: video, audio, data.
func (p Probed) Of(kind string) []Stream {
	var list []Stream
	for _, s := range p.Streams {
		if s.Type == kind {
			list = append(list, s)
		}
	}
	return list
}

// Probe asks ffprobe about a file.
func Probe(t testing.TB, path string) Probed {
	t.Helper()
	out := run(t, nil, "ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", path)
	var p Probed
	require.NoError(t, json.Unmarshal(out, &p), string(out))
	return p
}
