package meta_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

func TestMediaFactsAndProblemsAreKept(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		tenant := metatest.Tenant(t, db, 1000)
		row := newBlob(digest)
		row.Width, row.Height, row.MediaStatus = 30, 20, storage.MediaPending
		inTx(t, db, func(tx *meta.Tx) error { _, err := tx.Tenant(tenant).CreateBlob(row); return err })
		now := func() meta.Blob {
			b, err := db.Tenant(context.Background(), tenant).Blob(digest)
			require.NoError(t, err)
			return b
		}
		facts := storage.MediaFacts{
			DominantColor: "#0a0b0c", ThumbHash: "1QcSHQRnh493V4dIh4eXh1h4kJUI", Duration: 1500 * time.Millisecond, FPS: 29.97,
			VideoCodec: "h264", AudioCodec: "aac",
		}
		inTx(t, db, func(tx *meta.Tx) error { return tx.Tenant(tenant).SetMediaFacts(digest, 0, facts) })
		b := now()
		require.Equal(t, storage.MediaRunning, b.MediaStatus)
		require.Equal(t, [2]int64{30, 20}, [2]int64{b.Width, b.Height}, "a size that is not known changes nothing")
		require.Equal(t, "#0a0b0c 1QcSHQRnh493V4dIh4eXh1h4kJUI h264 aac", b.DominantColor+" "+b.ThumbHash+" "+b.VideoCodec+" "+b.AudioCodec)
		require.Equal(t, int64(1500), b.DurationMS)
		require.InDelta(t, 29.97, b.FPS, 1e-9)

		facts.Width, facts.Height = 20, 30
		problem := storage.Reason{Slug: "video_too_long", English: "Too long."}
		inTx(t, db, func(tx *meta.Tx) error {
			require.NoError(t, tx.Tenant(tenant).SetMediaFacts(digest, b.Revision, facts))
			require.ErrorIs(t, tx.Tenant(tenant).SetMediaFacts(digest, b.Revision, facts), meta.ErrChanged)
			return tx.Tenant(tenant).SetMedia(digest, b.Revision+1, storage.MediaFailed, 0.5, &problem)
		})
		b = now()
		require.Equal(t, [2]int64{20, 30}, [2]int64{b.Width, b.Height})
		require.Equal(t, "video_too_long: Too long.", b.MediaReason+": "+b.MediaError)
		inTx(t, db, func(tx *meta.Tx) error {
			return tx.Tenant(tenant).SetMedia(digest, b.Revision, storage.MediaRunning, 0, nil)
		})
		require.Empty(t, now().MediaReason+now().MediaError)
	})
}

func TestStrandedVideosAndPicturesWaitForTheirOwnKindOfTask(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		tenant := metatest.Tenant(t, db, 1000)
		digests := map[storage.Category]string{}
		for i, category := range []storage.Category{storage.CategoryImage, storage.CategoryVideo, storage.CategoryDocument} {
			row := newBlob(digest[:63] + string(rune('a'+i)))
			row.Category, row.ScanStatus, row.Zone, row.MediaStatus = category, storage.ScanClean, storage.ZoneClean, storage.MediaPending
			digests[category] = row.SHA256
			inTx(t, db, func(tx *meta.Tx) error { _, err := tx.Tenant(tenant).CreateBlob(row); return err })
		}
		stranded := func() []meta.NewTask {
			tasks, err := db.Stranded(context.Background(), 10)
			require.NoError(t, err)
			return tasks
		}
		image := meta.BlobTask(storage.TaskImage, tenant, digests[storage.CategoryImage])
		video := meta.BlobTask(storage.TaskVideo, tenant, digests[storage.CategoryVideo])
		require.ElementsMatch(t, []meta.NewTask{image, video}, stranded(), "a document has no variants to wait for")
		inTx(t, db, func(tx *meta.Tx) error { _, err := tx.Enqueue(video); return err })
		require.Equal(t, []meta.NewTask{image}, stranded())
	})
}

func TestTheTenantsPlan(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		tenant := metatest.Tenant(t, db, 1234)
		p, err := db.Tenant(context.Background(), tenant).Plan()
		require.NoError(t, err)
		require.Equal(t, int64(1234), p.StorageBytes)
		_, err = db.Tenant(context.Background(), meta.NewID()).Plan()
		require.ErrorIs(t, err, storage.ErrNotFound)
	})
}
