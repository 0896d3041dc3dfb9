package jobs_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta/metatest"
	"gatehouse/worker/jobs"
)

// buckets makes the two zones in buckets of the test's own.
func buckets(t *testing.T, s services.S3) *blob.Zones {
	ctx := context.Background()
	name := "jobs-" + strings.ToLower(rand.Text())
	zones, err := blob.Open(ctx, blob.Config{
		Driver: blob.DriverS3, Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: s.SecretKey, PathStyle: true,
		QuarantineBucket: name + "-q", CleanBucket: name + "-c", SnapshotBucket: name + "-s", AuditBucket: name + "-a",
	})
	require.NoError(t, err)
	client, err := minio.New(s.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, "")})
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, bucket := range []string{name + "-q", name + "-c", name + "-s"} {
			require.NoError(t, client.RemoveBucket(ctx, bucket))
		}
	})
	t.Cleanup(func() {
		for _, zone := range []blob.Bucket{zones.Quarantine, zones.Clean, zones.Snapshots, zones.Audit} {
			for info, err := range zone.List(ctx, "", "") {
				require.NoError(t, err)
				require.NoError(t, zone.Delete(ctx, info.Key))
			}
		}
	})
	return zones
}

// The jobs over a network store: streams instead of files, server-side copies.
func TestJobsOverBuckets(t *testing.T) {
	for name, server := range map[string]services.S3{"minio": services.MinIO(t), "versitygw": services.VersityGW(t)} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, metatest.SQLite(t), buckets(t, server)).withPictures(t)
			asset, digest := b.cleanPicture(t, photo(t, 7))
			require.Equal(t, storage.AssetAvailable, b.stateOf(t, asset))
			require.NoError(t, b.attempt(t, storage.TaskImage, digest))
			require.Len(t, b.objects(t, storage.ZoneClean), 1+len(presets))

			bad, digest := b.upload(t, []byte(eicar), storage.CategoryDocument)
			require.NoError(t, b.attempt(t, storage.TaskScan, digest))
			require.Equal(t, storage.AssetRejected, b.stateOf(t, bad))

			_, missing := b.upload(t, harmless, storage.CategoryDocument)
			require.NoError(t, b.zones.Quarantine.Delete(context.Background(), storage.BlobKey(b.tenant, missing)))
			err := b.attempt(t, storage.TaskScan, missing)
			require.ErrorIs(t, err, blob.ErrNotExist)
			require.False(t, jobs.IsPermanent(err))

			b.put(t, storage.ZoneQuarantine, missing, harmless)
			require.NoError(t, b.attempt(t, storage.TaskScan, missing))
			b.requireExactLedger(t)
		})
	}
}
