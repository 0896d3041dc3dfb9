package intake

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/reconcile"
)

// Rows were lost, and before a run has seen that somebody uploads the same bytes and deletes them again. What a snapshot
// brings back finds them in the trash; of bytes that were nobody's before, the deletion is the end.
func TestDeletionOfBytesThatLayThereWithoutRecordsGoesByWayOfTheTrash(t *testing.T) {
	content := note(600)
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:])
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		for _, lay := range []storage.Zone{storage.ZoneQuarantine, storage.ZoneClean, ""} {
			h := newHouse(t, db, 1<<20)
			key := storage.BlobKey(h.tenant, digest)
			if lay != "" {
				require.NoError(t, h.Zones.Of(lay).Put(t.Context(), key, bytes.NewReader(content), int64(len(content)), blob.PutOptions{}))
			}
			receipt, err := h.Receive(t.Context(), h.upload("a.txt", content))
			require.NoError(t, err)
			require.False(t, receipt.Duplicate)
			require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
				_, err := tx.Tenant(h.tenant).DeleteAsset(receipt.Asset.ID)
				return err
			}))
			r := reconcile.New(reconcile.Config{
				Infected: time.Hour, TaskHistory: time.Hour, EventHistory: time.Hour, IdempotencyTTL: time.Hour, Settle: time.Millisecond,
			}, db, h.Zones, h.Ledger, slog.New(slog.DiscardHandler))
			rep, err := r.Sweep(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, rep.Blobs)
			var trashed []string
			for info, err := range h.Zones.Quarantine.List(t.Context(), "trash/", "") {
				require.NoError(t, err)
				body, _, err := h.Zones.Quarantine.Open(t.Context(), info.Key, 0, -1)
				require.NoError(t, err)
				stored, err := io.ReadAll(body)
				require.NoError(t, err)
				require.NoError(t, body.Close())
				trashed = append(trashed, string(stored))
			}
			if lay == "" {
				require.Empty(t, trashed)
			} else {
				require.Contains(t, trashed, string(content), lay)
			}
		}
		// What is written down of it goes with the history of the runs.
		require.NoError(t, db.ForgetRuns(t.Context(), meta.Now().Add(time.Minute)))
		var left int64
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
			_, err := tx.Scan(&left, `SELECT COUNT(*) FROM reconcile_findings`)
			return err
		}))
		require.Zero(t, left)
	})
}
