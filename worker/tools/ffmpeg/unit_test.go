package ffmpeg

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	graph "github.com/u2takey/ffmpeg-go"

	"gatehouse/configs"
)

func TestFit(t *testing.T) {
	for _, row := range []struct{ w, h, long, short, wantW, wantH int }{
		{1920, 1080, 1920, 1080, 1920, 1080},
		{1080, 1920, 1920, 1080, 1080, 1920},
		{3840, 2160, 1920, 1080, 1920, 1080},
		{2160, 3840, 1920, 1080, 1080, 1920},
		{4000, 3000, 1920, 1080, 1440, 1080},
		{2560, 1080, 1920, 1080, 1920, 810},
		{853, 480, 1920, 1080, 852, 480},
		{641, 361, 1920, 1080, 640, 360},
		{1, 1, 1920, 1080, 2, 2},
		{65535, 1, 1920, 1080, 1920, 2},
		{1000, 1000, 1920, 1080, 1000, 1000},
		{1920, 1080, 1279, 719, 1278, 718},
	} {
		require.Equal(t, frameSize{row.wantW, row.wantH}, fit(row.w, row.h, row.long, row.short), "%+v", row)
	}
	for w := 1; w < 3000; w += 7 {
		for h := 1; h < 3000; h += 11 {
			b := fit(w, h, 1280, 720)
			require.True(t, b.width%2 == 0 && b.height%2 == 0 && b.width >= 2 && b.height >= 2, "%d x %d: %v", w, h, b)
			require.True(t, max(b.width, b.height) <= 1280 && min(b.width, b.height) <= 720, "%d x %d: %v", w, h, b)
			require.True(t, b.width <= max(2, w) && b.height <= max(2, h), "%d x %d: %v", w, h, b)
		}
	}
}

func TestProgress(t *testing.T) {
	var told []float64
	p := &progress{total: 10 * time.Second, upTo: 1, tell: func(s float64) { told = append(told, s) }}
	for _, text := range []string{
		"frame=1\nout_time_us=N/A\n", "out_time_us=-5\n", "out_time_us=1000", "000\nout_time_us=500000\n",
		"out_time_us=99999999999999999999\n", "out_time_us=9223372036854775807\n", "out_time_us=5000000\r\nout_time=x\n",
		"out_time_us=NaN\n", string(make([]byte, 10_000)), "\nout_time_us=60000000\n", "out_time_us=70000000\nprogress=end\n",
	} {
		n, err := p.Write([]byte(text))
		require.NoError(t, err)
		require.Equal(t, len(text), n)
	}
	p.done()
	p.done()
	require.Equal(t, []float64{0.1, 0.5, 1}, told)
}

// A copy that fails after its last frame leaves nearly all of the progress to the encoding.
func TestProgressOfAFailedCopy(t *testing.T) {
	var told []float64
	p := &progress{total: 10 * time.Second, upTo: copyShare, tell: func(s float64) { told = append(told, s) }}
	for _, run := range []string{"out_time_us=5000000\n", "out_time_us=10000000\nprogress=e"} {
		_, err := p.Write([]byte(run))
		require.NoError(t, err)
	}
	p.again(encodeShare)
	for _, run := range []string{"out_time_us=100000\n", "out_time_us=5000000\n", "out_time_us=11000000\n"} {
		_, err := p.Write([]byte(run))
		require.NoError(t, err)
	}
	p.done()
	require.InDeltaSlice(t, []float64{0.025, 0.05, 0.495, 0.99, 1}, told, 1e-9)
}

func TestConstantRate(t *testing.T) {
	for _, row := range []struct {
		fps, peak float64
		want      string
	}{
		{30, 30, ""}, {29.97, 29.97, ""}, {60.02, 60, ""}, {29.3, 30, ""}, {240, 240, "60"}, {61, 61, "60"}, {1000, 1000, "60"},
		{12, 60, "60.000"}, {12.3, 1000, "30"}, {45, 90000, "60"}, {0, 30, ""}, {24, 30, "30.000"}, {0, 0, ""},
		{2, 60, "20"}, {2, 90000, "20"}, {0.5, 30, "5"}, {0.001, 30, "5"}, {0.001, 90000, "5"}, {0.2, 1, "1.000"},
	} {
		require.Equal(t, row.want, videoTrack{fps: row.fps, peak: row.peak}.constantRate(60), "%+v", row)
	}
}

// TestGraphNeverPanics has graphs that ffmpeg-go does not like.
func TestGraphNeverPanics(t *testing.T) {
	_, err := defaultLimits.arguments(func() *graph.Stream { return graph.Output(nil, "file:x") })
	require.Error(t, err)
	_, err = defaultLimits.arguments(func() *graph.Stream { return graph.Input("x").Get("1").Get("2") })
	require.Error(t, err)
}

func TestArguments(t *testing.T) {
	m := media{duration: time.Second, video: &videoTrack{index: 3, codec: "hevc", width: 3840, height: 2160, aspect: ratio{1, 1}, turn: turn{0, 1, -1, 0}}, audio: &audioTrack{index: 1, codec: "opus", channels: 6, layout: "5.1", rate: 48000}}
	args, err := defaultLimits.arguments(func() *graph.Stream {
		return m.plan(full.withDefaults()).transcode(input{"/in", isoMedia}, m, defaultLimits, 2, "/out")
	})
	require.NoError(t, err)
	require.Equal(t, "file:/out", args[len(args)-1])
	require.Subset(t, args, []string{"-protocol_whitelist", "-format_whitelist", "-codec_whitelist", "-max_streams", "-max_alloc", "-nostdin", "-enable_drefs", "-noautorotate"})
	again, err := defaultLimits.arguments(func() *graph.Stream {
		return m.plan(full.withDefaults()).transcode(input{"/in", isoMedia}, m, defaultLimits, 2, "/out")
	})
	require.NoError(t, err)
	require.Equal(t, args, again)
}

