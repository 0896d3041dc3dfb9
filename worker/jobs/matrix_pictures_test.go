package jobs_test

import (
	"context"
	"encoding/base64"
	"fmt"
	stdimage "image"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.n16f.net/thumbhash"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/worker/mediatest"
	"gatehouse/worker/tools/vips"
)

// The sizes that the product makes by default, in another order than they are to be made in.
var matrixPresets = []vips.Preset{
	{Name: "w2000", LongEdge: 2000, Quality: 88, Effort: 2}, {Name: "w1280", LongEdge: 1280, Quality: 88, Effort: 2},
	{Name: "w640", LongEdge: 640, Quality: 88, Effort: 2}, {Name: "w320", LongEdge: 320, Quality: 88, Effort: 2},
}

// pictureBench is a bench on one database with a decoder of which nothing may be left at the end.
func pictureBench(t *testing.T, c vips.Config) *bench {
	t.Helper()
	zones, err := blob.Open(context.Background(), blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
	require.NoError(t, err)
	b := newBench(t, metatest.SQLite(t), zones)
	c.TempDir, c.Require = t.TempDir(), true
	runner, err := vips.NewRunner(c)
	require.NoError(t, err)
	t.Cleanup(func() {
		runner.Close()
		requireNoChildren(t)
		left, err := os.ReadDir(c.TempDir)
		require.NoError(t, err)
		require.Empty(t, left, "the decoder has left files behind")
	})
	b.deps.Pictures, b.deps.Presets, b.deps.ImageTimeout = runner, matrixPresets, 2*time.Minute
	return b
}

// requireNoChildren waits until this process has no children but those that run for the tests themselves.
func requireNoChildren(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return len(decoders(t)) == 0 }, 10*time.Second, 10*time.Millisecond, "decoders that live on: %v", decoders(t))
}

// decoders lists the command lines of this process's children, which are other runs of the same program.
func decoders(t *testing.T) []string {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	require.NoError(t, err)
	var found []string
	for _, list := range lists {
		pids, err := os.ReadFile(list)
		if err != nil { // a thread that has ended
			continue
		}
		for pid := range strings.FieldsSeq(string(pids)) {
			line, err := os.ReadFile("/proc/" + pid + "/cmdline")
			if err == nil && strings.Contains(string(line), "vips") {
				found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
			}
		}
	}
	return found
}

// ofTenant is the same bench for another tenant.
func (b *bench) ofTenant(t *testing.T) *bench {
	other := *b
	other.tenant = metatest.Tenant(t, b.db, quotaBytes)
	return &other
}

// clean stores a picture as the scan leaves it: in the clean zone, with its image task queued.
func (b *bench) clean(t testing.TB, content []byte, width, height, frames int) (digest string) {
	t.Helper()
	digest = digestOf(content)
	b.put(t, storage.ZoneClean, digest, content)
	now := meta.Now()
	b.inTx(t, func(tx *meta.Tx) error {
		tenant := tx.Tenant(b.tenant)
		created, err := tenant.CreateBlob(&meta.Blob{
			SHA256: digest, Size: int64(len(content)), MediaType: "application/octet-stream", Category: storage.CategoryImage,
			Zone: storage.ZoneClean, Refs: 1, ScanStatus: storage.ScanClean, MediaStatus: storage.MediaPending,
			Width: int64(width), Height: int64(height), Frames: int64(frames), CreatedAt: now, UpdatedAt: now,
		})
		require.NoError(t, err)
		require.True(t, created)
		a := b.asset(meta.NewID(), digest, int64(len(content)), storage.CategoryImage)
		a.State = storage.AssetAvailable
		if err := tenant.CreateAsset(a); err != nil {
			return err
		}
		if err := b.ledger.Charge(tx, b.tenant, int64(len(content))); err != nil {
			return err
		}
		_, err = tx.Enqueue(meta.BlobTask(storage.TaskImage, b.tenant, digest))
		return err
	})
	return digest
}

// Every kind of picture that phones, cameras and screens make comes out with the right size, colours, opacity and
// motion, and without metadata.
func TestMatrixOfPictures(t *testing.T) {
	b := pictureBench(t, vips.Config{Concurrency: 2, Threads: 2})
	for _, f := range mediatest.Pictures(t) {
		t.Run(f.Name, func(t *testing.T) {
			digest := b.clean(t, f.Bytes, 0, 0, 0)
			require.NoError(t, b.attempt(t, storage.TaskImage, digest))
			row := b.blob(t, digest)
			require.Equal(t, storage.MediaDone, row.MediaStatus)
			require.Equal(t, [2]int64{int64(f.Width), int64(f.Height)}, [2]int64{row.Width, row.Height}, "the size as it is shown")
			looksLikePlaceholder(t, row, f)
			list := b.variants(t, digest)
			require.Len(t, list, len(matrixPresets))
			for _, p := range matrixPresets {
				b.checkVariant(t, f, p, list)
			}
			b.requireExactLedger(t)
		})
	}
}

