package vips

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"

	"gatehouse/storage"
)

// Defaults of Config. A 12 megapixel HEIC, the costliest ordinary picture, takes a second of one processor.
const (
	defaultTimeout     = time.Minute
	defaultMaxPixels   = 100_000_000
	defaultMaxFrames   = 1000
	defaultMaxBytes    = 512 << 20
	defaultMemoryBytes = 2 << 30
	defaultJobs        = 50
	defaultIdle        = 10 * time.Second
	// maxOutputBytes bounds each output, which is in memory from when the child makes it until its callback returns.
	maxOutputBytes = 64 << 20
	// maxEdge is the largest side of a WebP.
	maxEdge = 16383
)

// Config bounds the work.
type Config struct {
	// TempDir holds the pictures that are not handed over as files, without names; "" means the system's.
	TempDir string
	// Timeout is the longest time for one picture, by the clock; half again as much processor time for each of
	// Threads. 0 means a minute.
	Timeout time.Duration
	// MaxPixels bounds width x height x frames; 0 means 100 million.
	MaxPixels int64
	// MaxFrames bounds the frames of an animation; 0 means 1000.
	MaxFrames int
	// MaxBytes bounds the file of a picture; 0 means 512 MiB.
	MaxBytes int64
	// MemoryBytes bounds the memory of a child; 0 means 2 GiB.
	MemoryBytes int64
	// Concurrency is the number of children, idle ones included; 0 means one a CPU.
	Concurrency int
	// Threads is the number of variants a child encodes at once; 0 means one a CPU, at most four.
	Threads int
	// Jobs is after how many pictures a child is replaced; 0 means 50.
	Jobs int
	// Idle is how long a child waits for another picture of its owner; 0 means 10 seconds.
	Idle time.Duration
	// Require refuses to work where the kernel lacks a wall of the sandbox.
	Require bool
}

// Format is the format of a variant. The zero Format means WebP.
type Format string

// The formats. AVIF says whether the second can be made.
const (
	FormatWebP Format = "webp"
	FormatAVIF Format = "avif"
)

// MediaType is the format's name in HTTP.
func (f Format) MediaType() string { return "image/" + string(f) }

// Preset is a variant to be made.
type Preset struct {
	// Name is the caller's.
	Name string
	// LongEdge is in pixels. A smaller picture is not enlarged.
	LongEdge int
	// Quality is 1 to 100.
	Quality int
	// Effort is what the encoder may spend to make the file smaller, 0 to 6; AVIF's own scale goes on to 9.
	Effort int
	Format Format
}

// Picture is what to make variants of.
type Picture struct {
	// Owner is whose picture it is. A child serves one owner only, so that a picture that has taken it over meets
	// nobody else's.
	Owner string
	// Bytes is read to its end. An *os.File at its beginning is handed to the child, for reading, and keeps its position.
	Bytes io.Reader
	// Width, Height and Frames are what the caller has read in its header; 0 means not known.
	Width, Height, Frames int64
}

// Output is one variant.
type Output struct {
	Preset string
	// File stands at its beginning and has no name. It is closed when the callback returns.
	File          *os.File
	Width, Height int
	// Frames is 1 unless it is animated. Neighbouring frames of an animation that are alike count once.
	Frames int
	Size   int64
	// SHA256 is lower-case hex.
	SHA256 string
	// MediaType and Ext name the format: "image/webp" and "webp".
	MediaType, Ext string
}

// Runner owns the children. It is safe for concurrent use.
type Runner struct {
	cfg  Config
	pool *pool
}

// NewRunner checks the configuration.
func NewRunner(c Config) (*Runner, error) {
	c.TempDir = cmp.Or(c.TempDir, os.TempDir())
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	c.MaxPixels = cmp.Or(c.MaxPixels, defaultMaxPixels)
	c.MaxFrames = cmp.Or(c.MaxFrames, defaultMaxFrames)
	c.MaxBytes = cmp.Or(c.MaxBytes, defaultMaxBytes)
	c.MemoryBytes = cmp.Or(c.MemoryBytes, defaultMemoryBytes)
	c.Concurrency = cmp.Or(c.Concurrency, runtime.NumCPU())
	c.Threads = cmp.Or(c.Threads, min(4, runtime.NumCPU()))
	c.Jobs = cmp.Or(c.Jobs, defaultJobs)
	c.Idle = cmp.Or(c.Idle, defaultIdle)
	if c.Timeout < 0 || c.MaxPixels < 0 || c.MaxFrames < 0 || c.MaxBytes < 0 || c.MemoryBytes < 0 || c.Concurrency < 0 ||
		c.Threads < 0 || c.Jobs < 0 || c.Idle < 0 {
		return nil, fmt.Errorf("vips: a negative limit in %+v", c)
	}
	if err := os.MkdirAll(c.TempDir, 0o700); err != nil {
		return nil, fmt.Errorf("vips: %w", err)
	}
	return &Runner{cfg: c, pool: newPool(c)}, nil
}

// Close ends the idle children; one at work ends with its picture.
func (r *Runner) Close() { r.pool.close() }

// Make tells the facts of a picture and then hands over one output for each preset, each as it is ready, the smallest
// first. The callbacks run one at a time in the caller's goroutine while the child works on; the error of one stops
// the work and is returned. doc.go says what other errors mean. Make waits for a free child first; the timeout
// counts neither the waiting nor the callbacks.
func (r *Runner) Make(ctx context.Context, p Picture, presets []Preset, facts func(Facts) error, output func(Output) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("make variants: %w", err)
		}
	}()
	presets = slices.Clone(presets)
	for i := range presets {
		presets[i].Format = cmp.Or(presets[i].Format, FormatWebP)
	}
	if err := r.gate(p, presets); err != nil {
		return err
	}
	free, err := r.pool.slot(ctx)
	if err != nil {
		return err
	}
	d, err := r.newDesk(ctx, p, len(presets))
	if err != nil {
		free()
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	w := &work{owner: p.Owner, presets: presets, desk: d, ready: make(chan delivery, 1+len(presets)), output: make([]bool, len(presets))}
	ended := make(chan error, 1)
	go func() {
		err := r.pool.run(ctx, w)
		free()
		close(w.ready)
		ended <- err
	}()
	err = w.hand(facts, output)
	cancel(err)
	err = cmp.Or(err, <-ended)
	return errors.Join(err, d.close())
}

// gate refuses before any process starts.
func (r *Runner) gate(p Picture, presets []Preset) error {
	if len(presets) == 0 || len(presets) > maxPresets {
		return fmt.Errorf("%d presets", len(presets))
	}
	for _, preset := range presets {
		known := preset.Format == FormatWebP || preset.Format == FormatAVIF
		if preset.LongEdge < 1 || preset.LongEdge > maxEdge || preset.Quality < 1 || preset.Quality > 100 ||
			preset.Effort < 0 || preset.Effort > 6 || !known {
			return fmt.Errorf("impossible preset %+v", preset)
		}
	}
	if p.Frames > int64(r.cfg.MaxFrames) {
		return &Undecodable{storage.ReasonPictureTooManyFrames, fmt.Sprint(p.Frames)}
	}
	left := r.cfg.MaxPixels
	for _, side := range []int64{p.Width, p.Height, p.Frames} {
		left /= max(1, side)
	}
	if left < 1 {
		return &Undecodable{storage.ReasonPictureTooManyPixels, fmt.Sprintf("%d x %d x %d", p.Width, p.Height, p.Frames)}
	}
	return nil
}
