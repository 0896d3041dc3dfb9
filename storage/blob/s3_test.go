package blob_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/storage/blob"
	"gatehouse/storage/blob/blobtest"
)

func TestMinIO(t *testing.T) {
	t.Parallel()
	server := services.MinIO(t)
	blobtest.Run(t, func(t *testing.T) *blob.Zones { return openS3(t, server) })
}

func TestVersityGW(t *testing.T) {
	t.Parallel()
	server := services.VersityGW(t)
	blobtest.Run(t, func(t *testing.T) *blob.Zones { return openS3(t, server) })
}

func s3Config(server services.S3) blob.Config {
	name := "blob-" + strings.ToLower(rand.Text()[:16])
	return blob.Config{
		Driver: blob.DriverS3, Endpoint: server.Endpoint, AccessKey: server.AccessKey, SecretKey: server.SecretKey,
		PathStyle: true, QuarantineBucket: name + "-quarantine", CleanBucket: name + "-clean",
		SnapshotBucket: name + "-snapshots",
		AuditBucket:    name + "-audit",
	}
}

// openS3 opens a store with buckets of its own, which go away with the test.
func openS3(t testing.TB, server services.S3) *blob.Zones {
	t.Helper()
	c := s3Config(server)
	zones, err := blob.Open(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() {
		dropBuckets(t, c)
		require.NoError(t, zones.Close())
	})
	return zones
}

func client(t testing.TB, c blob.Config) *minio.Client {
	t.Helper()
	mc, err := minio.New(c.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""), Region: "us-east-1",
	})
	require.NoError(t, err)
	return mc
}

func dropBuckets(t testing.TB, c blob.Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	mc := client(t, c)
	for _, bucket := range []string{c.QuarantineBucket, c.CleanBucket, c.SnapshotBucket, c.AuditBucket} {
		objects := mc.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true})
		for e := range mc.RemoveObjects(ctx, bucket, objects, minio.RemoveObjectsOptions{}) {
			require.NoError(t, e.Err)
		}
		require.NoError(t, mc.RemoveBucket(ctx, bucket))
	}
}

// TestS3Existing: a store without buckets is not made where an existing one is wanted; one with some of them is.
func TestS3Existing(t *testing.T) {
	t.Parallel()
	c := s3Config(services.MinIO(t))
	c.Existing = true
	_, err := blob.Open(t.Context(), c)
	require.ErrorIs(t, err, blob.ErrNoStore)
	mc := client(t, c)
	for _, bucket := range []string{c.QuarantineBucket, c.CleanBucket, c.SnapshotBucket, c.AuditBucket} {
		exists, err := mc.BucketExists(t.Context(), bucket)
		require.NoError(t, err)
		require.False(t, exists)
	}
	require.NoError(t, mc.MakeBucket(t.Context(), c.SnapshotBucket, minio.MakeBucketOptions{}))
	zones, err := blob.Open(t.Context(), c)
	require.NoError(t, err)
	dropBuckets(t, c)
	require.NoError(t, zones.Close())
}
