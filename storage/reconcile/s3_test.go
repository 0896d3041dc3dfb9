package reconcile

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// s3Zones makes two buckets of the test's own on a server and removes them when it ends.
func s3Zones(t *testing.T, s services.S3) *blob.Zones {
	name := "sweep-" + strings.ToLower(rand.Text())
	zones, err := blob.Open(ctx, blob.Config{
		Driver: blob.DriverS3, Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: s.SecretKey, PathStyle: true,
		QuarantineBucket: name + "-q", CleanBucket: name + "-c", SnapshotBucket: name + "-s", AuditBucket: name + "-a",
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		client, err := minio.New(s.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, "")})
		require.NoError(t, err)
		for _, b := range []struct {
			name string
			zone blob.Bucket
		}{{name + "-q", zones.Quarantine}, {name + "-c", zones.Clean}, {name + "-s", zones.Snapshots}, {name + "-a", zones.Audit}} {
			for info, err := range b.zone.List(ctx, "", "") {
				require.NoError(t, err)
				require.NoError(t, b.zone.Delete(ctx, info.Key))
			}
			require.NoError(t, client.RemoveBucket(ctx, b.name))
		}
		require.NoError(t, zones.Close())
	})
	return zones
}

// One run over many orphans, among blobs that stay.
func TestRunOverBuckets(t *testing.T) {
	for name, server := range map[string]services.S3{"minio": services.MinIO(t), "versitygw": services.VersityGW(t)} {
		t.Run(name, func(t *testing.T) {
			y := newYard(t, metatest.SQLite(t), s3Zones(t, server))
			kept := y.upload(t, "kept")
			y.pass(t, "kept")
			y.delete(t, y.upload(t, "deleted"))
			const orphans = 130
			for n := range orphans {
				y.object(t, storage.ZoneQuarantine, fmt.Sprint("orphan ", n))
			}
			y.object(t, storage.ZoneQuarantine, "kept")
			y.put(t, storage.ZoneQuarantine, "zoo/keeper", "foreign")
			require.Equal(t, Report{Blobs: 1, Bytes: int64(len("deleted"))}, y.sweep(t))
			y.fitLedger(t)

			y.cfg.BrakeMin = orphans + 1
			run := y.reconcile(t, meta.RunFull)
			require.Equal(t, meta.RunDone, run.State)
			require.EqualValues(t, orphans+1, run.Repaired)
			require.Zero(t, run.Failed)
			require.EqualValues(t, 1, run.ForeignObjects)
			require.EqualValues(t, orphans+3, run.Objects)
			y.requireExact(t)
			again := y.reconcile(t, meta.RunFull)
			require.Zero(t, again.Findings, "the trash is no drift")
			require.EqualValues(t, 2, again.Objects)
			require.EqualValues(t, 1, again.ForeignObjects, "what comes behind the trash is seen")

			y.delete(t, kept)
			require.Equal(t, 1, y.sweep(t).Blobs)
		})
	}
}
