package intake

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// damaged is an upload that was scanned clean and whose object was lost, and marked.
func (h house) damaged(t *testing.T, content []byte, key string) meta.AssetView {
	t.Helper()
	ctx := context.Background()
	up := h.upload("a.txt", content)
	up.IdempotencyKey = key
	first, err := h.Receive(ctx, up)
	require.NoError(t, err)
	digest := first.Asset.SHA256
	h.scannedClean(t, first.Asset)
	require.NoError(t, h.DB.InTx(ctx, func(tx *meta.Tx) error {
		return tx.Tenant(h.tenant).MarkDamaged(digest, first.Asset.Blob.Revision+1, storage.DamageMissing)
	}))
	for _, zone := range []storage.Zone{storage.ZoneQuarantine, storage.ZoneClean} {
		require.NoError(t, h.Zones.Of(zone).Delete(ctx, storage.BlobKey(h.tenant, digest)))
	}
	return first.Asset
}

// scannedClean is what a scan does that finds nothing.
func (h house) scannedClean(t *testing.T, a meta.AssetView) {
	t.Helper()
	ctx, key := context.Background(), storage.BlobKey(h.tenant, a.SHA256)
	require.NoError(t, h.Zones.Promote(ctx, key))
	require.NoError(t, h.DB.InTx(ctx, func(tx *meta.Tx) error {
		tenant := tx.Tenant(h.tenant)
		if err := tenant.CancelTasks(a.SHA256); err != nil {
			return err
		}
		if err := tenant.SetVerdict(a.SHA256, a.Blob.Revision, storage.Verdict{Status: storage.ScanClean, ScannedAt: time.Now()},
			storage.ZoneClean, storage.MediaNone); err != nil {
			return err
		}
		_, err := tenant.FollowBlob(a.SHA256, storage.AssetAvailable, storage.EventScanned, nil)
		return err
	}))
	require.NoError(t, h.Zones.Quarantine.Delete(ctx, key))
}

// requireHealing says that the bytes wait for their scan and that nobody is served before.
func (h house) requireHealing(t *testing.T, digest string, refs int64, damage storage.Damage) {
	t.Helper()
	ctx := context.Background()
	tenant := h.DB.Tenant(ctx, h.tenant)
	b, err := tenant.Blob(digest)
	require.NoError(t, err)
	require.Equal(t, damage, b.Damage)
	require.Equal(t, storage.ScanPending, b.ScanStatus)
	require.Equal(t, storage.ZoneQuarantine, b.Zone)
	require.Equal(t, refs, b.Refs)
	open, err := tenant.OpenTask(storage.TaskScan, digest)
	require.NoError(t, err)
	require.True(t, open)
	body, _, err := h.Zones.Quarantine.Open(ctx, storage.BlobKey(h.tenant, digest), 0, -1)
	require.NoError(t, err)
	all, err := io.ReadAll(body)
	require.NoError(t, err)
	require.NoError(t, body.Close())
	sum := sha256.Sum256(all)
	require.Equal(t, digest, hex.EncodeToString(sum[:]))
	ledger, err := tenant.Ledger()
	require.NoError(t, err)
	require.Equal(t, ledger.Truth, ledger.Written)
	require.Zero(t, ledger.Truth.ReservedFiles)
	require.EqualValues(t, refs, ledger.Truth.UsedFiles)
	require.Equal(t, b.Size, ledger.Truth.UsedBytes, "the bytes cost nothing a second time")
}

func TestUploadOfTheSameBytesHealsADamagedBlob(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		h := newHouse(t, db, 1<<20)
		old := h.damaged(t, note(300), "")
		again, err := h.Receive(context.Background(), h.upload("b.txt", note(300)))
		require.NoError(t, err)
		require.True(t, again.Duplicate)
		require.NotEqual(t, old.ID, again.Asset.ID)
		require.Equal(t, storage.AssetQuarantined, again.Asset.State)
		h.requireHealing(t, old.SHA256, 2, storage.DamageMissing)
	})
}

func TestWhereDuplicatesAreRefusedTheUploadMendsTheOldAsset(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		h := newHouse(t, db, 1<<20)
		old := h.damaged(t, note(300), "")
		up := h.upload("b.txt", note(300))
		up.Policy.RejectDuplicates = true
		again, err := h.Receive(context.Background(), up)
		require.NoError(t, err)
		require.True(t, again.Mended)
		require.True(t, again.Duplicate)
		require.Equal(t, old.ID, again.Asset.ID)
		h.requireHealing(t, old.SHA256, 1, storage.DamageMissing)
	})
}