func TestNewRunner(t *testing.T) {
	_, err := NewRunner(Config{FFmpeg: "/no/such/program", TempDir: t.TempDir()})
	require.ErrorContains(t, err, "ffmpeg is not installed")
	_, err = NewRunner(Config{FFprobe: "/no/such/program", TempDir: t.TempDir()})
	require.ErrorContains(t, err, "ffprobe is not installed")
	_, err = NewRunner(Config{TempDir: t.TempDir(), Limits: Limits{MaxPixels: -1}})
	require.ErrorContains(t, err, "negative")

	lacking := filepath.Join(t.TempDir(), "ffmpeg")
	require.NoError(t, os.WriteFile(lacking, []byte("#!/bin/sh\necho libx264 aac png mov,mp4,m4a,3gp,3g2,mj2 matroska,webm filter_units\n"), 0o700))
	_, err = NewRunner(Config{TempDir: t.TempDir(), FFmpeg: lacking})
	require.ErrorContains(t, err, "zscale")
}

// TestWithoutH265 has an ffmpeg that was built without it.
func TestWithoutH265(t *testing.T) {
	lacking := filepath.Join(t.TempDir(), "ffmpeg")
	list := "#!/bin/sh\necho"
	for _, names := range needed {
		list += " " + strings.Join(names, " ")
	}
	require.NoError(t, os.WriteFile(lacking, []byte(list+"\n"), 0o700))
	r := runner(t, Config{FFmpeg: lacking})
	require.True(t, r.CanEncode(H264))
	require.False(t, r.CanEncode(H265))
	require.False(t, r.CanEncode("vp9"))
	v := open(t, r, clip(t, "in.mp4", lavfi+"testsrc2=s=64x64:d=0.2"+x264))
	_, err := v.Transcode(t.Context(), Preset{Name: "half", Codec: H265, LongEdge: 640}, nil)
	require.ErrorContains(t, err, "preset half")
	require.ErrorContains(t, err, "no encoder for h265")
	require.NotErrorIs(t, err, ErrUnplayable)
	require.True(t, runner(t, Config{}).CanEncode(H265))
}

// TestMoreThanTheDefaults has limits that the operator has raised: what they imply rises with them.
func TestMoreThanTheDefaults(t *testing.T) {
	in := clip(t, "in.mkv", lavfi+"testsrc2=s=64x64:d=0.2 "+lavfi+"sine=d=0.2 -c:a pcm_s16le"+x264+"-map 0"+strings.Repeat(" -map 1", 900))
	v := open(t, runner(t, Config{Limits: Limits{MaxStreams: 1000}}), in)
	require.Equal(t, 901, v.media.streams)

	require.Equal(t, "800000000", Limits{MaxPixels: 100_000_000}.maxAlloc())
	require.Equal(t, "268435456", Limits{MaxPixels: 1}.maxAlloc())
}

// TestDefaultLimits holds the defaults and the documented configuration together.
func TestDefaultLimits(t *testing.T) {
	c, err := configs.Load(configs.ForWorker, "", nil)
	require.NoError(t, err)
	v := c.Videos
	require.Equal(t, Limits{
		MaxBytes: c.LargestUpload(), MaxDuration: v.MaxDuration, MaxPixels: v.MaxPixels, MaxStreams: v.MaxStreams,
		MaxBitRate: v.MaxBitsPerSecond, Timeout: v.Timeout, CPU: v.CPUTime,
		MaxOutputBytes: int64(v.MaxOutputBytes), MemoryBytes: int64(v.MemoryBytes),
	}, Limits{}.withDefaults())
}

// TestOpenRemovesLeftovers has a worker that was killed just before this one started.
func TestOpenRemovesLeftovers(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, folderPrefix+"left")
	require.NoError(t, os.Mkdir(left, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(left, inputName), []byte("upload"), 0o600))
	r := runner(t, Config{TempDir: dir})
	require.DirExists(t, left, "it could be one that is just being made")
	in := clip(t, "in.mp4", lavfi+"testsrc2=s=64x64:d=0.2"+x264)
	long := time.Now().Add(-time.Hour)
	inUse := open(t, r, in)
	for _, path := range []string{left, inUse.folder.Path} {
		require.NoError(t, os.Chtimes(path, long, long))
	}
	open(t, r, in)
	require.NoDirExists(t, left)
	require.FileExists(t, inUse.in.path)
}

func TestImpossiblePresets(t *testing.T) {
	for _, p := range []Preset{
		{}, {Codec: "vp9", LongEdge: 640}, {Codec: H264}, {Codec: H264, LongEdge: 1}, {Codec: H264, LongEdge: 99999}, {Codec: H264, LongEdge: 640, CRF: 99},
		{Codec: H264, LongEdge: 640, Speed: "x"}, {Codec: H264, LongEdge: 640, MaxFPS: -1}, {Codec: H264, LongEdge: 640, ShortEdge: 641}, {Codec: H265, LongEdge: 640, MaxRate: -1},
	} {
		require.Error(t, p.withDefaults().check(), "%+v", p)
	}
	require.NoError(t, Preset{Codec: H265, LongEdge: 1920}.withDefaults().check())
}
