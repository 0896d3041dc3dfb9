package alerts

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// drop is the detail of a ledger that counts 39 files where records of 13 are left.
const drop = `{"tenant":"acme","written":{"used_files":39,"used_bytes":390},"truth":{"used_files":13,"used_bytes":130},"lost_files":26,"lost_bytes":260}`

func (b *bench) found(t *testing.T, run string, f meta.ReconcileFinding) {
	t.Helper()
	f.ID, f.RunID, f.FoundAt = meta.NewID(), run, meta.StampOf(b.clock.now())
	if f.Detail == "" {
		f.Detail = "{}"
	}
	b.inTx(t, func(tx *meta.Tx) error { return tx.Create(&f) })
}

func TestLedgerThatCountsMoreThanItsRecordsIsASignOfLostRecords(t *testing.T) {
	ruleBench(t, "reconcile", func(t *testing.T, b *bench) {
		light := b.run(t, meta.RunLight, 0, `["a"]`, "", nil)
		b.found(t, light, meta.ReconcileFinding{TenantID: "a", Kind: storage.DriftLedger, Repair: storage.RepairLedger, State: meta.FindingOpen,
			Detail: `{"tenant":"acme","written":{"used_files":13,"used_bytes":130},"truth":{"used_files":39,"used_bytes":390}}`})
		require.Equal(t, "warning", b.one(t).Severity, "a ledger that counts too little lost nothing")

		light = b.run(t, meta.RunLight, time.Minute, `["a"]`, "", nil)
		b.found(t, light, meta.ReconcileFinding{TenantID: "a", Kind: storage.DriftLedger, Repair: storage.RepairLedger, State: meta.FindingOpen, Detail: drop})
		a := b.one(t)
		require.Equal(t, "critical", a.Severity)
		require.Contains(t, a.Message, "1 ledger_drift. The ledger of tenant \"acme\" (a) counts 39 files, its records 13: records may be lost. `worker snapshot restore ID --fill` brings back ")
		require.Contains(t, a.Message, "Do that before a reconciliation.")
		require.NotContains(t, a.Message, "repairs")
		require.NotContains(t, a.Message, "--once")
		require.Contains(t, a.Data, `"lost_files":26`)

		full := b.run(t, meta.RunFull, 2*time.Minute, "[]", "", nil)
		b.found(t, full, meta.ReconcileFinding{TenantID: "a", Kind: storage.DriftLedger, Repair: storage.RepairLedger, State: meta.FindingRepaired, Detail: drop})
		a = b.one(t)
		require.Equal(t, "full", a.Subject)
		require.Equal(t, "critical", a.Severity, "to set the ledger brings no record back")
		require.Contains(t, a.Message, "1 difference between records and store: 1 ledger_drift. The ledger of tenant \"acme\" (a) counted 39 files, its records 13: records may be lost.")
		require.NotContains(t, a.Message, "repaired what differed")
	})
}

func TestFilesWithoutARecordAreToldUntilTheTrashForgetsThem(t *testing.T) {
	ruleBench(t, "reconcile", func(t *testing.T, b *bench) {
		full := b.run(t, meta.RunFull, 0, "[]", "", nil)
		for _, preset := range []string{"", "w320"} {
			b.found(t, full, meta.ReconcileFinding{TenantID: "a", SHA256: "f00", Preset: preset, Kind: storage.DriftOrphan, Repair: storage.RepairTrash,
				State: meta.FindingRepaired})
		}
		until := at(b.clock.now().Add(30 * 24 * time.Hour))
		a := b.one(t)
		require.Equal(t, "critical", a.Severity)
		require.Contains(t, a.Message, "2 object_without_row. 1 stored file has no record any more; its bytes are in the trash until "+until+". A snapshot may have the records: `worker snapshot restore ID --fill`")
		require.NotContains(t, a.Message, "repaired what differed")
		require.Contains(t, a.Data, `"trashed_files":1`)
	})
}

func TestTenantWhoseRecordSaysThatItIsOverIsNotOneThatIsLost(t *testing.T) {
	ruleBench(t, "reconcile", func(t *testing.T, b *bench) {
		ended := metatest.Tenant(t, b.db, 1000)
		run := b.run(t, meta.RunFull, 0, "[]", "", nil)
		for _, id := range []string{ended, "a"} {
			b.found(t, run, meta.ReconcileFinding{TenantID: id, Kind: storage.DriftTenant, State: meta.FindingOpen})
		}
		a := b.one(t)
		require.Contains(t, a.Message, "The record of tenant a is lost")
		require.Regexp(t, `The record of tenant "[^"]+" \(`+ended+`\) says that it is deleted or has failed, but there are files`, a.Message)
		require.Contains(t, a.Data, `"tenants_ended":["`+ended+`"]`)
		require.Contains(t, a.Data, `"tenants_lost":["a"]`)
	})
}

func TestTenantOrPlanWithoutARecordIsForAPersonAtOnce(t *testing.T) {
	ruleBench(t, "reconcile", func(t *testing.T, b *bench) {
		for kind, says := range map[storage.DriftKind]string{
			storage.DriftTenant: "The record of tenant a is lost, and nobody can reach the files. Bring it back: `worker snapshot restore ID --fill`",
			storage.DriftPlan:   "The plan of tenant a has no record, so its uploads are refused. Bring it back: `worker snapshot restore ID --fill`",
		} {
			b.clock.pass(time.Minute)
			b.found(t, b.run(t, meta.RunLight, 0, `["a"]`, "", nil), meta.ReconcileFinding{TenantID: "a", Kind: kind, State: meta.FindingOpen})
			a := b.one(t)
			require.Equal(t, "light", a.Subject)
			require.Equal(t, "critical", a.Severity)
			require.Contains(t, a.Message, says)
			require.NotContains(t, a.Message, "repairs")

			b.clock.pass(time.Minute)
			b.found(t, b.run(t, meta.RunFull, 0, "[]", "", nil), meta.ReconcileFinding{TenantID: "a", Kind: kind, State: meta.FindingOpen})
			a = b.one(t)
			require.Equal(t, "full", a.Subject)
			require.Contains(t, a.Message, says)
			require.NotContains(t, a.Message, "tries again")
			b.exec(t, "DELETE FROM reconcile_runs")
		}
	})
}
