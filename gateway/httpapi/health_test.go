package httpapi

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// A short spool refuses uploads and nothing else: /readyz names it, and the gateway is not taken for down.
func TestReadinessNamesAShortSpool(t *testing.T) {
	db := metatest.SQLite(t)
	zones, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	require.NoError(t, db.SetScanner(t.Context(), meta.ScannerFact{Ready: true, CheckedAt: meta.Now()}))
	ready := func(spool error) readiness {
		h := Health{DB: db, Zones: zones, Spool: func() error { return spool }}
		return h.check(t.Context())
	}
	require.Equal(t, "ready", ready(nil).Status)
	short := ready(errors.New("/var/spool: 5 bytes"))
	require.Equal(t, "degraded", short.Status)
	require.Equal(t, "failed", short.Dependencies["spool"].Status)
	require.True(t, short.Dependencies["spool"].Required, "uploads are refused without it")
	require.NotContains(t, short.Dependencies["spool"].Error, "/var")

	require.NoError(t, db.RollbackLast(t.Context()))
	require.Equal(t, "unavailable", ready(errors.New("short")).Status)
}
