package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// faulty is a zone with faults: a listing that breaks off, a store that is away, somebody who watches deletions.
type faulty struct {
	blob.Bucket
	list, ready, statFails error
	// stuck is a key that cannot be deleted.
	stuck    string
	deleting func()
	stat     func()
	opening  func(context.Context)
	listing  func()
	// unreadable is a key whose object cannot be opened.
	unreadable string
	// copied is called after a copy.
	copied func()
}

func (f *faulty) CopyFrom(ctx context.Context, from blob.Bucket, fromKey, key string) error {
	err := f.Bucket.CopyFrom(ctx, from, fromKey, key)
	if f.copied != nil {
		f.copied()
	}
	return err
}

func (f *faulty) Stat(ctx context.Context, key string) (blob.Info, error) {
	if f.stat != nil {
		f.stat()
	}
	if f.statFails != nil {
		return blob.Info{}, f.statFails
	}
	return f.Bucket.Stat(ctx, key)
}

func (f *faulty) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Info, error] {
	if f.listing != nil {
		f.listing()
	}
	if f.list == nil {
		return f.Bucket.List(ctx, prefix, after)
	}
	return func(yield func(blob.Info, error) bool) { yield(blob.Info{}, f.list) }
}

func (f *faulty) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, blob.Info, error) {
	if key == f.unreadable {
		return nil, blob.Info{}, fmt.Errorf("%w: input/output error", blob.ErrUnavailable)
	}
	if f.opening != nil {
		f.opening(ctx)
	}
	return f.Bucket.Open(ctx, key, offset, length)
}

func (f *faulty) Ready(ctx context.Context) error {
	if f.ready != nil {
		return f.ready
	}
	return f.Bucket.Ready(ctx)
}

func (f *faulty) Delete(ctx context.Context, key string) error {
	if f.deleting != nil {
		f.deleting()
	}
	if f.stuck == key {
		return errors.New("bad sector")
	}
	return f.Bucket.Delete(ctx, key)
}

func TestOneStepThatFailsStopsNoOther(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) { // which loses a table
		y := newYard(t, db, diskZones(t))
		y.upload(t, "its scan was lost")
		y.delete(t, y.upload(t, "nobody's"))
		y.inTx(t, func(tx *meta.Tx) error { _, err := tx.Exec(`DROP TABLE idempotency_keys`); return err })
		y.zones.Quarantine = &faulty{Bucket: y.zones.Quarantine, list: errors.New("the listing broke off")}

		rep, err := y.Sweep(ctx)
		require.ErrorContains(t, err, "forget old rows")
		require.ErrorContains(t, err, "the listing broke off")
		require.Equal(t, Report{Requeued: 1, Blobs: 1, Bytes: int64(len("nobody's")), Failed: 2}, rep)
	})
}

func TestLostWorkDoesNotWaitForAStoreThatIsAway(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.upload(t, "its scan was lost")
		away := fmt.Errorf("%w: no route to it", blob.ErrUnavailable)
		y.zones.Quarantine = &faulty{Bucket: y.zones.Quarantine, list: away, ready: away}
		rep, err := y.Sweep(ctx)
		require.ErrorIs(t, err, blob.ErrUnavailable)
		require.Equal(t, 1, rep.Requeued)
	})
}

func TestSweepThatCannotDeleteLeavesTheOthersAlone(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		whole := y.tenant
		y.tenant = metatest.Tenant(t, y.db, 1<<20)
		broken := y.tenant
		y.delete(t, y.upload(t, "on a bad sector"))
		y.tenant = whole
		y.delete(t, y.upload(t, "on a good one"))
		y.zones.Quarantine = &faulty{Bucket: y.zones.Quarantine, stuck: storage.BlobKey(broken, digestOf("on a bad sector"))}

		rep, err := y.Sweep(ctx)
		require.NoError(t, err)
		require.Equal(t, 1, rep.Failed)
		require.Equal(t, 1, rep.Blobs)
		y.requireExact(t)
		row, err := y.db.Tenant(ctx, broken).Blob(digestOf("on a bad sector"))
		require.NoError(t, err)
		require.True(t, row.Sweeping, "the claim stays until it is taken over")
	})
}

// What cannot be saved stays at the head of every list. It holds up nobody, and a sweep comes to its end.
func TestBlobsThatCannotBeSavedHoldUpNoOthers(t *testing.T) {
	onEach(t, func(t *testing.T, y *yard) {
		y.cfg.batch = 2
		for n := range 5 {
			digest := digestOf(fmt.Sprint("unexplained ", n))
			y.upload(t, fmt.Sprint("unexplained ", n))
			y.exec(t, `DELETE FROM assets WHERE sha256 = ?`, digest)
			y.exec(t, `UPDATE blobs SET refs = 0, unreferenced_at = 1 WHERE sha256 = ?`, digest)
			y.put(t, storage.ZoneQuarantine, storage.TrashKey(storage.ZoneQuarantine, storage.BlobKey(y.tenant, digest)), "other bytes")
		}
		for n := range 3 {
			y.delete(t, y.upload(t, fmt.Sprint("deleted ", n)))
		}
		rep, err := y.Sweep(ctx)
		require.NoError(t, err)
		require.Equal(t, 3, rep.Blobs)
		require.Equal(t, 5, rep.Failed)

		y.live(t, storage.TenantPendingDelete, "", meta.Now(), meta.Now())
		require.Equal(t, Report{}, y.sweep(t), "they are the purge's")
	})
}