func (b *bench) checkVariant(t *testing.T, f mediatest.File, p vips.Preset, list []meta.Variant) {
	t.Helper()
	var v meta.Variant
	for _, candidate := range list {
		if candidate.Preset == p.Name {
			v = candidate
		}
	}
	require.Equal(t, "image/webp", v.MediaType, "the variant %s", p.Name)
	content := b.read(t, storage.ZoneClean, v.Key())
	require.Equal(t, v.Digest, digestOf(content))
	require.NotContains(t, string(content), string(mediatest.Latitude), "a position")
	got := mediatest.ReadWebP(t, content)
	require.Empty(t, got.Extras, "metadata")
	require.Len(t, got.Frames, f.Frames())
	require.Equal(t, f.Delays, got.Delays)
	require.Equal(t, f.Plays, got.Plays)

	reference := mediatest.Reference(t, f, p.LongEdge)
	first := got.Frames[0]
	require.Equal(t, reference.Rect.Size(), first.Rect.Size(), p.Name)
	require.Equal(t, first.Rect.Size(), stdimage.Pt(int(v.Width), int(v.Height)))
	require.LessOrEqual(t, first.Rect.Dx(), f.Width, "enlarged")
	mediatest.Looks(t, first, f.Spots)
	for i, frame := range got.Frames {
		if f.FrameSpots != nil {
			mediatest.Looks(t, frame, f.FrameSpots[i])
		}
	}
	require.Greater(t, mediatest.SSIM(t, reference, first), 0.93, p.Name)
	require.Greater(t, mediatest.PSNR(t, reference, first), 28.0, p.Name)
	require.Equal(t, f.Alpha, translucent(first), "opacity")
}

// AVIF is a plan's choice: the same pictures, where the build can.
func TestMatrixOfPicturesAsAVIF(t *testing.T) {
	require.True(t, vips.AVIF(), "Debian 12 can")
	b := pictureBench(t, vips.Config{Concurrency: 2, Threads: 2})
	preset := vips.Preset{Name: "a640", LongEdge: 640, Quality: 85, Effort: 1, Format: vips.FormatAVIF}
	b.deps.Presets = []vips.Preset{preset}
	const w, h = 900, 600
	for _, f := range []mediatest.File{
		mediatest.JPEG(t, w, h, 6), mediatest.DisplayP3(t, w, h), mediatest.CMYK(t, w, h, true), mediatest.PalettePNG(t, w, h),
		mediatest.HEICSaidTwice(t, w, h, 8),
	} {
		t.Run(f.Name, func(t *testing.T) {
			digest := b.clean(t, f.Bytes, 0, 0, 0)
			require.NoError(t, b.attempt(t, storage.TaskImage, digest))
			list := b.variants(t, digest)
			require.Len(t, list, 1)
			require.Equal(t, "image/avif", list[0].MediaType)
			content := b.read(t, storage.ZoneClean, list[0].Key())
			require.NotContains(t, string(content), string(mediatest.Latitude), "a position")
			reference := mediatest.Reference(t, f, preset.LongEdge)
			got := mediatest.Reference(t, mediatest.File{Bytes: content}, preset.LongEdge)
			require.Equal(t, reference.Rect.Size(), got.Rect.Size())
			mediatest.Looks(t, got, f.Spots)
			require.Greater(t, mediatest.SSIM(t, reference, got), 0.93)
			require.Equal(t, f.Alpha, translucent(got), "opacity")
		})
	}
}

func translucent(img *stdimage.NRGBA) bool { return !img.Opaque() }

// looksLikePlaceholder holds what a page draws before it has the picture to the picture's colours.
func looksLikePlaceholder(t *testing.T, row meta.Blob, f mediatest.File) {
	t.Helper()
	var dominant color.NRGBA
	_, err := fmt.Sscanf(row.DominantColor, "#%02x%02x%02x", &dominant.R, &dominant.G, &dominant.B)
	require.NoError(t, err, row.DominantColor)
	nearest := f.Spots[nearestSpot(f.Spots, dominant)]
	require.Less(t, distance(nearest.Colour, dominant), 40, "%s is not one of the picture's colours", row.DominantColor)

	hash, err := base64.StdEncoding.DecodeString(row.ThumbHash)
	require.NoError(t, err)
	tiny, err := thumbhash.DecodeImage(hash)
	require.NoError(t, err)
	size := tiny.Bounds().Size()
	require.InDelta(t, float64(f.Width)/float64(f.Height), float64(size.X)/float64(size.Y), 0.3, "the shape")
	for i, s := range f.Spots {
		got := color.NRGBAModel.Convert(tiny.At(size.X*s.X/100, size.Y*s.Y/100)).(color.NRGBA)
		if s.Colour.A == 0 {
			require.Less(t, got.A, uint8(128), "a clear place of the placeholder")
			continue
		}
		require.Equal(t, i, nearestSpot(f.Spots, got), "the placeholder at %d%%, %d%%: %v", s.X, s.Y, got)
	}
}

// nearestSpot is the spot that one can see whose colour is nearest.
func nearestSpot(spots []mediatest.Spot, c color.NRGBA) int {
	best := -1
	for i, s := range spots {
		if s.Colour.A > 0 && (best < 0 || distance(s.Colour, c) < distance(spots[best].Colour, c)) {
			best = i
		}
	}
	return best
}

func distance(a, b color.NRGBA) int {
	d := func(x, y uint8) int { return max(int(x)-int(y), int(y)-int(x)) }
	return d(a.R, b.R) + d(a.G, b.G) + d(a.B, b.B)
}
