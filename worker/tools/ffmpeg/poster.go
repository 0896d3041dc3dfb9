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

// posterTimeout is for one look, by the clock and by the processor.
const posterTimeout = 2 * time.Minute

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
	// batch is among how many frames the most representative one is sought.
	batch int
}

// looks are tried in turn: the beginning, where videos say what they are; then, when that is black, its frames
// between the key frames, the middle and the end; and then whatever there is.
func looks(total time.Duration) []look {
	return []look{
		{0, time.Minute, false, false, 20},
		{0, 20 * time.Second, true, false, 50},
		{total / 2, time.Minute, false, false, 20},
		{total * 9 / 10, time.Minute, true, false, 50},
		{0, time.Minute, false, true, 20},
	}
}

// bright is the luma above which the brightest tenth of a frame must lie, 0 to 255; black is 16.
const bright = 40

// Poster gives a frame that can stand for the video, as PNG: upright, with square pixels and standard dynamic range, at
// most 1920 x 1080 on its own axis, not black unless all is black. The file stands at its beginning; it has no name any
// more and belongs to the caller, who closes it.
func (v *Video) Poster(ctx context.Context) (*os.File, error) {
	for _, l := range looks(v.media.duration) {
		f, err := v.look(ctx, l)
		if err != nil {
			return nil, fmt.Errorf("make a poster: %w", err)
		}
		if f != nil {
			return f, nil
		}
	}
	return nil, fmt.Errorf("make a poster: %w", &Unplayable{storage.ReasonVideoDamaged, "no frame could be decoded"})
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
	err = v.r.run(ctx, job{
		program: v.r.cfg.FFmpeg, args: args, read: v.in.path, write: path,
		timeout: min(posterTimeout, v.r.cfg.Limits.Timeout), cpu: min(posterTimeout, v.r.cfg.Limits.CPU),
	})
	if bad, ok := errors.AsType[*Unplayable](err); ok && bad.Reason == storage.ReasonVideoDamaged {
		return nil, nil // damaged here; perhaps not elsewhere
	}
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
	s := track(v.in.source(v.r.cfg.Limits.MaxStreams, v.r.cfg.Threads, more), v.media.video.index)
	s = through(s, v.media.video.picture(size, 0))
	if !l.dark {
		s = through(s, []filter{
			{"signalstats", nil},
			{"metadata", []string{"mode=select", "key=lavfi.signalstats.YHIGH", "function=greater", "value=" + strconv.Itoa(bright)}},
		})
	}
	s = through(s, []filter{{"thumbnail", []string{"n=" + strconv.Itoa(l.batch)}}, {"scale", nil}, {"format", []string{"pix_fmts=rgb24"}}})
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
