package snapshot

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/storage"
	"gatehouse/storage/blob"
)

// bucketsOf makes a store on a server, with buckets of the test's own that go away with it.
func bucketsOf(t testing.TB, server services.S3) *blob.Zones {
	name := "snap-" + strings.ToLower(rand.Text()[:16])
	zones, err := blob.Open(t.Context(), blob.Config{
		Driver: blob.DriverS3, Endpoint: server.Endpoint, AccessKey: server.AccessKey, SecretKey: server.SecretKey, PathStyle: true,
		QuarantineBucket: name + "-q", CleanBucket: name + "-c", SnapshotBucket: name + "-s",
	})
	require.NoError(t, err)
	client, err := minio.New(server.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(server.AccessKey, server.SecretKey, "")})
	require.NoError(t, err)
	t.Cleanup(func() {
		for suffix, zone := range map[string]blob.Bucket{"-q": zones.Quarantine, "-c": zones.Clean, "-s": zones.Snapshots} {
			for info, err := range zone.List(context.Background(), "", "") {
				require.NoError(t, err)
				require.NoError(t, zone.Delete(context.Background(), info.Key))
			}
			require.NoError(t, client.RemoveBucket(context.Background(), name+suffix))
		}
		require.NoError(t, zones.Close())
	})
	return zones
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
	for name, to := range map[string]*blob.Zones{"disk": zonesOf(t), "minio": bucketsOf(t, services.MinIO(t))} {
		t.Run(name, func(t *testing.T) {
			// Part of it is there from an attempt before, some of it wrong.
			digest := hashOf("content 3")
			put(t, to.Clean, storage.BlobKey("tenant", digest), "content 3")
			put(t, to.Clean, storage.BlobKey("tenant", hashOf("content 4")), "cut")
			put(t, to.Clean, storage.BlobKey("tenant", hashOf("content 5")), "content X")
			put(t, to.Clean, "stranger/aa/"+strings.Repeat("a", 64), "stays")

			got, err := CopyStore(t.Context(), from, to, CopyOptions{})
			require.NoError(t, err)
			require.Equal(t, objects, got.Objects)
			require.Equal(t, objects-2, got.Copied)
			require.EqualValues(t, 2, got.There)
			require.True(t, got.Complete())
			require.Equal(t, "content 4", string(read(t, to.Clean, storage.BlobKey("tenant", hashOf("content 4")))))

			got, err = CopyStore(t.Context(), from, to, CopyOptions{Verify: true, Parallel: 2})
			require.NoError(t, err)
			require.EqualValues(t, 1, got.Copied, "the one of the right size and wrong bytes")
			require.Equal(t, objects-1, got.There)
			for _, zone := range []struct{ from, to blob.Bucket }{{from.Quarantine, to.Quarantine}, {from.Clean, to.Clean}, {from.Snapshots, to.Snapshots}} {
				for _, key := range keysIn(t, zone.from) {
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
	got, err := CopyStore(t.Context(), from, to, CopyOptions{Progress: func(Copied) { calls++ }})
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
	_, err := CopyStore(ctx, from, &half, CopyOptions{Parallel: 1})
	require.ErrorIs(t, err, context.Canceled)
	got, err := CopyStore(t.Context(), from, to, CopyOptions{})
	require.NoError(t, err)
	require.True(t, got.Complete())
	require.Greater(t, got.There, int64(20))
	require.Equal(t, objects, got.There+got.Copied)

	broken := errors.New("broken")
	half.Clean = hooked{to.Clean, func(string) error { return broken }}
	put(t, from.Clean, storage.BlobKey("tenant", hashOf("late")), "late")
	got, err = CopyStore(t.Context(), from, &half, CopyOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 1, got.Failed)
}
