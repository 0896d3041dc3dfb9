package drift

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/reconcile"
)

// The stand-in for the worker. This test is about records and store, in thousands of rounds: a real scanner and real
// pictures would tell it nothing more and take hours (worker/jobs and e2e have them). The rules are those of worker/jobs:
// a verdict rests on the digest of the bytes that were read, copies come before rows and deletions after them, a variant's
// object comes before its row, every change of a row is a compare-and-set, and a task that cannot be done is dead.

// errOdd is tried again some times, and then ends a task.
var errOdd = errors.New("the object is missing or is not what its row says")

const maxAttempts = 5

// work does what is queued until nothing is. Whatever is held now was held by a worker that died: its lease runs out.
func (w *world) work() {
	w.t.Helper()
	_, err := w.db.Exec(ctx, `UPDATE tasks SET lease_until = 1 WHERE state = ?`, storage.TaskRunning)
	require.NoError(w.t, err)
	_, err = w.db.Reap(ctx)
	require.NoError(w.t, err)
	for range 4 * maxAttempts {
		tasks := w.due()
		if len(tasks) == 0 {
			return
		}
		for _, t := range tasks {
			w.attempt(t)
		}
	}
	require.Fail(w.t, "the tasks do not come to an end")
}

func (w *world) due() []meta.Task {
	var list []meta.Task
	w.inTx(func(tx *meta.Tx) error {
		list = nil
		_, err := tx.Scan(&list, `SELECT * FROM tasks WHERE state = ? AND kind IN ? ORDER BY id`, storage.TaskQueued,
			[]storage.TaskKind{storage.TaskScan, storage.TaskImage, storage.TaskVideo})
		return err
	})
	return list
}

func (w *world) attempt(t meta.Task) {
	w.t.Helper()
	l, won, err := w.db.Claim(ctx, t.ID, "stand-in", time.Minute)
	require.NoError(w.t, err)
	if !won { // cancelled by one before it
		return
	}
	job := w.media
	if t.Kind == storage.TaskScan {
		job = w.scan
	}
	commit, after, err := job(l)
	if errors.Is(err, errOdd) {
		w.inTx(func(tx *meta.Tx) error {
			if l.Task.Attempts < maxAttempts {
				return tx.Retry(l, meta.Now(), err.Error(), false)
			}
			if err := tx.Bury(l, err.Error()); err != nil {
				return err
			}
			return w.failed(tx, t)
		})
		return
	}
	require.NoError(w.t, err)
	w.inTx(func(tx *meta.Tx) error {
		if err := tx.Finish(l); err != nil || commit == nil {
			return err
		}
		return commit(tx)
	})
	if after != nil {
		after()
	}
}

// failed writes down why there are no variants.
func (w *world) failed(tx *meta.Tx, t meta.Task) error {
	if t.Kind == storage.TaskScan {
		return nil
	}
	tenant := tx.Tenant(t.TenantID)
	b, known, err := tenant.BlobIfAny(t.Subject)
	if err != nil || !known || b.Sweeping || !storage.CanMoveMedia(b.MediaStatus, storage.MediaFailed) {
		return err
	}
	return tenant.SetMedia(b.SHA256, b.Revision, storage.MediaFailed, b.MediaProgress, &storage.ReasonMediaFailed)
}

type commit func(*meta.Tx) error

func (w *world) scan(l meta.Lease) (commit, func(), error) {
	i := id{l.Task.TenantID, l.Task.Subject}
	seen, known, err := w.db.Tenant(ctx, i.tenant).BlobIfAny(i.sha256)
	if err != nil || !known || seen.Refs == 0 || seen.Sweeping {
		return nil, nil, err
	}
	from, content, there := w.bytesOf(i, seen)
	if !there || digestOf(content) != i.sha256 {
		return nil, nil, fmt.Errorf("scan: %w", errOdd)
	}
	v := storage.Verdict{
		Status: storage.ScanClean, Engine: "stand-in", Database: "drift/1", BytesScanned: int64(len(content)), Digest: digestOf(content), ScannedAt: time.Now(),
	}
	to := storage.ZoneClean
	if strings.HasPrefix(string(content), badMark) {
		v.Status, v.Signature, to = storage.ScanInfected, "Drift.Test", storage.ZoneQuarantine
	}
	if to != from {
		if err := w.zones.Copy(ctx, from, to, i.key()); err != nil {
			return nil, nil, err
		}
	}
	after := func() {}
	if to != from || to != seen.Zone || to == storage.ZoneQuarantine {
		after = func() { w.leave(i, to) }
	}
	return func(tx *meta.Tx) error { return w.verdict(tx, i, v, to) }, after, nil
}

// bytesOf reads a blob where its row says, or else in the other zone.
func (w *world) bytesOf(i id, b meta.Blob) (storage.Zone, []byte, bool) {
	for _, zone := range []storage.Zone{b.Zone, other(b.Zone)} {
		if content, there := w.get(zone, i.key()); there && int64(len(content)) == b.Size {
			return zone, content, true
		}
	}
	return b.Zone, nil, false
}

