package jobs_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// Somebody uploads the bytes again while their task, whose last asset was deleted, ends for lack of work: he finds the task open,
// queues none, and commits after the task has looked. One of the two must see the other, or nobody ever scans the file.
func TestAFileThatIsWantedAgainWhileItsTaskEndsIsScanned(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		asset, digest := b.upload(t, harmless, storage.CategoryDocument)
		b.inTx(t, func(tx *meta.Tx) error { _, err := tx.Tenant(b.tenant).DeleteAsset(asset); return err })

		again := make(chan error, 1)
		err := b.attemptAfter(t, storage.TaskScan, digest, func() {
			asked := make(chan struct{})
			go func() {
				again <- b.db.InTx(context.Background(), func(tx *meta.Tx) error {
					tenant := tx.Tenant(b.tenant)
					if _, err := tenant.LinkBlob(digest); err != nil {
						return err
					}
					if err := tenant.CreateAsset(b.asset(meta.NewID(), digest, int64(len(harmless)), storage.CategoryDocument)); err != nil {
						return err
					}
					_, err := tx.Enqueue(meta.BlobTask(storage.TaskScan, b.tenant, digest))
					select {
					case <-asked:
					default:
						close(asked)
						time.Sleep(200 * time.Millisecond) // the task ends meanwhile
					}
					return err
				})
			}()
			<-asked
		})
		require.NoError(t, <-again)
		if err == nil { // the task has ended, so another one must be there
			_, open := b.open(t, storage.TaskScan, digest)
			require.True(t, open, "a file waits for a scan that nobody has queued")
		}
		require.NoError(t, b.attempt(t, storage.TaskScan, digest))
		require.Equal(t, storage.ScanClean, b.blob(t, digest).ScanStatus)
	})
}
