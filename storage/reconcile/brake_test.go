package reconcile

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
)

// forgetRecords takes the records of files away, as a script would that nobody watches.
func (y *yard) forgetRecords(t *testing.T, contents ...string) {
	t.Helper()
	for _, c := range contents {
		y.exec(t, `DELETE FROM assets WHERE sha256 = ?`, digestOf(c))
		y.exec(t, `DELETE FROM variants WHERE sha256 = ?`, digestOf(c))
		y.exec(t, `DELETE FROM blobs WHERE sha256 = ?`, digestOf(c))
	}
}

func (y *yard) wholes(t *testing.T, n int) (contents []string) {
	t.Helper()
	for i := range n {
		contents = append(contents, fmt.Sprint("file ", i))
		y.whole(t, contents[i])
	}
	y.fitLedger(t)
	return contents
}

// Records of young objects leave nothing behind but a ledger that counts more than there is: to set it would be to forget them.
func TestRecordsThatATenantLostHoldTheRunBeforeItsLedgerForgetsThem(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.cfg.BrakeTenantMin, y.cfg.BrakeTenantShare, y.cfg.OrphanGrace = 2, 0.1, 1<<40
		all := y.wholes(t, 30)
		y.forgetRecords(t, all[:3]...)
		run := y.reconcile(t, meta.RunFull)
		require.Equal(t, meta.RunDone, run.State, "3 of 30: %s", run.Problem)
		drops, err := y.db.LedgerDrops(ctx, run.ID)
		require.NoError(t, err)
		require.Len(t, drops, 1)
		require.EqualValues(t, 3, drops[0].LostFiles)
		require.Positive(t, drops[0].LostBytes)
		require.EqualValues(t, 30, drops[0].Written.UsedFiles)
		require.EqualValues(t, 27, drops[0].Truth.UsedFiles)

		y.forgetRecords(t, all[3:9]...)
		run = y.reconcile(t, meta.RunFull)
		require.Equal(t, meta.RunHeld, run.State, "6 of 27")
		require.EqualValues(t, 1, run.Planned)
		require.Contains(t, run.Problem, "write off 6 files of tenant ")
		require.Contains(t, run.Problem, "whose ledger counts 27 and records 21, and the brake allows 2 for one tenant: the larger of 2 and 10 %. Nothing was changed. Probably records were lost: restore a snapshot")
		ledger, err := y.db.Tenant(ctx, y.tenant).Ledger()
		require.NoError(t, err)
		require.EqualValues(t, 27, ledger.Written.UsedFiles, "nothing is forgotten")

		y.inTx(t, func(tx *meta.Tx) error { _, err := Confirm(tx, run.ID, audit.CLI, "somebody", ""); return err })
		run, err = y.Perform(ctx, run.ID, nil, nil)
		require.NoError(t, err)
		require.Equal(t, meta.RunDone, run.State)
		require.Empty(t, run.Problem)
	})
}

// What is a trifle of the whole system may be all that one tenant has.
func TestBrakeOfOneTenantHoldsWhatTheWholeSystemWouldNot(t *testing.T) {
	for _, c := range []struct {
		name   string
		lose   func(t *testing.T, y *yard, contents []string)
		n      int
		held   bool
		likely string
	}{
		{name: "objects alone, whose files are marked and stay named", n: 3, lose: loseObjects},
		{name: "three orphans of which the ledger knows nothing", n: 3, held: true, likely: "records were lost", lose: func(t *testing.T, y *yard, contents []string) {
			y.forgetRecords(t, contents...)
			y.fitLedger(t)
		}},
		{name: "three blobs that assets speak of", n: 3, held: true, likely: "records were lost", lose: func(t *testing.T, y *yard, contents []string) {
			for _, c := range contents {
				y.exec(t, `DELETE FROM blobs WHERE sha256 = ?`, digestOf(c))
			}
		}},
		{name: "a ledger that counts too little", n: 3, lose: func(t *testing.T, y *yard, _ []string) {
			y.exec(t, `UPDATE tenants SET used_files = 0, used_bytes = 0 WHERE id = ?`, y.tenant)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			databases.Each(t, func(t *testing.T, db *meta.DB) {
				y := newYard(t, db, diskZones(t))
				y.cfg.BrakeMin, y.cfg.BrakeTenantMin, y.cfg.BrakeTenantShare = 1000, 2, 0.1
				c.lose(t, y, y.wholes(t, 5)[:c.n])
				run := y.reconcile(t, meta.RunFull)
				if !c.held {
					require.Equal(t, meta.RunDone, run.State, run.Problem)
					return
				}
				require.Equal(t, meta.RunHeld, run.State)
				require.Contains(t, run.Problem, fmt.Sprintf("write off %d files of tenant ", c.n))
				require.Contains(t, run.Problem, c.likely)
			})
		})
	}
}

func loseObjects(t *testing.T, y *yard, contents []string) {
	t.Helper()
	for _, c := range contents {
		require.NoError(t, y.zones.Clean.Delete(ctx, storage.BlobKey(y.tenant, digestOf(c))))
	}
}
