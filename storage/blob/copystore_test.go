package blob_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/storage"
	"gatehouse/storage/blob"
)

// hooked is a zone with something before every put.
type hooked struct {
	blob.Bucket
	put func(key string) error
}

func (h hooked) Put(ctx context.Context, key string, r io.Reader, size int64, o blob.PutOptions) error {
	if err := h.put(key); err != nil {
		return err
	}
	return h.Bucket.Put(ctx, key, r, size, o)
}

// listedBefore is a zone whose listing is older than what is in it.
type listedBefore struct {
	blob.Bucket
	keys []string
}

func (l listedBefore) List(context.Context, string, string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		for _, key := range l.keys {
			info, err := l.Stat(context.Background(), key)
			if errors.Is(err, blob.ErrNotExist) {
				info, err = blob.Info{Key: key}, nil
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

func zonesOf(t testing.TB) *blob.Zones { return openDisk(t, filepath.Join(t.TempDir(), "store")) }

func read(t testing.TB, zone blob.Bucket, key string) []byte {
	t.Helper()
	body, _, err := zone.Open(t.Context(), key, 0, -1)
	require.NoError(t, err)
	data, err := io.ReadAll(body)
	require.NoError(t, errors.Join(err, body.Close()))
	return data
}

func put(t testing.TB, zone blob.Bucket, key, content string) {
	t.Helper()
	require.NoError(t, zone.Put(t.Context(), key, strings.NewReader(content), int64(len(content)), blob.PutOptions{}))
}

func hashOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// furnish puts n blobs with a variant each into both zones, and something into the third; it returns how many.
func furnish(t testing.TB, zones *blob.Zones, n int) int64 {
	for i := range n {
		content, small := fmt.Sprint("content ", i), fmt.Sprint("small ", i)
		digest := hashOf(content)
		put(t, zones.Clean, storage.BlobKey("tenant", digest), content)
		put(t, zones.Quarantine, storage.BlobKey("other", digest), content)
		put(t, zones.Clean, storage.VariantKey("tenant", digest, "w640", storage.VariantTag(hashOf(small)), "webp"), small)
		put(t, zones.Clean, storage.VariantKey("tenant", digest, "w320", "", "webp"), "older than tags")
	}
	put(t, zones.Snapshots, "20260101T000000.000Z-0/manifest.json", "{}")
	return int64(4*n + 1)
}

func TestCopyStore(t *testing.T) {
	from := zonesOf(t)
	objects := furnish(t, from, 25)
	for name, to := range map[string]*blob.Zones{"disk": zonesOf(t), "minio": openS3(t, services.MinIO(t))} {
		t.Run(name, func(t *testing.T) {
			// Part of it is there from an attempt before, some of it wrong.
			digest := hashOf("content 3")
			put(t, to.Clean, storage.BlobKey("tenant", digest), "content 3")
			put(t, to.Clean, storage.BlobKey("tenant", hashOf("content 4")), "cut")
			put(t, to.Clean, storage.BlobKey("tenant", hashOf("content 5")), "content X")
			put(t, to.Clean, "stranger/aa/"+strings.Repeat("a", 64), "stays")

			got, err := blob.CopyStore(t.Context(), from, to, blob.CopyOptions{})
			require.NoError(t, err)
			require.Equal(t, objects, got.Objects)
			require.Equal(t, objects-2, got.Copied)
			require.EqualValues(t, 2, got.There)
			require.True(t, got.Complete())
			require.Equal(t, "content 4", string(read(t, to.Clean, storage.BlobKey("tenant", hashOf("content 4")))))

			got, err = blob.CopyStore(t.Context(), from, to, blob.CopyOptions{Verify: true, Parallel: 2})
			require.NoError(t, err)
			require.EqualValues(t, 1, got.Copied, "the one of the right size and wrong bytes")
			require.Equal(t, objects-1, got.There)
			for _, zone := range []struct{ from, to blob.Bucket }{{from.Quarantine, to.Quarantine}, {from.Clean, to.Clean}, {from.Snapshots, to.Snapshots}} {
				for _, key := range keysOf(t, zone.from, "") {
					require.Equal(t, read(t, zone.from, key), read(t, zone.to, key))
				}
			}
			require.Equal(t, "stays", string(read(t, to.Clean, "stranger/aa/"+strings.Repeat("a", 64))))
		})
	}
}

// TestCopyStoreTellsDamage: bytes that are not what their key says are named and stay behind.
func TestCopyStoreTellsDamage(t *testing.T) {
	from, to := zonesOf(t), zonesOf(t)
	objects := furnish(t, from, 5)
	blobKey := storage.BlobKey("tenant", hashOf("content 1"))
	variantKey := storage.VariantKey("tenant", hashOf("content 2"), "w640", storage.VariantTag(hashOf("small 2")), "webp")
	for _, key := range []string{blobKey, variantKey} {
		put(t, from.Clean, key, "rotten!!!")
	}
	calls := 0
	got, err := blob.CopyStore(t.Context(), from, to, blob.CopyOptions{Progress: func(blob.Copied) { calls++ }})
	require.NoError(t, err)
	require.False(t, got.Complete())
	require.EqualValues(t, 2, got.Failed)
	require.Equal(t, objects-2, got.Copied)
	require.EqualValues(t, objects, calls)
	require.Len(t, got.Problems, 2)
	for _, key := range []string{blobKey, variantKey} {
		require.Contains(t, strings.Join(got.Problems, "\n"), "clean/"+key)
		_, err := to.Clean.Stat(t.Context(), key)
		require.ErrorIs(t, err, blob.ErrNotExist)
	}
}

// TestCopyStoreStops: a cancelled copy says so, and the next one goes on.
func TestCopyStoreStops(t *testing.T) {
	from, to := zonesOf(t), zonesOf(t)
	objects := furnish(t, from, 20)
	ctx, cancel := context.WithCancel(t.Context())
	half := *to
	puts := 0
	half.Clean = hooked{to.Clean, func(string) error {
		if puts++; puts == 10 {
			cancel()
		}
		return nil
	}}
	_, err := blob.CopyStore(ctx, from, &half, blob.CopyOptions{Parallel: 1})
	require.ErrorIs(t, err, context.Canceled)
	got, err := blob.CopyStore(t.Context(), from, to, blob.CopyOptions{})
	require.NoError(t, err)
	require.True(t, got.Complete())
	require.Greater(t, got.There, int64(20))
	require.Equal(t, objects, got.There+got.Copied)

	// One that is deleted between its listing and its turn.
	put(t, from.Clean, storage.BlobKey("tenant", hashOf("first")), "first")
	put(t, from.Quarantine, storage.BlobKey("tenant", hashOf("last")), "last")
	half.Clean, half.Quarantine = to.Clean, hooked{to.Quarantine, func(string) error {
		return from.Clean.Delete(t.Context(), storage.BlobKey("tenant", hashOf("first")))
	}}
	was := *from
	was.Clean = listedBefore{from.Clean, keysOf(t, from.Clean, "")}
	got, err = blob.CopyStore(t.Context(), &was, &half, blob.CopyOptions{})
	require.NoError(t, err)
	require.True(t, got.Complete())
	require.EqualValues(t, 1, got.Gone)
	require.EqualValues(t, 1, got.Copied)
	require.EqualValues(t, len("last"), got.CopiedBytes)

	half.Quarantine = to.Quarantine
	broken := errors.New("broken")
	half.Clean = hooked{to.Clean, func(string) error { return broken }}
	put(t, from.Clean, storage.BlobKey("tenant", hashOf("late")), "late")
	got, err = blob.CopyStore(t.Context(), from, &half, blob.CopyOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 1, got.Failed)
}
