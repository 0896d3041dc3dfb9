package intake

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/settings"
)

// TestPausedUploads: every way in is closed, and nothing is left behind.
func TestPausedUploads(t *testing.T) {
	db := metatest.SQLite(t)
	h := newHouse(t, db, 1<<20)
	set := func(name, value string) {
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
			return tx.SaveSetting(meta.Setting{Name: name, Value: value, UpdatedAt: meta.Now()})
		}))
		h.Settings = &settings.Live{DB: db, Configured: settings.Values{UploadsAccept: true}, Log: slog.New(slog.DiscardHandler)}
	}
	h.Settings = &settings.Live{DB: db, Configured: settings.Values{UploadsAccept: true}, Log: slog.New(slog.DiscardHandler)}
	require.NoError(t, h.Fits(5))
	set("uploads.accept", "false")
	refused := func(err error) *storage.Error {
		t.Helper()
		require.Equal(t, storage.CodeUnavailable, storage.CodeOf(err))
		refusal, _ := errors.AsType[*storage.Error](err)
		require.Equal(t, "uploads_paused", refusal.Reason.Slug)
		return refusal
	}
	up := h.upload("a.txt", note(300))
	_, err := h.Receive(t.Context(), up)
	refused(err)
	h.nothingLeft(t)
	_, err = h.Preflight(t.Context(), h.tenant, up.Policy, quota.Limits{}, "a.txt", 5)
	refused(err)
	set("uploads.message", `"Back at ten."`)
	e := refused(h.Fits(5))
	require.Equal(t, "Back at ten.", e.Details["message"])
	require.Contains(t, e.Reason.English, "Back at ten.")
	list, err := db.AuditLog(t.Context(), meta.AuditFilter{Action: "asset.upload"}, 5)
	require.NoError(t, err)
	require.Empty(t, list, "it is no fault of the tenant's: no record, and no alert about refusals")
	set("uploads.accept", "true")
	_, err = h.Receive(t.Context(), h.upload("a.txt", note(300)))
	require.NoError(t, err)
}
