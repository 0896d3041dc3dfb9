package release_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta/metatest"
	releases "gatehouse/storage/release"
)

// The same with objects in a bucket: what replaces one while it is sent ends the response or does not change it.
func TestFilesFromABucket(t *testing.T) {
	server := services.MinIO(t)
	name := "feed-" + strings.ToLower(rand.Text()[:16])
	c := blob.Config{
		Driver: blob.DriverS3, Endpoint: server.Endpoint, AccessKey: server.AccessKey, SecretKey: server.SecretKey, PathStyle: true,
		QuarantineBucket: name + "-quarantine", CleanBucket: name + "-clean", SnapshotBucket: name + "-snapshots", AuditBucket: name + "-audit",
	}
	zones, err := blob.Open(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() {
		client, err := minio.New(c.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""), Region: "us-east-1"})
		require.NoError(t, err)
		for _, bucket := range []string{c.QuarantineBucket, c.CleanBucket, c.SnapshotBucket, c.AuditBucket} {
			require.NoError(t, client.RemoveBucketWithOptions(context.Background(), bucket, minio.RemoveBucketOptions{ForceDelete: true}))
		}
		require.NoError(t, zones.Close())
	})
	r := newRig(t, metatest.SQLite(t))
	r.zones.Clean, r.api.Zones = zones.Clean, zones
	const size = 24 << 20
	content := r.file(size)
	require.True(t, bytes.Equal(content, r.get(setup).body))
	many := r.get(setup, "Range", "bytes=0-9, 200000-200009, 9000000-9000009")
	require.Equal(t, 206, many.status)
	for _, at := range []int{0, 200000, 9000000} {
		require.True(t, bytes.Contains(many.body, content[at:at+10]), fmt.Sprint(at))
	}
	resp, err := http.Get(r.url + setup)
	require.NoError(t, err)
	defer resp.Body.Close()
	got := make([]byte, 1<<20)
	_, err = io.ReadFull(resp.Body, got)
	require.NoError(t, err)
	require.NoError(t, zones.Clean.Put(t.Context(), storage.BlobKey(releases.PlatformTenant, digestOf(content)), bytes.NewReader(random(size, 3)), size, blob.PutOptions{}))
	rest, err := io.ReadAll(resp.Body)
	got = append(got, rest...)
	require.True(t, bytes.Equal(content[:len(got)], got), "a byte of another object was sent")
	require.True(t, err != nil || len(got) == size)
	r.refused(r.get(setup), 409, storage.CodeAssetDamaged, "artifact_damaged")
	require.Equal(t, none, r.manifest(early))
}