// The bytes of a damaged blob are counted already: at the limit they are let in when they are declared, and cost nothing.
func TestDeclaredBytesHealADamagedBlobAtAFullQuota(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		for name, full := range map[string]func(h house, up *Upload){
			"files": func(_ house, up *Upload) { up.Limits.MaxFiles = 1 },
			"bytes": func(h house, _ *Upload) {
				_, err := h.DB.Exec(ctx, `UPDATE tenants SET quota_override = used_bytes WHERE id = ?`, h.tenant)
				require.NoError(t, err)
			},
		} {
			for _, unnoticed := range []bool{false, true} {
				h := newHouse(t, db, 1<<20)
				old := h.damaged(t, note(300), "")
				if unnoticed {
					_, err := h.DB.Exec(ctx, `UPDATE blobs SET damage = '' WHERE tenant_id = ?`, h.tenant)
					require.NoError(t, err)
				}
				send := func(content []byte, digest string) (Receipt, error) {
					up := h.upload("b.txt", content)
					full(h, &up)
					if digest != "" {
						raw, err := hex.DecodeString(digest)
						require.NoError(t, err)
						up.Digests = []Digest{{Algorithm: DigestSHA256, Value: raw}}
					}
					return h.Receive(ctx, up)
				}
				_, err := send(note(300), "")
				require.Equal(t, storage.CodeQuotaExceeded, storage.CodeOf(err), "%s: nobody knows what it is", name)
				_, err = send(note(301), old.SHA256)
				require.Equal(t, storage.CodeDigestMismatch, storage.CodeOf(err), "%s: a claim alone is no way in", name)
				again, err := send(note(300), old.SHA256)
				require.NoError(t, err, name)
				require.True(t, again.Mended)
				require.Equal(t, old.ID, again.Asset.ID)
				h.requireHealing(t, old.SHA256, 1, storage.DamageMissing)
			}
		}
	})
}

func TestRepeatedIdempotencyKeyHealsItsOwnAsset(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		h := newHouse(t, db, 1<<20)
		old := h.damaged(t, note(300), "once")
		up := h.upload("a.txt", note(300))
		up.IdempotencyKey = "once"
		again, err := h.Receive(context.Background(), up)
		require.NoError(t, err)
		require.True(t, again.Replayed)
		require.Equal(t, old.ID, again.Asset.ID)
		h.requireHealing(t, old.SHA256, 1, storage.DamageMissing)

		// A row that is gone altogether comes back by reconciliation; the answer is the asset, at once.
		require.NoError(t, db.InTx(context.Background(), func(tx *meta.Tx) error { _, err := tx.Exec(`DELETE FROM blobs`); return err }))
		up = h.upload("a.txt", note(300))
		up.IdempotencyKey = "once"
		again, err = h.Receive(context.Background(), up)
		require.NoError(t, err)
		require.True(t, again.Replayed)
	})
}

func TestManyUploadsOfADamagedBlobAtOnce(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		h := newHouse(t, db, 1<<20)
		old := h.damaged(t, note(300), "")
		const uploads = 8
		var wg sync.WaitGroup
		errs := make([]error, uploads)
		for i := range uploads {
			wg.Go(func() { _, errs[i] = h.Receive(context.Background(), h.upload("b.txt", note(300))) })
		}
		wg.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		h.requireHealing(t, old.SHA256, uploads+1, storage.DamageMissing)
	})
}

