package reconcile

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// What an asset's record says of state and size is what its blob's says; nothing else would ever put it right.
func TestAssetThatDiffersFromItsBlobIsMended(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		for n, at := range []struct {
			scan storage.ScanStatus
			set  string
			want storage.AssetState
		}{
			{storage.ScanClean, "state = 'quarantined'", storage.AssetAvailable},
			{storage.ScanClean, "state = 'rejected'", storage.AssetAvailable},
			{storage.ScanInfected, "state = 'available'", storage.AssetRejected},
			{storage.ScanUnscannable, "state = 'quarantined'", storage.AssetRejected},
			{storage.ScanClean, "size = size + 7", storage.AssetAvailable},
			{storage.ScanPending, "size = size - 1", storage.AssetQuarantined},
			{storage.ScanClean, "state = 'rejected', size = 0", storage.AssetAvailable},
		} {
			content := fmt.Sprint("content ", n)
			asset := y.upload(t, content)
			y.task(t, content)
			switch at.scan {
			case storage.ScanClean:
				y.pass(t, content)
			case storage.ScanPending:
			default:
				y.verdict(t, content, at.scan, storage.ZoneQuarantine, storage.MediaNone)
			}
			y.fitLedger(t)
			require.Empty(t, y.found(t, y.dry(t)), at.set)
			before := y.events(t, asset)
			y.exec(t, `UPDATE assets SET `+at.set+` WHERE id = ?`, asset)
			require.Equal(t, []string{"asset_differs -> set_assets"}, y.found(t, y.reconcile(t, meta.RunLight)), at.set)
			run := y.reconcile(t, meta.RunFull)
			require.Equal(t, []string{"asset_differs -> set_assets"}, y.found(t, run), at.set)
			require.EqualValues(t, 1, run.Repaired, at.set)
			a, err := y.db.Tenant(ctx, y.tenant).Asset(asset)
			require.NoError(t, err)
			require.Equal(t, at.want, a.State, at.set)
			require.EqualValues(t, len(content), a.Size, at.set)
			if after := y.events(t, asset); at.set[:5] == "state" {
				require.Equal(t, append(before, storage.EventScanned), after, at.set)
			} else {
				require.Equal(t, before, after, "%s: its owner need not know", at.set)
			}
			require.Empty(t, y.found(t, y.reconcile(t, meta.RunFull)), at.set)
		}
		require.EqualValues(t, 7, y.audited(t, "reconcile.set_assets"))
	})
}

// While a blob waits for another scan its assets stay what they are, and the verdict that comes moves them.
func TestAssetOfABlobThatIsScannedAgainIsLeftAlone(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.whole(t, "again")
		b := y.blobOf(t, "again")
		y.put(t, storage.ZoneQuarantine, storage.BlobKey(y.tenant, b.SHA256), "again")
		require.NoError(t, y.zones.Clean.Delete(ctx, storage.BlobKey(y.tenant, b.SHA256)))
		y.inTx(t, func(tx *meta.Tx) error { return tx.Tenant(y.tenant).Requarantine(b.SHA256, b.Revision) })
		y.task(t, "again")
		y.fitLedger(t)
		require.Empty(t, y.found(t, y.reconcile(t, meta.RunFull)))
		f := y.finding(t, storage.DriftAsset, storage.RepairAssets, y.about("again"))
		y.mend(t, f, meta.FindingGone)
	})
}

// The size of a blob whose object has another one is not believed: it may be the wrong one of the two.
func TestSizeOfABlobIsWrittenNowhereWhenItsObjectHasAnother(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		digest, _, _ := y.whole(t, "twelve bytes")
		y.exec(t, `UPDATE blobs SET size = 5 WHERE sha256 = ?`, digest)
		y.mend(t, y.finding(t, storage.DriftAsset, storage.RepairAssets, y.about("twelve bytes")), meta.FindingGone)
		require.Equal(t, []string{"asset_differs -> set_assets", "ledger_drift -> set_ledger", "size_differs clean -> mark_damaged"}, y.found(t, y.reconcile(t, meta.RunFull)))
		asset, err := y.db.Tenant(ctx, y.tenant).LiveAsset(digest)
		require.NoError(t, err)
		require.EqualValues(t, 12, asset.Size)
		require.Equal(t, []string{"size_differs clean -> "}, y.found(t, y.reconcile(t, meta.RunFull)), "it is told once, as a damage")
	})
}

// task queues the scan of an uploaded blob.
func (y *yard) task(t testing.TB, content string) {
	t.Helper()
	y.inTx(t, func(tx *meta.Tx) error {
		_, err := tx.Enqueue(meta.BlobTask(storage.TaskScan, y.tenant, digestOf(content)))
		return err
	})
}
