package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/reconcile"
)

// A light pass begins every half hour: one that began after a run was held is not what `cancel latest` means.
func TestLatestIsTheRunThatWaitsForAPerson(t *testing.T) {
	db := metatest.SQLite(t)
	k := keeper{db: db}
	run := func(id, kind, state string, at meta.Stamp) {
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
			return tx.CreateRun(&meta.ReconcileRun{ID: id, Kind: kind, State: state, Tenants: "[]", StartedAt: at, UpdatedAt: at})
		}))
	}
	now := meta.Now()
	run("done", meta.RunFull, meta.RunDone, now)
	_, err := k.runOf(t.Context(), "latest", open...)
	require.Error(t, err)

	run("light", meta.RunLight, meta.RunRunning, now+2)
	found, err := k.runOf(t.Context(), "latest", open...)
	require.NoError(t, err)
	require.Equal(t, "light", found.ID)

	run("held", meta.RunFull, meta.RunHeld, now+1)
	found, err = k.runOf(t.Context(), "latest", open...)
	require.NoError(t, err)
	require.Equal(t, "held", found.ID)

	found, err = k.runOf(t.Context(), "latest")
	require.NoError(t, err)
	require.Equal(t, "held", found.ID, "show and findings mean the same as confirm and cancel")
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error { _, err := reconcile.Cancel(tx, "held", audit.CLI, ""); return err }))
	run("newer", meta.RunLight, meta.RunDone, now+3)
	found, err = k.runOf(t.Context(), "latest")
	require.NoError(t, err)
	require.Equal(t, meta.RunFull, found.Kind, "rather a full one than a light one that is newer")
}

func TestRunThatLeavesATenantWithoutARecordSaysSo(t *testing.T) {
	full := meta.ReconcileRun{ID: "r", Kind: meta.RunFull}
	left := func(kind storage.DriftKind, state string) []reconcile.Count {
		return []reconcile.Count{{Kind: string(kind), State: state, Count: 2}}
	}
	require.NoError(t, tellLeft(full, left(storage.DriftLedger, meta.FindingOpen)))
	require.NoError(t, tellLeft(full, left(storage.DriftTenant, meta.FindingGone)))
	require.NoError(t, tellLeft(meta.ReconcileRun{Kind: meta.RunLight}, left(storage.DriftTenant, meta.FindingOpen)))
	for _, kind := range []storage.DriftKind{storage.DriftTenant, storage.DriftPlan} {
		err := tellLeft(full, left(kind, meta.FindingOpen))
		require.ErrorIs(t, err, errLost)
		require.ErrorContains(t, err, "`worker snapshot restore ID --fill`")
	}
}

// A run that knows of lost files ends with a code and a sentence of its own, each time, until they are healed.
func TestRunThatKnowsOfLostFilesSaysHowManyAndWhatHealsThem(t *testing.T) {
	db, log := metatest.SQLite(t), slog.New(slog.DiscardHandler)
	zones, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	k := keeper{reconcile.New(reconcile.Config{}, db, zones, quota.Ledger{DB: db}, log), db, log}
	once := func(kind string) error {
		run, err := k.Once(t.Context(), reconcile.Request{Kind: kind, By: "test", Actor: audit.CLI}, func() {}, func(meta.ReconcileRun) {})
		require.NoError(t, err)
		require.Equal(t, meta.RunDone, run.State)
		return k.tell(t.Context(), run, nil)
	}
	require.NoError(t, once(meta.RunFull))

	tenant := metatest.Tenant(t, db, 1<<20)
	lose := func(digest string) {
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
			now := meta.Now()
			_, err := tx.Tenant(tenant).CreateBlob(&meta.Blob{
				SHA256: digest, Size: 4, MediaType: "text/plain", Category: storage.CategoryDocument, Zone: storage.ZoneQuarantine, Refs: 1,
				ScanStatus: storage.ScanPending, MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
			})
			require.NoError(t, err)
			return tx.Tenant(tenant).CreateAsset(&meta.Asset{
				ID: meta.NewID(), SHA256: digest, Name: "n", NameFolded: "n", Ext: "txt", Category: storage.CategoryDocument,
				MediaType: "text/plain", Size: 4, State: storage.AssetQuarantined, CreatedAt: now, UpdatedAt: now,
			})
		}))
	}
	lose(strings.Repeat("a", 64))
	err = once(meta.RunFull)
	require.ErrorIs(t, err, errLost)
	require.ErrorContains(t, err, "1 file is lost: its bytes are missing")
	require.ErrorContains(t, err, "worker reconcile findings ")
	require.ErrorContains(t, err, "upload the same file again")
	lose(strings.Repeat("b", 64))
	require.ErrorContains(t, once(meta.RunFull), "2 files are lost", "those of earlier runs too")
	require.NoError(t, once(meta.RunLight))
}

func TestErrorWinsOverLostFiles(t *testing.T) {
	problem, lost := errors.New("the sweep failed"), fmt.Errorf("%w, and 2 files are lost", errLost)
	require.ErrorIs(t, outcome(nil, lost), errLost)
	require.NoError(t, outcome(nil, nil))
	both := outcome(problem, lost)
	require.ErrorIs(t, both, problem)
	require.NotErrorIs(t, both, errLost)
	require.ErrorContains(t, both, "2 files are lost")
	require.ErrorIs(t, outcome(problem, errHeld), errHeld, "somebody has to decide")
}
