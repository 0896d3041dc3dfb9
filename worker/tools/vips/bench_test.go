package vips

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/h2non/bimg"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// uploads are what phones and cameras make.
var uploads = map[string]func(testing.TB) []byte{
	"12 MP upright": func(b testing.TB) []byte { return withSegment(asJPEG(b, noisy(4032, 3024)), 0xe1, exif(1)) },
	"12 MP rotated": func(b testing.TB) []byte { return withSegment(asJPEG(b, noisy(4032, 3024)), 0xe1, exif(6)) },
	"24 MP":         func(b testing.TB) []byte { return asJPEG(b, noisy(6000, 4000)) },
	"12 MP HEIC": func(b testing.TB) []byte {
		return converted(b, asJPEG(b, noisy(4032, 3024)), ".heic", "heifsave", "--effort=0")
	},
}

// BenchmarkFourWebPs compares four variants of a photo with what vipsthumbnail takes for them in four calls, and
// bimg in four naive ones, in the processor time of all processes.
func BenchmarkFourWebPs(b *testing.B) {
	for name, made := range uploads {
		b.Run(name, func(b *testing.B) { compareFour(b, made(b)) })
	}
}

func compareFour(b *testing.B, picture []byte) {
	path := filepath.Join(b.TempDir(), "photo")
	require.NoError(b, os.WriteFile(path, picture, 0o600))
	for _, effort := range []int{0, 1, 2, 3, 4} {
		b.Run(fmt.Sprintf("effort %d", effort), func(b *testing.B) {
			r := runner(b, Config{})
			presets := []Preset{{"a", 2000, 85, effort, ""}, {"b", 1280, 85, effort, ""}, {"c", 640, 85, effort, ""}, {"d", 320, 85, effort, ""}}
			size := int64(0)
			measure(b, r.Close, func() {
				f, err := os.Open(path)
				require.NoError(b, err)
				size = 0
				require.NoError(b, r.Make(context.Background(), Picture{Bytes: f}, presets, ignoreFacts, func(o Output) error {
					size += o.Size
					return nil
				}))
				require.NoError(b, f.Close())
			})
			b.ReportMetric(float64(size)/1000, "kB")
		})
	}
	b.Run("vipsthumbnail", func(b *testing.B) {
		dir := b.TempDir()
		measure(b, func() {}, func() {
			for _, p := range usual {
				out := filepath.Join(dir, p.Name+".webp[Q=85,strip]")
				said, err := exec.Command("vipsthumbnail", path, "--size", strconv.Itoa(p.LongEdge)+">",
					"--eprofile", "srgb", "-o", out).CombinedOutput()
				require.NoError(b, err, string(bytes.TrimSpace(said)))
			}
		})
	})
	b.Run("bimg", func(b *testing.B) {
		measure(b, func() {}, func() {
			for _, p := range usual {
				_, err := bimg.Resize(picture, bimg.Options{Width: p.LongEdge, Quality: p.Quality, Type: bimg.WEBP, StripMetadata: true, OutputICC: "srgb"})
				require.NoError(b, err)
			}
		})
	})
}

func ignoreFacts(Facts) error   { return nil }
func ignoreOutput(Output) error { return nil }

// BenchmarkJob is what a small job costs in a new child and in one that waits.
func BenchmarkJob(b *testing.B) {
	picture := asJPEG(b, corners(64, 48))
	for name, jobs := range map[string]int{"cold": 1, "pooled": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			r := runner(b, Config{Jobs: jobs, Idle: time.Hour})
			measure(b, r.Close, func() {
				require.NoError(b, r.Make(context.Background(), Picture{Bytes: bytes.NewReader(picture)}, small, ignoreFacts, ignoreOutput))
			})
		})
	}
}

// BenchmarkUploads is the flow of 12 megapixel photos through all processors.
func BenchmarkUploads(b *testing.B) {
	picture := withSegment(asJPEG(b, noisy(4032, 3024)), 0xe1, exif(1))
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("%d threads", threads), func(b *testing.B) {
			r := runner(b, Config{Threads: threads})
			measure(b, r.Close, func() {
				var all sync.WaitGroup
				for range 8 {
					all.Go(func() {
						if err := r.Make(context.Background(), Picture{Bytes: bytes.NewReader(picture)}, usual, ignoreFacts, ignoreOutput); err != nil {
							b.Error(err)
						}
					})
				}
				all.Wait()
			})
			b.ReportMetric(8*float64(b.N)/b.Elapsed().Seconds(), "pictures/s")
		})
	}
}

// measure runs the loop and reports the processor time of this process and its children; finish ends them, because
// they count only then.
func measure(b *testing.B, finish, once func()) {
	before := processorTime(b)
	for b.Loop() {
		once()
	}
	b.StopTimer()
	finish()
	b.ReportMetric((processorTime(b)-before)*1000/float64(b.N), "cpu-ms/op")
}

func processorTime(b *testing.B) float64 {
	total := 0.0
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		require.NoError(b, syscall.Getrusage(who, &u))
		total += float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
	}
	return total
}
