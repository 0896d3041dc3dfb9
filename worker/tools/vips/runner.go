package vips

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Defaults of Config. A 12 megapixel HEIC, the costliest ordinary picture, takes 2 seconds of one processor.
const (
	defaultTimeout     = time.Minute
	defaultMaxPixels   = 100_000_000
	defaultMaxBytes    = 512 << 20
	defaultMemoryBytes = 2 << 30
	// maxTempBytes bounds each file the child writes; libvips parks decoded pictures over 100 MB in one: 100
	// million pixels of 8 bytes.
	maxTempBytes = 1 << 30
	// maxPresets leaves the child's other descriptors room.
	maxPresets = 16
	// maxEdge is the largest side of a WebP.
	maxEdge = 16383
)

// folderPrefix names the folders of children in TempDir.
const folderPrefix = "gatehouse-vips-"

// Config bounds the work.
type Config struct {
	// Executable is the program that calls ChildMain; "" means this one.
	Executable string
	// TempDir holds a private folder for each child in work; "" means the system's. A 100 megapixel picture
	// needs 1 GB there.
	TempDir string
	// Timeout is the longest time for one picture, by the clock; half again as much processor time for each of
	// Threads. 0 means a minute.
	Timeout time.Duration
	// MaxPixels bounds width x height x frames; 0 means 100 million.
	MaxPixels int64
	// MaxBytes bounds the file of a picture; 0 means 512 MiB.
	MaxBytes int64
	// MemoryBytes bounds the memory of a child; 0 means 2 GiB.
	MemoryBytes int64
	// Concurrency is the number of children at once; 0 means one a CPU.
	Concurrency int
	// Threads is the number of variants a child encodes at once; 0 means one a CPU, at most four.
	Threads int
}

// Preset is a variant to be made: Name is the caller's, LongEdge is in pixels, Quality is 1 to 100.
type Preset struct {
	Name     string
	LongEdge int
	Quality  int
}

// Picture is what to make variants of.
type Picture struct {
	// Bytes is read to its end. An *os.File at its beginning is handed to the child as it is, and keeps its position.
	Bytes io.Reader
	// Width, Height and Frames are what the caller has read in its header; 0 means not known.
	Width, Height, Frames int64
}

// Output is one variant. File stands at its beginning; it has no name any more and belongs to the caller, who
// closes it.
type Output struct {
	Preset        string
	File          *os.File
	Width, Height int
	Size          int64
	// SHA256 is lower-case hex.
	SHA256 string
}

// CloseAll closes the files of the outputs.
func CloseAll(outputs []Output) error {
	var errs []error
	for _, o := range outputs {
		errs = append(errs, o.File.Close())
	}
	return errors.Join(errs...)
}

// Runner starts the children. It is safe for concurrent use.
type Runner struct {
	cfg   Config
	slots chan struct{}
}

// NewRunner checks the configuration and removes what children of killed workers left behind in TempDir.
func NewRunner(c Config) (*Runner, error) {
	// The link leads to this very program even when its file has been replaced by a newer one.
	c.Executable = cmp.Or(c.Executable, "/proc/self/exe")
	c.TempDir = cmp.Or(c.TempDir, os.TempDir())
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	c.MaxPixels = cmp.Or(c.MaxPixels, defaultMaxPixels)
	c.MaxBytes = cmp.Or(c.MaxBytes, defaultMaxBytes)
	c.MemoryBytes = cmp.Or(c.MemoryBytes, defaultMemoryBytes)
	c.Concurrency = cmp.Or(c.Concurrency, runtime.NumCPU())
	c.Threads = cmp.Or(c.Threads, min(4, runtime.NumCPU()))
	if c.Timeout < 0 || c.MaxPixels < 0 || c.MaxBytes < 0 || c.MemoryBytes < 0 || c.Concurrency < 0 || c.Threads < 0 {
		return nil, fmt.Errorf("vips: a negative limit in %+v", c)
	}
	if err := os.MkdirAll(c.TempDir, 0o700); err != nil {
		return nil, fmt.Errorf("vips: %w", err)
	}
	if err := removeLeftovers(c.TempDir, 2*c.Timeout+time.Hour); err != nil {
		return nil, fmt.Errorf("vips: %w", err)
	}
	if err := keepDescriptors(); err != nil {
		return nil, fmt.Errorf("vips: %w", err)
	}
	return &Runner{cfg: c, slots: make(chan struct{}, c.Concurrency)}, nil
}

// keepDescriptors keeps from children what whoever started this program left open in it; what Go opens itself is
// closed on exec anyway. Kernels before 5.11 do not know how.
func keepDescriptors() error {
	err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

// removeLeftovers removes folders that are older than any child can be.
func removeLeftovers(dir string, age time.Duration) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), folderPrefix) {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > age {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// WebPs makes one WebP for each preset, in their order; doc.go says what an error means. It waits for a free
// slot first; the timeout does not count the waiting.
func (r *Runner) WebPs(ctx context.Context, p Picture, presets []Preset) (outputs []Output, err error) {
	if err := r.gate(p, presets); err != nil {
		return nil, err
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("make WebP variants: %w", context.Cause(ctx))
	}
	d, err := r.newDesk(ctx, p, len(presets))
	if err != nil {
		return nil, fmt.Errorf("make WebP variants: %w", err)
	}
	defer func() { err = errors.Join(err, d.clear(err != nil)) }()
	if err := r.run(ctx, d, presets); err != nil {
		return nil, fmt.Errorf("make WebP variants: %w", err)
	}
	for i, preset := range presets {
		o, err := inspect(d.outputs[i], preset)
		if err != nil {
			return nil, fmt.Errorf("make WebP variants: %w", err)
		}
		outputs = append(outputs, o)
	}
	return outputs, nil
}

// gate refuses before any process starts.
func (r *Runner) gate(p Picture, presets []Preset) error {
	if len(presets) == 0 || len(presets) > maxPresets {
		return fmt.Errorf("make WebP variants: %d presets", len(presets))
	}
	for _, preset := range presets {
		if preset.LongEdge < 1 || preset.LongEdge > maxEdge || preset.Quality < 1 || preset.Quality > 100 {
			return fmt.Errorf("make WebP variants: impossible preset %+v", preset)
		}
	}
	left := r.cfg.MaxPixels
	for _, side := range []int64{p.Width, p.Height, p.Frames} {
		left /= max(1, side)
	}
	if left < 1 {
		detail := fmt.Sprintf("%d x %d x %d", p.Width, p.Height, p.Frames)
		return fmt.Errorf("make WebP variants: %w", &Undecodable{ReasonTooManyPixels, detail})
	}
	return nil
}
