package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	graph "github.com/u2takey/ffmpeg-go"

	"gatehouse/storage"
)

// lookTimeout is the most for one look, by the clock.
const lookTimeout = 3 * time.Minute

// lookPart is which part of what a whole video may take one look may.
const lookPart = 4

// posterEdges bound a poster like a variant of full size.
const (
	posterLong  = 1920
	posterShort = 1080
)

// look is one way to search for a poster.
type look struct {
	from, length time.Duration
	// every is whether all frames are decoded and not only key frames, which stand alone and are a tenth of the work.
	every bool
	// dark is whether a black frame will do.
	dark bool
	// batch is among how many frames the most representative one is sought. 1 takes the first, with one thread: that is
	// far less work and memory than any variant takes.
	batch int
}

// looks are tried in turn: the beginning, where videos say what they are; then, when that is black, its frames
// between the key frames, the middle and the end; then whatever there is, down to the first key frame, and the first
// frame that can be decoded at all.
func (l Limits) looks(total time.Duration) []look {
	return []look{
		{0, time.Minute, false, false, 20},
		{0, 20 * time.Second, true, false, 50},
		{total / 2, time.Minute, false, false, 20},
		{total * 9 / 10, time.Minute, true, false, 50},
		{0, time.Minute, false, true, 20},
		{0, l.MaxDuration, false, true, 1},
		{0, l.MaxDuration, true, true, 1},
	}
}

// bright is the luma above which the brightest tenth of a frame must lie, 0 to 255; black is 16.
const bright = 40

// Poster gives a frame that can stand for the video, as PNG: upright, with square pixels and standard dynamic range, at
// most 1920 x 1080 on its own axis, not black unless all is black. The file stands at its beginning; it has no name any
// more and belongs to the caller, who closes it.
//
// What one look finds too dear, or trips over, others may not: the video is at fault only when none finds a frame.
func (v *Video) Poster(ctx context.Context) (*os.File, error) {
	worst := &Unplayable{storage.ReasonVideoDamaged, "no frame could be decoded"}
	for _, l := range v.r.cfg.Limits.looks(v.media.duration) {
		f, err := v.look(ctx, l)
		if f != nil {
			return f, nil
		}
		bad, ok := errors.AsType[*Unplayable](err)
		if err != nil && !ok {
			return nil, fmt.Errorf("make a poster: %w", err)
		}
		if ok && bad.Reason != storage.ReasonVideoDamaged { // which says least
			worst = bad
		}
	}
	return nil, fmt.Errorf("make a poster: %w", worst)
}

// look is nil, nil when it found no frame.
func (v *Video) look(ctx context.Context, l look) (_ *os.File, err error) {
	f, path, err := v.create("poster")
	if err != nil {
		return nil, err
	}
	found := false
	defer func() {
		err = errors.Join(err, os.Remove(path))
		if !found || err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	width, height := v.media.video.shown()
	size := fit(width, height, posterLong, posterShort)
	args, err := v.r.cfg.Limits.arguments(func() *graph.Stream { return v.posterGraph(l, size, path) })
	if err != nil {
		return nil, err
	}
	limits := v.r.cfg.Limits
	err = v.r.run(ctx, job{
		program: v.r.cfg.FFmpeg, args: args, read: v.in.path, write: path,
		timeout: min(lookTimeout, limits.Timeout/lookPart), cpu: min(lookTimeout*time.Duration(v.r.cfg.Threads), limits.CPU/lookPart),
	})
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return nil, err
	}
	if err := checkPoster(f, size); err != nil {
		return nil, err
	}
	found = true
	return f, nil
}

func (v *Video) posterGraph(l look, size frameSize, to string) *graph.Stream {
	more := map[string]string{"t": seconds(l.length)}
	if l.from > 0 {
		more["ss"] = seconds(l.from)
	}
	if !l.every {
		more["skip_frame"] = "nokey"
	}
	threads := v.r.cfg.Threads
	if l.batch == 1 {
		threads = 1
	}
	s := track(v.in.source(v.r.cfg.Limits.MaxStreams, threads, more), v.media.video.index)
	s = through(s, v.media.video.picture(size, 0))
	if !l.dark {
		s = through(s, []filter{
			{"signalstats", nil},
			{"metadata", []string{"mode=select", "key=lavfi.signalstats.YHIGH", "function=greater", "value=" + strconv.Itoa(bright)}},
		})
	}
	if l.batch > 1 {
		s = through(s, []filter{{"thumbnail", []string{"n=" + strconv.Itoa(l.batch)}}})
	}
	s = through(s, []filter{{"scale", nil}, {"format", []string{"pix_fmts=rgb24"}}})
	o := outputOptions("image2pipe")
	o["c:v"] = "png"
	o["frames:v"] = 1
	o["an"] = ""
	return graph.Output([]*graph.Stream{s}, "file:"+to, o)
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }

// checkPoster looks at the picture before it is believed, and leaves the file at its beginning.
func checkPoster(f *os.File, size frameSize) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	config, err := png.DecodeConfig(f)
	if err != nil || config.Width != size.width || config.Height != size.height {
		return &Unplayable{storage.ReasonVideoCrashed, fmt.Sprintf("%s is no poster of %v: %d x %d, %v", filepath.Base(f.Name()), size, config.Width, config.Height, err)}
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}
