package ffmpeg

import (
	"fmt"
	"strconv"

	graph "github.com/u2takey/ffmpeg-go"
)

// arguments builds the arguments of one output from one input. ffmpeg-go panics on graphs that it does not like.
func (l Limits) arguments(build func() *graph.Stream) (args []string, err error) {
	defer func() {
		if p := recover(); p != nil {
			args, err = nil, fmt.Errorf("build the arguments: %v", p)
		}
	}()
	return append([]string{
		"-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning", "-progress", "pipe:1", "-stats_period", "0.5",
		"-max_alloc", l.maxAlloc(), "-filter_complex_threads", "1", "-y",
	}, build().GetArgs()...), nil
}

// source is the input node.
func (in input) source(maxStreams, threads int, more map[string]string) *graph.Stream {
	o := graph.KwArgs{}
	for name, value := range in.options(maxStreams, threads) {
		o[name] = value
	}
	for name, value := range more {
		o[name] = value
	}
	o["noautorotate"] = "" // see turn.go
	return graph.Input(in.url(), o)
}

func track(source *graph.Stream, index int) *graph.Stream { return source.Get(strconv.Itoa(index)) }

func through(s *graph.Stream, chain []filter) *graph.Stream {
	for _, f := range chain {
		s = s.Filter(f.name, f.args)
	}
	return s
}

// options are those of every output: nothing but the mapped tracks, and the same bytes for the same input.
func outputOptions(format string) graph.KwArgs {
	return graph.KwArgs{
		"f": format, "map_metadata": "-1", "map_metadata:s": "-1", "map_chapters": "-1", "sn": "", "dn": "",
		"fflags": "+bitexact", "flags:v": "+bitexact", "flags:a": "+bitexact",
	}
}

// transcode is the graph of a variant.
func (p plan) transcode(in input, m media, l Limits, threads int, to string) *graph.Stream {
	source := in.source(l.MaxStreams, threads, map[string]string{
		// One second more than allowed, so that a file that lies about its duration shows.
		"t": strconv.FormatFloat(l.MaxDuration.Seconds()+1, 'f', 3, 64),
	})
	o := outputOptions("mp4")
	o["movflags"] = "+faststart"
	o["max_muxing_queue_size"] = "1024"
	picture := track(source, m.video.index)
	if p.copyVideo {
		p.copyPicture(o)
	} else {
		picture = through(picture, m.video.picture(p.size, p.preset.MaxFPS))
		p.encodePicture(o, threads)
	}
	tracks := []*graph.Stream{picture}
	if m.audio != nil {
		tracks = append(tracks, p.sound(track(source, m.audio.index), *m.audio, o))
	}
	return graph.Output(tracks, "file:"+to, o)
}

// copyPicture takes the picture as it is, but for messages between the pictures (SEI): they can hold anything. With
// them go captions and the timing of fields, which pictures that are copied do not have.
func (p plan) copyPicture(o graph.KwArgs) {
	o["c:v"] = "copy"
	if p.preset.Codec == H265 {
		o["tag:v"] = "hvc1"
		o["bsf:v"] = "filter_units=pass_types=0-9|16-21|32-34" // slices and parameter sets: no messages, nor delimiters, filler, reserved (10-15, 22-31, 41-47) and private types
		return
	}
	o["tag:v"] = "avc1"
	o["bsf:v"] = "filter_units=pass_types=1-5|7-8" // slices and parameter sets: no messages, nor delimiters, filler, reserved and private types
}

func (p plan) encodePicture(o graph.KwArgs, threads int) {
	rate := p.preset.MaxRate
	o["crf"] = p.preset.CRF
	o["preset"] = p.preset.Speed
	o["pix_fmt"] = "yuv420p"
	o["fpsmax"] = p.preset.MaxFPS
	o["fps_mode"] = "vfr"
	o["maxrate:v"] = strconv.FormatInt(rate, 10)
	o["bufsize:v"] = strconv.FormatInt(2*rate, 10)
	o["threads:v"] = threads
	if p.preset.Codec == H265 {
		o["c:v"] = "libx265"
		o["tag:v"] = "hvc1" // what Apple's players want
		o["profile:v"] = "main"
		o["x265-params"] = fmt.Sprintf("log-level=error:pools=%d:info=0", threads)
		return
	}
	o["c:v"] = "libx264"
	o["tag:v"] = "avc1"
	o["profile:v"] = "high"
	o["bsf:v"] = "filter_units=remove_types=6" // x264 writes its settings there
}

// sound takes the sound as it is or encodes it as AAC with at most two channels. A copy keeps what AAC carries in fill
// elements, where encoders write their names: no filter of ffmpeg takes them out. Who cannot have that sets Encode.
func (p plan) sound(s *graph.Stream, a audioTrack, o graph.KwArgs) *graph.Stream {
	o["tag:a"] = "mp4a"
	if p.copyAudio {
		o["c:a"] = "copy"
		return s
	}
	channels := min(2, a.channels)
	o["c:a"] = "aac"
	o["b:a"] = strconv.FormatInt(p.preset.AudioRate*int64(channels)/2, 10)
	o["ac"] = channels
	if a.rate != 44100 {
		o["ar"] = 48000
	}
	if a.channels > 2 && a.layout == "" {
		// Nobody knows what the channels are: the first two are the best guess, and there is no rule to mix them.
		return through(s, []filter{{"pan", []string{"stereo|c0=c0|c1=c1"}}})
	}
	return s
}
