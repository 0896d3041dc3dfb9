package ffmpeg

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	graph "github.com/u2takey/ffmpeg-go"
)

// maxCropped is how many rows or columns of a picture a stream may hide: codes need sides that are multiples of 16.
const maxCropped = 15

// honest is whether the picture is what its header says from the first packet to the last, so that a copy holds what
// is shown and nothing else. In doubt it is not, and has to be encoded.
func (v *Video) honest(ctx context.Context) (bool, error) {
	if v.checked {
		return v.copyable, nil
	}
	for _, check := range []func(context.Context) (bool, error){v.uncut, v.uncropped, v.unchanging} {
		ok, err := check(ctx)
		if err != nil && !errors.Is(err, ErrUnplayable) {
			return false, fmt.Errorf("look for what a copy would hide: %w", err)
		}
		if err != nil || !ok {
			v.checked = true
			return false, nil
		}
	}
	v.checked, v.copyable = true, true
	return true, nil
}

// uncut is whether every packet is shown: edit lists can hide any, at any place.
func (v *Video) uncut(ctx context.Context) (bool, error) {
	flags := &packetFlags{}
	err := v.ask(ctx, flags, measureTimeout, "-of", "csv=p=0", "-show_entries", "packet=flags:packet_side_data=side_data_type")
	return flags.first == 'K' && !flags.others, err
}

// packetFlags reads the flags of packets, such as K_. All but K hide or change something, and so does side data.
type packetFlags struct {
	first  byte
	others bool
}

func (f *packetFlags) Write(b []byte) (int, error) {
	if f.first == 0 && len(b) > 0 {
		f.first = b[0]
	}
	f.others = f.others || strings.Trim(string(b), "K_\n") != ""
	return len(b), nil
}

// uncropped is whether the header has one set of parameters, with nearly all of the picture shown.
func (v *Video) uncropped(ctx context.Context) (bool, error) {
	said := &bounded{max: streamReport << 3}
	// The coded size is known once a frame is decoded.
	err := v.ask(ctx, said, probeTimeout, "-of", "json=compact=1", "-show_data", "-read_intervals", "%+#1",
		"-show_entries", "stream=width,height,coded_width,coded_height,extradata:frame=width,height")
	if err != nil || said.over {
		return false, err
	}
	var answer struct {
		Streams []struct {
			Width       int    `json:"width"`
			Height      int    `json:"height"`
			CodedWidth  int    `json:"coded_width"`
			CodedHeight int    `json:"coded_height"`
			Header      string `json:"extradata"`
		} `json:"streams"`
		Frames []struct {
			Width  int `json:"width"`
			Height int `json:"height"`
		} `json:"frames"`
	}
	if json.Unmarshal(said.kept.Bytes(), &answer) != nil || len(answer.Streams) != 1 || len(answer.Frames) == 0 {
		return false, nil
	}
	s, f := answer.Streams[0], answer.Frames[0]
	sets := parameterSets(v.media.video.codec, dumped(s.Header))
	return sets == 1 && s.Width == f.Width && s.Height == f.Height &&
		s.CodedWidth >= s.Width && s.CodedWidth-s.Width <= maxCropped &&
		s.CodedHeight >= s.Height && s.CodedHeight-s.Height <= maxCropped, nil
}

// dumped reads ffprobe's dump: lines such as "00000000: 0164 000a ffe1 0019  .d......".
func dumped(text string) []byte {
	var all []byte
	for line := range strings.Lines(text) {
		_, rest, ok := strings.Cut(line, ": ")
		if !ok {
			continue
		}
		digits, _, _ := strings.Cut(rest, "  ")
		b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		if err != nil {
			return nil
		}
		all = append(all, b...)
	}
	return all
}

// parameterSets counts the sequence parameter sets of an AVCDecoderConfigurationRecord or its HEVC twin (ISO/IEC
// 14496-15, 5.3.3.1 and 8.3.3.1); 0 for what is neither. Pictures can take turns with several, each of another size.
func parameterSets(codec string, record []byte) int {
	const hevcFixed, hevcSPS = 22, 33
	switch {
	case len(record) > 5 && record[0] == 1 && codec == codecNames[H264]:
		return int(record[5] & 0x1f)
	case len(record) <= hevcFixed || record[0] != 1:
		return 0
	}
	sets, rest := 0, record[hevcFixed+1:]
	for range record[hevcFixed] {
		if len(rest) < 3 {
			return 0
		}
		kind, units := rest[0]&0x3f, int(rest[1])<<8|int(rest[2])
		rest = rest[3:]
		if kind == hevcSPS {
			sets += units
		}
		for range units {
			if len(rest) < 2 || len(rest) < 2+(int(rest[0])<<8|int(rest[1])) {
				return 0
			}
			rest = rest[2+(int(rest[0])<<8|int(rest[1])):]
		}
	}
	return sets
}

// parameterUnits are the NAL types of parameter sets.
var parameterUnits = map[string]string{"h264": "7-8", "hevc": "32-34"}

// unchanging is whether no parameter sets stand between the pictures: they could change the size or the colours.
func (v *Video) unchanging(ctx context.Context) (ok bool, err error) {
	f, path, err := v.create("parameters")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(path)) }()
	limits := v.r.cfg.Limits
	args, err := limits.arguments(func() *graph.Stream {
		picture := track(v.in.source(limits.MaxStreams, 1, nil), v.media.video.index)
		o := outputOptions("data")
		o["c"], o["bsf"], o["fs"] = "copy", "filter_units=pass_types="+parameterUnits[v.media.video.codec], "1"
		return graph.Output([]*graph.Stream{picture}, "file:"+path, o)
	})
	if err != nil {
		return false, err
	}
	err = v.r.run(ctx, job{
		program: v.r.cfg.FFmpeg, args: append([]string{"-xerror"}, args...), stdout: io.Discard, read: v.in.path, write: path,
		timeout: min(measureTimeout, limits.Timeout), cpu: min(measureTimeout, limits.CPU),
	})
	if err != nil {
		return false, err
	}
	info, err := f.Stat()
	return err == nil && info.Size() == 0, err
}

// ask has ffprobe tell about the picture's track.
func (v *Video) ask(ctx context.Context, to io.Writer, limit time.Duration, entries ...string) error {
	limits := v.r.cfg.Limits
	args := []string{"-hide_banner", "-v", "error", "-max_alloc", limits.maxAlloc()}
	options := v.in.options(limits.MaxStreams, 1)
	options["codec_whitelist"] = decoderList(bystanders...)
	for _, name := range slices.Sorted(maps.Keys(options)) {
		args = append(args, "-"+name, options[name])
	}
	args = append(args, "-select_streams", strconv.Itoa(v.media.video.index))
	args = append(append(args, entries...), "-i", v.in.url())
	return v.r.run(ctx, job{
		program: v.r.cfg.FFprobe, args: args, stdout: to, read: v.in.path,
		timeout: min(limit, limits.Timeout), cpu: min(limit, limits.CPU),
	})
}
