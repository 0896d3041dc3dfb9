package ffmpeg

import (
	"slices"
	"strconv"
	"strings"
)

// decoders are those that may run, by codec: what phones, cameras, screen recorders and editors write into MP4,
// QuickTime, Matroska and WebM files.
var decoders = map[string][]string{
	"h264":   {"h264"},
	"hevc":   {"hevc"},
	"vp8":    {"vp8"},
	"vp9":    {"vp9"},
	"av1":    {"libdav1d", "av1"},
	"mpeg4":  {"mpeg4"},
	"mjpeg":  {"mjpeg"},
	"prores": {"prores"},

	"aac":       {"aac"},
	"mp3":       {"mp3float", "mp3"},
	"opus":      {"opus"},
	"vorbis":    {"vorbis"},
	"flac":      {"flac"},
	"alac":      {"alac"},
	"ac3":       {"ac3"},
	"eac3":      {"eac3"},
	"pcm_s16le": {"pcm_s16le"},
	"pcm_s16be": {"pcm_s16be"},
	"pcm_s24le": {"pcm_s24le"},
	"pcm_s24be": {"pcm_s24be"},
	"pcm_s32le": {"pcm_s32le"},
	"pcm_s32be": {"pcm_s32be"},
	"pcm_f32le": {"pcm_f32le"},
	"pcm_f32be": {"pcm_f32be"},
}

// bystanders are further decoders that ffprobe opens for tracks that are never used, captions and cover pictures: it
// gives up on a file when it must not open one.
var bystanders = []string{"mov_text", "srt", "subrip", "ass", "ssa", "webvtt", "text", "pgssub", "dvdsub", "dvbsub", "png"}

// decoderList is the argument of -codec_whitelist.
func decoderList(more ...string) string {
	names := slices.Clone(more)
	for _, n := range decoders {
		names = append(names, n...)
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// input is a file of foreign bytes that a child reads.
type input struct {
	path      string
	container container
}

// url keeps ffmpeg from reading a protocol into the path.
func (in input) url() string { return "file:" + in.path }

// options are those of every run on the file, by their names without the dash. One demuxer, one protocol, the
// decoders above, bounded memory; the rest of the limits is the sandbox's.
func (in input) options(maxStreams, threads int) map[string]string {
	o := map[string]string{
		"f":                  string(in.container),
		"format_whitelist":   string(in.container),
		"protocol_whitelist": "file",
		"codec_whitelist":    decoderList(),
		"max_streams":        strconv.Itoa(maxStreams),
		"probesize":          "10M",
		"analyzeduration":    "10M", // microseconds
		"threads":            strconv.Itoa(threads),
	}
	if in.container == isoMedia {
		// References to data in other files are never followed; these are ffmpeg's defaults, but they matter here.
		o["enable_drefs"] = "0"
		o["use_absolute_path"] = "0"
	}
	return o
}

// Of the largest single piece of memory that ffmpeg may ask for.
const (
	// pixelBytes are those of a frame with 16 bits in each of four planes.
	pixelBytes = 8
	// minAlloc is for what does not grow with the frames: the index of hours, packets, what filters keep.
	minAlloc = 256 << 20
)

// maxAlloc is the argument of -max_alloc.
func (l Limits) maxAlloc() string {
	return strconv.FormatInt(max(minAlloc, l.MaxPixels*pixelBytes), 10)
}