func other(z storage.Zone) storage.Zone {
	if z == storage.ZoneClean {
		return storage.ZoneQuarantine
	}
	return storage.ZoneClean
}

func (w *world) verdict(tx *meta.Tx, i id, v storage.Verdict, to storage.Zone) error {
	tenant := tx.Tenant(i.tenant)
	b, err := tenant.Blob(i.sha256)
	if err != nil {
		return err
	}
	kind, makes := storage.MediaTask(b.Category)
	media := b.MediaStatus
	switch {
	case v.Status != storage.ScanClean:
		media = storage.MediaNone
	case b.Zone == storage.ZoneQuarantine && makes:
		media = storage.MediaPending
	}
	if err := tenant.SetVerdict(b.SHA256, b.Revision, v, to, media); err != nil {
		return err
	}
	state, err := storage.StateOf(v.Status)
	if err != nil {
		return err
	}
	if _, err := tenant.FollowBlob(b.SHA256, state, storage.EventScanned, nil); err != nil {
		return err
	}
	if makes && media == storage.MediaPending && (b.MediaStatus != storage.MediaPending || b.Zone == storage.ZoneQuarantine) {
		if _, err := tx.Enqueue(meta.BlobTask(kind, b.TenantID, b.SHA256)); err != nil {
			return err
		}
	}
	if to != storage.ZoneQuarantine {
		return nil
	}
	if err := tenant.CancelTasks(b.SHA256); err != nil {
		return err
	}
	if err := tenant.SetMedia(b.SHA256, b.Revision+1, storage.MediaNone, 0, nil); err != nil {
		return err
	}
	bytes, err := tenant.DropVariants(b.SHA256)
	if err != nil {
		return err
	}
	return w.ledger.Refund(tx, b.TenantID, bytes)
}

// leave deletes what lies in the zone that the blob has left.
func (w *world) leave(i id, to storage.Zone) {
	from := other(to)
	require.NoError(w.t, w.zones.Of(from).Delete(ctx, i.key()))
	if from == storage.ZoneClean {
		require.NoError(w.t, reconcile.DeleteVariants(ctx, w.zones.Clean, i.tenant, i.sha256))
	}
}

func (w *world) media(l meta.Lease) (commit, func(), error) {
	i := id{l.Task.TenantID, l.Task.Subject}
	b, known, err := w.db.Tenant(ctx, i.tenant).BlobIfAny(i.sha256)
	if err != nil || !known || b.Refs == 0 || b.Sweeping || b.Zone != storage.ZoneClean || b.ScanStatus != storage.ScanClean || b.MediaStatus == storage.MediaDone {
		return nil, nil, err
	}
	if err := w.move(i, storage.MediaRunning); err != nil {
		return nil, nil, err
	}
	missing, err := w.missing(i, b)
	if err != nil {
		return nil, nil, err
	}
	if len(missing) > 0 {
		content, there := w.get(storage.ZoneClean, i.key())
		if !there || digestOf(content) != i.sha256 { // a decoder would not make the right variants of it
			return nil, nil, fmt.Errorf("make variants: %w", errOdd)
		}
	}
	for _, preset := range missing {
		if err := w.make(i, preset); err != nil {
			return nil, nil, err
		}
	}
	return func(tx *meta.Tx) error { return moveIn(tx, i, storage.MediaDone) }, nil, nil
}

func (w *world) move(i id, to storage.MediaStatus) error {
	return w.db.InTx(ctx, func(tx *meta.Tx) error { return moveIn(tx, i, to) })
}

func moveIn(tx *meta.Tx, i id, to storage.MediaStatus) error {
	b, err := tx.Tenant(i.tenant).Blob(i.sha256)
	if err != nil || b.MediaStatus == to {
		return err
	}
	return tx.Tenant(i.tenant).SetMedia(b.SHA256, b.Revision, to, 0, nil)
}

// missing lists the presets that are to be made. A row whose object is gone or has another size is taken back.
func (w *world) missing(i id, b meta.Blob) ([]string, error) {
	list, err := w.db.Tenant(ctx, i.tenant).Variants(i.sha256)
	if err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for _, v := range list {
		if content, there := w.get(storage.ZoneClean, v.Key()); there && int64(len(content)) == v.Size {
			have[v.Preset] = true
			continue
		}
		err := w.db.InTx(ctx, func(tx *meta.Tx) error {
			if _, err := tx.Tenant(i.tenant).DropVariant(v.SHA256, v.Preset); err != nil {
				return err
			}
			return w.ledger.Refund(tx, v.TenantID, v.Size)
		})
		if err != nil {
			return nil, err
		}
	}
	var out []string
	for _, p := range presets[b.Category] {
		if !have[p] {
			out = append(out, p)
		}
	}
	return out, nil
}

func (w *world) make(i id, preset string) error {
	v := variantOf(i, preset)
	w.put(storage.ZoneClean, v.Key(), derived(i.sha256, preset))
	return w.db.InTx(ctx, func(tx *meta.Tx) error {
		row := v
		if _, err := tx.Tenant(i.tenant).CreateVariant(&row); err != nil {
			return err
		}
		return w.ledger.Charge(tx, i.tenant, v.Size)
	})
}
