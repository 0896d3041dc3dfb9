package intake

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// Another signature database may be the older one: only an operator has an infected file scanned once more.
func TestAnInfectedFileThatIsSentAgainIsNotScannedAgain(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		h := newHouse(t, db, 1<<20)
		first, err := h.Receive(t.Context(), h.upload("a.txt", note(300)))
		require.NoError(t, err)
		digest, tenant := first.Asset.SHA256, db.Tenant(t.Context(), h.tenant)
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
			tenant := tx.Tenant(h.tenant)
			if err := tenant.CancelTasks(digest); err != nil {
				return err
			}
			bad := storage.Verdict{
				Status: storage.ScanInfected, Signature: "Win.Worm", Engine: "e", Database: "monday", BytesScanned: 300, Digest: digest, ScannedAt: time.Now(),
			}
			if err := tenant.SetVerdict(digest, first.Asset.Blob.Revision, bad, storage.ZoneQuarantine, storage.MediaNone); err != nil {
				return err
			}
			_, err := tenant.FollowBlob(digest, storage.AssetRejected, storage.EventScanned, nil)
			return err
		}))
		again := func(database string) {
			require.NoError(t, db.SetScanner(t.Context(), meta.ScannerFact{Host: database, Ready: true, Database: database, CheckedAt: meta.Now()}))
			got, err := h.Receive(t.Context(), h.upload("b.txt", note(300)))
			require.NoError(t, err)
			require.True(t, got.Duplicate)
			require.Equal(t, storage.AssetRejected, got.Asset.State)
			open, err := tenant.OpenTask(storage.TaskScan, digest)
			require.NoError(t, err)
			require.False(t, open)
			b, err := tenant.Blob(digest)
			require.NoError(t, err)
			require.Equal(t, storage.ScanInfected, b.ScanStatus)
			require.Equal(t, "Win.Worm", b.ScanSignature)
			require.Equal(t, storage.ZoneQuarantine, b.Zone)
			require.Empty(t, b.Damage)
			_, err = h.Zones.Quarantine.Stat(t.Context(), storage.BlobKey(h.tenant, digest))
			require.NoError(t, err)
			old, err := tenant.Asset(first.Asset.ID)
			require.NoError(t, err)
			require.Equal(t, storage.AssetRejected, old.State)
		}
		again("monday")
		again("sunday")

		// Nor because its bytes were lost.
		require.NoError(t, h.Zones.Quarantine.Delete(t.Context(), storage.BlobKey(h.tenant, digest)))
		again("sunday")
	})
}
