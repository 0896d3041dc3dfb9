package jobs_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/worker/jobs"
	"gatehouse/worker/mediatest"
	"gatehouse/worker/tools/vips"
)

// hostile has the image job take a picture that means harm, and returns its row: made, or failed for a reason that
// people are told. Anything else, such as a task that is tried again and again, fails the test.
func (b *bench) hostile(t *testing.T, name string, content []byte, width, height, frames int) meta.Blob {
	t.Helper()
	digest := b.clean(t, content, width, height, frames)
	err := b.attempt(t, storage.TaskImage, digest)
	row := b.blob(t, digest)
	switch row.MediaStatus {
	case storage.MediaDone:
		require.NoError(t, err, name)
		require.Len(t, b.variants(t, digest), len(b.deps.Presets), name)
		for _, v := range b.variants(t, digest) {
			mediatest.ReadWebP(t, b.read(t, storage.ZoneClean, v.Key()))
		}
	case storage.MediaFailed:
		require.True(t, jobs.IsPermanent(err), "%s: %v", name, err)
		require.NotEmpty(t, row.MediaError, name)
		require.NotEmpty(t, row.MediaReason, name)
		require.Empty(t, b.variants(t, digest), name)
	default:
		require.Fail(t, "neither made nor failed", "%s: %s, %v", name, row.MediaStatus, err)
	}
	_, open := b.open(t, storage.TaskImage, digest)
	require.False(t, open, "%s has a stuck task", name)
	return row
}

// requireHealthy has the same decoder serve somebody else.
func (b *bench) requireHealthy(t *testing.T) {
	t.Helper()
	other := b.ofTenant(t)
	f := mediatest.JPEG(t, 96, 64, 6)
	digest := other.clean(t, f.Bytes, 0, 0, 0)
	require.NoError(t, other.attempt(t, storage.TaskImage, digest))
	require.Len(t, other.variants(t, digest), len(b.deps.Presets))
	other.checkVariant(t, f, b.deps.Presets[0], other.variants(t, digest))
}

// attackBench has one small variant, so that an attack costs little, and a decoder as the product has it.
func attackBench(t *testing.T) *bench {
	b := pictureBench(t, vips.Config{Concurrency: 2, Threads: 1, Timeout: 30 * time.Second})
	b.deps.Presets = []vips.Preset{{Name: "w320", LongEdge: 320, Quality: 85}}
	return b
}

// The header tells of more than anybody has memory for: nobody tries, whether or not intake has noted the size.
func TestFloodsOfPixelsAreRefused(t *testing.T) {
	b := attackBench(t)
	for _, f := range mediatest.Floods(t) {
		t.Run(f.Name, func(t *testing.T) {
			for _, known := range []bool{true, false} {
				content, w, h, frames := bytes.Clone(f.Bytes), f.Width, f.Height, f.Frames
				if !known { // another digest, for another asset
					content, w, h, frames = append(content, 0), 0, 0, 0
				}
				row := b.hostile(t, f.Name, content, w, h, frames)
				require.Equal(t, storage.MediaFailed, row.MediaStatus)
				require.NotEqual(t, storage.ReasonPictureCrashed.Slug, row.MediaReason, "it was decoded")
				t.Logf("size known %t: %s", known, row.MediaReason)
			}
			b.requireHealthy(t)
		})
	}
}

// The largest picture that is allowed is made: a limit that nothing gets near would prove little.
func TestLargestPictureIsMade(t *testing.T) {
	b := attackBench(t)
	const edge = 9_990
	row := b.hostile(t, "100 megapixels", mediatest.FloodPNG(t, edge, edge), edge, edge, 1)
	require.Equal(t, storage.MediaDone, row.MediaStatus, row.MediaError)
	require.Equal(t, "#000000", row.DominantColor)
	b.requireHealthy(t)
	require.NotEmpty(t, decoders(t), "one waits for more work; who does not see it sees nothing that is left either")
}

func TestTruncatedPicturesHarmNobody(t *testing.T) {
	b := attackBench(t)
	for _, s := range mediatest.PictureSeeds(t) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			b := b.ofTenant(t)
			cuts, failed := 0, 0
			for length, cut := range mediatest.Truncations(s.Bytes) {
				if length == 0 || b.known(t, cut) { // there are no empty assets; small files have fewer places
					continue
				}
				cuts++
				if b.hostile(t, s.Name, cut, 0, 0, 0).MediaStatus == storage.MediaFailed {
					failed++
				}
			}
			require.GreaterOrEqual(t, cuts, mediatest.CutPoints-2, "places that differ")
			require.Positive(t, failed, "no cut was noticed")
			b.requireHealthy(t)
			b.requireExactLedger(t)
		})
	}
}

// known reports whether the tenant has a blob of this content.
func (b *bench) known(t *testing.T, content []byte) bool {
	t.Helper()
	_, err := b.db.Tenant(context.Background(), b.tenant).Blob(digestOf(content))
	if err != nil {
		require.ErrorIs(t, err, storage.ErrNotFound)
	}
	return err == nil
}

// A file in disguise must not have the decoder open another one.
func TestPicturesInDisguiseReadNothing(t *testing.T) {
	b := attackBench(t)
	for name, content := range map[string][]byte{
		"text": []byte(mediatest.Secret), "picture": mediatest.PNG16(t, 64, 64).Bytes,
	} {
		planted := filepath.Join(t.TempDir(), "planted-"+name)
		require.NoError(t, os.WriteFile(planted, content, 0o644))
		for _, d := range mediatest.PictureDisguises(planted) {
			row := b.hostile(t, d.Name, d.Bytes, 0, 0, 0)
			require.Equal(t, storage.MediaFailed, row.MediaStatus, d.Name)
			require.Equal(t, storage.ReasonPictureDamaged.Slug, row.MediaReason, d.Name)
			require.NotContains(t, row.MediaError, mediatest.Secret)
		}
	}
	b.requireHealthy(t)
}
