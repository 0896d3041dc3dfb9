package ffmpeg

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"gatehouse/worker/tools/sandbox"
)

// folderPrefix names the folders of videos in TempDir.
const folderPrefix = "gatehouse-ffmpeg-"

// minMemory is below what any video needs, and above what the sandbox itself does.
const minMemory = 200 << 20

// defaultLimits let through what phones, cameras and screen recorders make. They are the videos section of
// configs/gatehouse.yaml, which is the place that documents them; MaxBytes is the largest upload of any category.
var defaultLimits = Limits{
	MaxBytes:       600 << 20,
	MaxDuration:    3 * time.Hour,
	MaxPixels:      36_000_000,
	MaxStreams:     16,
	MaxBitRate:     400_000_000,
	Timeout:        4 * time.Hour,
	CPU:            8 * time.Hour,
	MaxOutputBytes: 3 << 30,
	MemoryBytes:    3 << 30,
}

// Config bounds the work.
type Config struct {
	// FFmpeg and FFprobe are the programs; "" means those in PATH.
	FFmpeg, FFprobe string
	// TempDir holds a private folder for each open video: the upload and what is made of it. "" means the system's.
	TempDir string
	Limits  Limits
	// Concurrency is the number of children at once; 0 means one.
	Concurrency int
	// Threads is how many threads decode and encode in a child; 0 means one a CPU, at most four.
	Threads int
	// Nice is added to the children's niceness, so that other work does not wait for videos. 0 means 19; there is
	// no way to have none.
	Nice int
	// Require refuses to run where the kernel lacks Landlock or seccomp.
	Require bool
	// Log gets what is wrong but ends no work; nil means the default logger.
	Log *slog.Logger
}

// Limits bound one video. A 0 means the default.
type Limits struct {
	MaxBytes    int64
	MaxDuration time.Duration
	// MaxPixels is for one frame, width x height.
	MaxPixels  int64
	MaxStreams int
	// MaxBitRate is of the whole file, bits a second.
	MaxBitRate int64
	// Timeout is by the clock, and CPU is processor time, each for one run of ffmpeg.
	Timeout, CPU   time.Duration
	MaxOutputBytes int64
	MemoryBytes    int64
}

func (l Limits) withDefaults() Limits {
	d := defaultLimits
	return Limits{
		MaxBytes:       cmp.Or(l.MaxBytes, d.MaxBytes),
		MaxDuration:    cmp.Or(l.MaxDuration, d.MaxDuration),
		MaxPixels:      cmp.Or(l.MaxPixels, d.MaxPixels),
		MaxStreams:     cmp.Or(l.MaxStreams, d.MaxStreams),
		MaxBitRate:     cmp.Or(l.MaxBitRate, d.MaxBitRate),
		Timeout:        cmp.Or(l.Timeout, d.Timeout),
		CPU:            cmp.Or(l.CPU, d.CPU),
		MaxOutputBytes: cmp.Or(l.MaxOutputBytes, d.MaxOutputBytes),
		MemoryBytes:    cmp.Or(l.MemoryBytes, d.MemoryBytes),
	}
}

func (l Limits) check() error {
	if l.MaxBytes < 0 || l.MaxDuration < 0 || l.MaxPixels < 0 || l.MaxStreams < 0 || l.MaxBitRate < 0 ||
		l.Timeout < 0 || l.CPU < 0 || l.MaxOutputBytes < 0 || l.MemoryBytes < 0 {
		return fmt.Errorf("a negative limit in %+v", l)
	}
	if l.MemoryBytes < minMemory {
		return fmt.Errorf("%d bytes of memory are too few for any video", l.MemoryBytes)
	}
	return nil
}

// Runner opens videos. It is safe for concurrent use.
type Runner struct {
	cfg   Config
	slots chan struct{}
	// h265 is whether this ffmpeg can encode it.
	h265 bool
}

// NewRunner checks the configuration and the programs, and removes what killed workers left behind in TempDir.
func NewRunner(c Config) (*Runner, error) {
	c.TempDir = cmp.Or(c.TempDir, os.TempDir())
	c.Concurrency = cmp.Or(c.Concurrency, 1)
	c.Threads = cmp.Or(c.Threads, min(4, runtime.NumCPU()))
	c.Nice = cmp.Or(c.Nice, 19)
	c.Log = cmp.Or(c.Log, slog.Default())
	c.Limits = c.Limits.withDefaults()
	if err := c.Limits.check(); err != nil {
		return nil, fmt.Errorf("ffmpeg: %w", err)
	}
	if c.Concurrency < 0 || c.Threads < 0 || c.Nice < 0 {
		return nil, fmt.Errorf("ffmpeg: concurrency %d, threads %d or niceness %d is negative", c.Concurrency, c.Threads, c.Nice)
	}
	var err error
	if c.TempDir, err = filepath.Abs(c.TempDir); err != nil {
		return nil, fmt.Errorf("ffmpeg: %w", err)
	}
	if err := os.MkdirAll(c.TempDir, 0o700); err != nil {
		return nil, fmt.Errorf("ffmpeg: %w", err)
	}
	if err := sandbox.RemoveLeftovers(c.TempDir, folderPrefix); err != nil {
		return nil, fmt.Errorf("ffmpeg: %w", err)
	}
	if c.FFmpeg, err = locate(c.FFmpeg, "ffmpeg"); err != nil {
		return nil, err
	}
	if c.FFprobe, err = locate(c.FFprobe, "ffprobe"); err != nil {
		return nil, err
	}
	r := &Runner{cfg: c, slots: make(chan struct{}, c.Concurrency)}
	if r.h265, err = capable(c.FFmpeg); err != nil {
		return nil, err
	}
	return r, nil
}

// CanEncode is whether this ffmpeg can make variants of the codec: some are built without H.265. Transcode refuses
// what it cannot, and that is no fault of the video.
func (r *Runner) CanEncode(c Codec) bool { return c == H264 || c == H265 && r.h265 }

// locate gives the absolute path of a program.
func locate(given, name string) (string, error) {
	path, err := exec.LookPath(cmp.Or(given, name))
	if err != nil {
		return "", fmt.Errorf("%s is not installed: %w", name, err)
	}
	return filepath.Abs(path)
}