// A row is no proof that the bytes are there: whoever is told that an upload is a duplicate may throw his own file away.
func TestDuplicateOfBytesThatAreGoneBringsThemBack(t *testing.T) {
	stores := map[string]func(t *testing.T) *blob.Zones{"disk": diskZones, "minio": minioZones}
	losses := map[string]struct {
		lose   func(ctx context.Context, zone blob.Bucket, key string) error
		damage storage.Damage
	}{
		"missing": {func(ctx context.Context, zone blob.Bucket, key string) error { return zone.Delete(ctx, key) }, storage.DamageMissing},
		"cut": {func(ctx context.Context, zone blob.Bucket, key string) error {
			return zone.Put(ctx, key, bytes.NewReader(note(10)), 10, blob.PutOptions{})
		}, storage.DamageSize},
	}
	for store, open := range stores {
		for loss, l := range losses {
			for _, zone := range []storage.Zone{storage.ZoneQuarantine, storage.ZoneClean} {
				t.Run(fmt.Sprint(store, " ", loss, " in ", zone), func(t *testing.T) {
					h := newHouse(t, metatest.SQLite(t), 1<<20)
					h.Zones = open(t)
					up := h.upload("a.txt", note(300))
					up.IdempotencyKey = "once"
					old, err := h.Receive(t.Context(), up)
					require.NoError(t, err)
					if zone == storage.ZoneClean {
						h.scannedClean(t, old.Asset)
					}
					require.NoError(t, l.lose(t.Context(), h.Zones.Of(zone), storage.BlobKey(h.tenant, old.Asset.SHA256)))

					again, err := h.Receive(t.Context(), h.upload("b.txt", note(300)))
					require.NoError(t, err)
					require.True(t, again.Duplicate)
					require.NotEqual(t, old.Asset.ID, again.Asset.ID)
					h.requireHealing(t, old.Asset.SHA256, 2, l.damage)

					// So does the repetition of a request, whose first answer was lost.
					require.NoError(t, h.Zones.Quarantine.Delete(t.Context(), storage.BlobKey(h.tenant, old.Asset.SHA256)))
					up.Body = bytes.NewReader(note(300))
					repeated, err := h.Receive(t.Context(), up)
					require.NoError(t, err)
					require.Equal(t, old.Asset.ID, repeated.Asset.ID)
					h.requireHealing(t, old.Asset.SHA256, 2, l.damage)
				})
			}
		}
	}
}

// A scan moves the object between the look at the row and the look at the store: nothing is lost.
func TestDuplicateWhileAScanMovesTheBytesIsNoDamage(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		h := newHouse(t, db, 1<<20)
		old, err := h.Receive(t.Context(), h.upload("a.txt", note(300)))
		require.NoError(t, err)
		moved := false
		scan := *h.Intake
		h.Zones = &blob.Zones{Clean: h.Zones.Clean, Quarantine: lookedAt{h.Zones.Quarantine, func() {
			if !moved {
				moved = true
				house{&scan, h.tenant, h.spool}.scannedClean(t, old.Asset)
			}
		}}}
		again, err := h.Receive(t.Context(), h.upload("b.txt", note(300)))
		require.NoError(t, err)
		require.True(t, moved)
		require.True(t, again.Duplicate)
		require.Equal(t, storage.AssetAvailable, again.Asset.State)
		b, err := db.Tenant(t.Context(), h.tenant).Blob(old.Asset.SHA256)
		require.NoError(t, err)
		require.Empty(t, b.Damage)
	})
}

// lookedAt does something before it is asked for an object.
type lookedAt struct {
	blob.Bucket
	before func()
}

func (b lookedAt) Stat(ctx context.Context, key string) (blob.Info, error) {
	b.before()
	return b.Bucket.Stat(ctx, key)
}

func diskZones(t *testing.T) *blob.Zones {
	zones, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	return zones
}

// minioZones are buckets of the test's own.
func minioZones(t *testing.T) *blob.Zones {
	s := services.MinIO(t)
	name := "intake-" + strings.ToLower(rand.Text())
	zones, err := blob.Open(t.Context(), blob.Config{
		Driver: blob.DriverS3, Endpoint: s.Endpoint, AccessKey: s.AccessKey, SecretKey: s.SecretKey, PathStyle: true,
		QuarantineBucket: name + "-q", CleanBucket: name + "-c", SnapshotBucket: name + "-s", AuditBucket: name + "-a",
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.Background()
		client, err := minio.New(s.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, "")})
		require.NoError(t, err)
		for bucket, zone := range map[string]blob.Bucket{"-q": zones.Quarantine, "-c": zones.Clean, "-s": zones.Snapshots, "-a": zones.Audit} {
			for info, err := range zone.List(ctx, "", "") {
				require.NoError(t, err)
				require.NoError(t, zone.Delete(ctx, info.Key))
			}
			require.NoError(t, client.RemoveBucket(ctx, name+bucket))
		}
		require.NoError(t, zones.Close())
	})
	return zones
}
