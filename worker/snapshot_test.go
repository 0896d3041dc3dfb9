package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/snapshot"
)

// A look at a snapshot is recorded wherever there is a log, with its result; a database that is away is no reason to
// say nothing.
func TestLookAtASnapshotIsRecorded(t *testing.T) {
	whole, damaged := snapshot.Verified{}, snapshot.Verified{Damage: []string{"a part is missing"}}
	require.NoError(t, auditVerify(t.Context(), nil, whole))
	db := metatest.Open(t, metatest.SQLiteURL(t))
	require.NoError(t, auditVerify(t.Context(), db, whole), "a database without tables holds no records")

	require.NoError(t, db.Migrate(t.Context()))
	for want, v := range map[string]snapshot.Verified{audit.OK: whole, audit.Failed: damaged} {
		require.NoError(t, auditVerify(t.Context(), db, v))
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
			var results []string
			_, err := tx.Scan(&results, "SELECT result FROM audit_log WHERE action = 'snapshot.verify' ORDER BY id DESC")
			require.NotEmpty(t, results)
			require.Equal(t, want, results[0])
			return err
		}))
	}

	away := metatest.Open(t, metatest.SQLiteURL(t))
	require.NoError(t, away.Migrate(t.Context()))
	require.NoError(t, away.Close())
	require.Error(t, auditVerify(t.Context(), away, whole))
}
