package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// The worker speaks of its own scanner: another worker's word in the database changes nothing.
func TestWorkerIsReadyWhenItsOwnScannerIs(t *testing.T) {
	db := metatest.SQLite(t)
	zones, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	require.NoError(t, db.SetScanner(t.Context(), meta.ScannerFact{Ready: true, CheckedAt: meta.Now(), NextCheck: meta.Now()}))

	now := meta.Now()
	for name, tc := range map[string]struct {
		own    meta.ScannerFact
		status int
	}{
		"seen a moment ago":        {meta.ScannerFact{Ready: true, CheckedAt: now, NextCheck: now.Add(time.Minute)}, http.StatusOK},
		"long ago, as agreed":      {meta.ScannerFact{Ready: true, CheckedAt: now.Add(-time.Hour), NextCheck: now.Add(time.Minute)}, http.StatusOK},
		"it should have been seen": {meta.ScannerFact{Ready: true, CheckedAt: now.Add(-time.Hour), NextCheck: now.Add(-time.Hour / 2)}, http.StatusServiceUnavailable},
		"not ready":                {meta.ScannerFact{Problem: "away", CheckedAt: now, NextCheck: now.Add(time.Second)}, http.StatusServiceUnavailable},
		"not seen yet":             {meta.ScannerFact{}, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := ready(t.Context(), db, zones, tc.own)
			require.Equal(t, tc.status, status, "%v", body)
		})
	}
}
