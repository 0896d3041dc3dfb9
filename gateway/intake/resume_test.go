package intake

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// The same bytes uploaded again have their variants made when there is a chance that it works now.
func TestDuplicateQueuesVariantsThatMaySucceedNow(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		h := newHouse(t, db, 1<<20)
		ctx := context.Background()
		first, err := h.Receive(ctx, h.upload("a.txt", note(100)))
		require.NoError(t, err)
		digest := first.Asset.SHA256
		require.NoError(t, h.Zones.Promote(ctx, storage.BlobKey(h.tenant, digest)))
		for _, x := range []struct {
			status storage.MediaStatus
			reason string
			queued int
			now    storage.MediaStatus
		}{
			{storage.MediaRunning, "", 1, storage.MediaRunning}, // stopped when its last asset was deleted
			{storage.MediaPending, "", 1, storage.MediaPending},
			{storage.MediaFailed, storage.ReasonMediaNoRoom.Slug, 1, storage.MediaPending},
			{storage.MediaFailed, storage.ReasonMediaFailed.Slug, 1, storage.MediaPending},
			{storage.MediaFailed, storage.ReasonPictureDamaged.Slug, 0, storage.MediaFailed},
			{storage.MediaDone, "", 0, storage.MediaDone},
		} {
			require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
				if err := tx.Tenant(h.tenant).CancelTasks(digest); err != nil {
					return err
				}
				_, err := tx.Exec(`UPDATE blobs SET category = 'image', scan_status = 'clean', zone = 'clean', media_status = ?, media_reason = ?
					WHERE sha256 = ?`, x.status, x.reason, digest)
				return err
			}))
			_, err := h.Receive(ctx, h.upload("b.txt", note(100)))
			require.NoError(t, err)
			b, err := db.Tenant(ctx, h.tenant).Blob(digest)
			require.NoError(t, err)
			require.Equal(t, x.now, b.MediaStatus, "%s %s", x.status, x.reason)
			tasks, err := db.Tenant(ctx, h.tenant).TasksAbout(digest)
			require.NoError(t, err)
			queued := 0
			for _, task := range tasks {
				if task.State == storage.TaskQueued {
					require.Equal(t, storage.TaskImage, task.Kind)
					queued++
				}
			}
			require.Equal(t, x.queued, queued, "%s %s", x.status, x.reason)
		}
	})
}
