package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
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
	require.NoError(t, h.Zones.Promote(ctx, storage.BlobKey(h.tenant, digest)))
	require.NoError(t, h.DB.InTx(ctx, func(tx *meta.Tx) error {
		tenant := tx.Tenant(h.tenant)
		require.NoError(t, tenant.CancelTasks(digest))
		require.NoError(t, tenant.SetVerdict(digest, first.Asset.Blob.Revision, storage.Verdict{Status: storage.ScanClean, ScannedAt: time.Now()},
			storage.ZoneClean, storage.MediaNone))
		_, err := tenant.FollowBlob(digest, storage.AssetAvailable, storage.EventScanned, nil)
		require.NoError(t, err)
		return tenant.MarkDamaged(digest, first.Asset.Blob.Revision+1, storage.DamageMissing)
	}))
	for _, zone := range []storage.Zone{storage.ZoneQuarantine, storage.ZoneClean} {
		require.NoError(t, h.Zones.Of(zone).Delete(ctx, storage.BlobKey(h.tenant, digest)))
	}
	return first.Asset
}

// requireHealing says that the bytes wait for their scan and that nobody is served before.
func (h house) requireHealing(t *testing.T, digest string, refs int64) {
	t.Helper()
	ctx := context.Background()
	tenant := h.DB.Tenant(ctx, h.tenant)
	b, err := tenant.Blob(digest)
	require.NoError(t, err)
	require.Equal(t, storage.DamageMissing, b.Damage)
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
		h.requireHealing(t, old.SHA256, 2)
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
		h.requireHealing(t, old.SHA256, 1)
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
			h := newHouse(t, db, 1<<20)
			old := h.damaged(t, note(300), "")
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
			h.requireHealing(t, old.SHA256, 1)
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
		h.requireHealing(t, old.SHA256, 1)

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
		h.requireHealing(t, old.SHA256, uploads+1)
	})
}
