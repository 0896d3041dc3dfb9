package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
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
	require.Equal(t, "light", found.ID)
}
