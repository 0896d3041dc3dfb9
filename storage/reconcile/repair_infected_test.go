package reconcile

import (
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// Bytes that turn up again of an infected blob end its damage and nothing else: a scan of them might acquit it.
func TestNoRepairHasAnInfectedBlobScanned(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		const content = "turned out bad"
		asset := y.upload(t, content)
		require.NoError(t, y.db.InTx(ctx, func(tx *meta.Tx) error { return tx.Tenant(y.tenant).CancelTasks(digestOf(content)) }))
		y.verdict(t, content, storage.ScanInfected, storage.ZoneQuarantine, storage.MediaNone)
		key := storage.BlobKey(y.tenant, digestOf(content))
		infected := func(damage storage.Damage) {
			b := y.blobOf(t, content)
			require.Equal(t, storage.ScanInfected, b.ScanStatus)
			require.Equal(t, storage.ZoneQuarantine, b.Zone)
			require.Equal(t, damage, b.Damage)
			require.Equal(t, damage == "", y.has(t, storage.ZoneQuarantine, key))
			require.False(t, y.open(t, storage.TaskScan, content))
			a, err := y.db.Tenant(ctx, y.tenant).Asset(asset)
			require.NoError(t, err)
			require.Equal(t, storage.AssetRejected, a.State)
		}
		// Lost, and found later.
		y.lose(t, storage.ZoneQuarantine, key)
		y.mend(t, y.finding(t, storage.DriftMissing, storage.RepairDamaged, y.about(content)), meta.FindingMarked)
		infected(storage.DamageMissing)
		y.object(t, storage.ZoneQuarantine, content)
		y.mend(t, y.finding(t, storage.DriftMissing, storage.RepairHeal, y.about(content)), meta.FindingRepaired)
		infected("")
		// Lost, and found in the trash.
		y.lose(t, storage.ZoneQuarantine, key)
		y.put(t, storage.ZoneQuarantine, storage.TrashKey(storage.ZoneQuarantine, key), content)
		y.mend(t, y.finding(t, storage.DriftMissing, storage.RepairDamaged, y.about(content)), meta.FindingRepaired)
		infected("")
		// In the clean zone only.
		y.lose(t, storage.ZoneQuarantine, key)
		y.object(t, storage.ZoneClean, content)
		y.mend(t, y.finding(t, storage.DriftZone, storage.RepairRescan, y.about(content)), meta.FindingRepaired)
		infected("")
		outOfClean := func() {
			require.False(t, y.has(t, storage.ZoneClean, key), "nothing rejected stays in the clean zone")
			require.True(t, y.has(t, storage.ZoneQuarantine, storage.TrashKey(storage.ZoneClean, key)))
		}
		outOfClean()
		// A run was cut off after it had brought the bytes back.
		y.object(t, storage.ZoneClean, content)
		y.mend(t, y.finding(t, storage.DriftZone, storage.RepairRescan, y.about(content)), meta.FindingRepaired)
		infected("")
		outOfClean()
		y.mend(t, y.finding(t, storage.DriftZone, storage.RepairRescan, y.about(content)), meta.FindingGone)
		y.fitLedger(t)
		require.Empty(t, y.found(t, y.reconcile(t, meta.RunFull)))
		infected("")
	})
}
