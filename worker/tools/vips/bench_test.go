package vips

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkFourWebPs compares four variants of a 12 megapixel photo with what vipsthumbnail takes for them, by
// the clock and in processor time of the children.
func BenchmarkFourWebPs(b *testing.B) {
	photo := filepath.Join(b.TempDir(), "photo.jpg")
	require.NoError(b, os.WriteFile(photo, withSegment(asJPEG(b, noisy(4032, 3024)), 0xe1, exif(1)), 0o600))
	b.Run("gatehouse", func(b *testing.B) {
		r := runner(b, Config{})
		cpu := childCPU(b)
		for b.Loop() {
			f, err := os.Open(photo)
			require.NoError(b, err)
			out, err := r.WebPs(context.Background(), Picture{Bytes: f}, usual)
			require.NoError(b, err)
			require.NoError(b, CloseAll(out))
			require.NoError(b, f.Close())
		}
		b.ReportMetric((childCPU(b)-cpu)*1000/float64(b.N), "cpu-ms/op")
	})
	b.Run("vipsthumbnail", func(b *testing.B) {
		dir := b.TempDir()
		cpu := childCPU(b)
		for b.Loop() {
			for _, p := range usual {
				out := filepath.Join(dir, p.Name+".webp[Q=85,strip]")
				said, err := exec.Command("vipsthumbnail", photo, "--size", strconv.Itoa(p.LongEdge)+">",
					"--eprofile", "srgb", "-o", out).CombinedOutput()
				require.NoError(b, err, string(bytes.TrimSpace(said)))
			}
		}
		b.ReportMetric((childCPU(b)-cpu)*1000/float64(b.N), "cpu-ms/op")
	})
}

// childCPU is the processor time of all children so far, in seconds.
func childCPU(b *testing.B) float64 {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u))
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}
