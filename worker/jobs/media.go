package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// media is what the jobs that make variants (image, video) share: their beginning, their end, and how a variant is
// stored.
//
// Such a job may be run again from any point: a variant counts when its row is there and its object has the row's
// size. Objects come first, so a variant that a crash left without a row is put once more, under the same key, and
// charged once, together with its row.
type media struct {
	db     *meta.DB
	zones  *blob.Zones
	ledger quota.Ledger
}

// making is one attempt at the variants of one blob.
type making struct {
	*media
	run *Run
	// blob is its row as the attempt found it, plan what holds for its tenant.
	blob meta.Blob
	plan quota.Spec
	// have names the variants that are there already.
	have map[string]bool
}

// variant is one file to be stored. File is read from where it stands and stays the caller's.
type variant struct {
	Preset, Ext, MediaType string
	Width, Height          int64
	File                   io.Reader
	Size                   int64
	// SHA256 is of the file's own bytes, lower-case hex.
	SHA256 string
}

// errUnwanted stops a job: the blob was deleted, swept or rejected while it ran.
var errUnwanted = errors.New("nobody wants the variants any more")

// attendEvery is how often a running job looks whether it is still wanted, and tells its progress: a deleted video
// stops within two seconds, of which ending the processes takes some.
const attendEvery = 500 * time.Millisecond

// tellFrom is the least progress worth an event, so that no job writes more than a hundred.
const tellFrom = 0.01

// do runs one attempt: work makes what w.have lacks.
func (m *media) do(ctx context.Context, r *Run, work func(context.Context, *making) error) (Commit, error) {
	w, err := m.begin(ctx, r)
	if err == nil {
		err = w.attended(ctx, work)
	}
	switch {
	case errors.Is(err, errUnwanted):
		return m.unwanted(r.Task()), nil
	case err != nil:
		return nil, err
	}
	return m.done(r.Task()), nil
}

// ready reports whether variants may be made of the blob.
func ready(b meta.Blob, err error) bool {
	return wanted(b, err) && b.Zone == storage.ZoneClean && b.ScanStatus == storage.ScanClean
}

// begin says that the job runs. A blob that failed before is tried anew: an operator has asked for it.
func (m *media) begin(ctx context.Context, r *Run) (*making, error) {
	w := &making{media: m, run: r}
	err := r.InTx(ctx, func(tx *meta.Tx) error {
		tenant := tx.Tenant(r.Task().TenantID)
		b, err := tenant.Blob(r.Task().Subject)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		if !ready(b, err) || b.MediaStatus == storage.MediaDone {
			return errUnwanted
		}
		if w.plan, err = planOf(tenant); err != nil {
			return err
		}
		w.blob = b
		return tell(tenant, b, storage.MediaRunning, 0, nil)
	})
	if err != nil {
		return nil, err
	}
	w.have, err = w.there(ctx)
	return w, err
}

func planOf(tenant meta.Tenant) (quota.Spec, error) {
	row, err := tenant.Plan()
	if err != nil {
		return quota.Spec{}, fmt.Errorf("read the tenant's plan: %w", err)
	}
	return quota.ParseSpec(row.Spec)
}

// there finds the variants that are made already. A row whose object is gone or has another size is taken back, with
// its bytes.
func (w *making) there(ctx context.Context) (map[string]bool, error) {
	rows, err := w.db.Tenant(ctx, w.blob.TenantID).Variants(w.blob.SHA256)
	if err != nil {
		return nil, fmt.Errorf("read the variants' rows: %w", err)
	}
	have := map[string]bool{}
	for _, v := range rows {
		info, err := w.zones.Clean.Stat(ctx, storage.VariantKey(v.TenantID, v.SHA256, v.Preset, v.Ext))
		switch {
		case err == nil && info.Size == v.Size:
			have[v.Preset] = true
		case err == nil || errors.Is(err, blob.ErrNotExist):
			if err := w.takeBack(ctx, v); err != nil {
				return nil, err
			}
		default:
			return nil, storeTrouble(w.run.Task(), "look at a variant", err)
		}
	}
	return have, nil
}

func (w *making) takeBack(ctx context.Context, v meta.Variant) error {
	return w.run.InTx(ctx, func(tx *meta.Tx) error {
		dropped, err := tx.Tenant(v.TenantID).DropVariant(v.SHA256, v.Preset)
		if err != nil || !dropped {
			return err
		}
		return w.ledger.Refund(tx, v.TenantID, v.Size)
	})
}

// attended does the work under a watch that stops it when nobody wants it any more.
func (w *making) attended(ctx context.Context, work func(context.Context, *making) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	watching, end := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { w.attend(watching, stop) })
	err := work(ctx, w)
	end()
	watch.Wait()
	if err != nil && errors.Is(context.Cause(ctx), errUnwanted) {
		return errUnwanted
	}
	return err
}

// attend looks after a running job until ctx ends.
func (w *making) attend(ctx context.Context, stop context.CancelCauseFunc) {
	tick := time.NewTicker(attendEvery)
	defer tick.Stop()
	told := 0.0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		b, err := w.db.Tenant(ctx, w.blob.TenantID).Blob(w.blob.SHA256)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !errors.Is(err, storage.ErrNotFound):
			w.run.Log.Warn("look whether the variants are still wanted", "error", err)
			continue
		case !ready(b, err):
			stop(errUnwanted)
			return
		}
		if reached := w.run.Reached(); reached >= told+tellFrom {
			if err := w.progress(ctx, reached); err != nil && ctx.Err() == nil {
				w.run.Log.Warn("tell the progress", "error", err)
				continue
			}
			told = reached
		}
	}
}

// progress tells how far the job is, never backwards.
func (w *making) progress(ctx context.Context, share float64) error {
	return w.run.InTx(ctx, func(tx *meta.Tx) error {
		tenant, b, err := w.still(tx)
		if err != nil || b.MediaProgress >= share {
			return err
		}
		return tell(tenant, b, storage.MediaRunning, share, nil)
	})
}

// still reads the blob anew; errUnwanted when no variants may be made of it any more.
func (w *making) still(tx *meta.Tx) (meta.Tenant, meta.Blob, error) {
	tenant := tx.Tenant(w.blob.TenantID)
	b, err := tenant.Blob(w.blob.SHA256)
	switch {
	case err != nil && !errors.Is(err, storage.ErrNotFound):
		return tenant, b, err
	case !ready(b, err):
		return tenant, b, errUnwanted
	}
	return tenant, b, nil
}

// facts writes what was found out about the picture or video itself.
func (w *making) facts(ctx context.Context, f storage.MediaFacts) error {
	return w.run.InTx(ctx, func(tx *meta.Tx) error {
		tenant, b, err := w.still(tx)
		if err != nil {
			return err
		}
		if err := tenant.SetMediaFacts(b.SHA256, b.Revision, f); err != nil {
			return fmt.Errorf("write the facts: %w", err)
		}
		return tenant.RecordForBlob(b.SHA256, storage.EventMedia, map[string]any{
			"status": storage.MediaRunning, "progress": b.MediaProgress,
		})
	})
}

// store puts one variant and writes its row, its charge and its event; share is how far the job is then.
func (w *making) store(ctx context.Context, v variant, share float64) error {
	key := storage.VariantKey(w.blob.TenantID, w.blob.SHA256, v.Preset, v.Ext)
	err := w.zones.Clean.Put(ctx, key, v.File, v.Size, blob.PutOptions{ContentType: v.MediaType})
	if err != nil {
		return storeTrouble(w.run.Task(), "put a variant", err)
	}
	err = w.run.InTx(ctx, func(tx *meta.Tx) error { return w.register(tx, v, share) })
	full := storage.CodeOf(err) == storage.CodeQuotaExceeded
	if full || errors.Is(err, errUnwanted) {
		// It will get no row, and this job is the only one that may put it: no need to leave it to the sweeper.
		if derr := w.zones.Clean.Delete(context.WithoutCancel(ctx), key); derr != nil {
			w.run.Log.Warn("delete a variant that got no row; the sweeper will", "key", key, "error", derr)
		}
	}
	if full {
		return Permanent(err)
	}
	if err == nil {
		w.run.Progress(share)
	}
	return err
}

func (w *making) register(tx *meta.Tx, v variant, share float64) error {
	tenant, b, err := w.still(tx)
	if err != nil {
		return err
	}
	created, err := tenant.CreateVariant(&meta.Variant{
		SHA256: b.SHA256, Preset: v.Preset, Ext: v.Ext, MediaType: v.MediaType, Width: v.Width, Height: v.Height,
		Size: v.Size, Digest: v.SHA256, CreatedAt: meta.Now(),
	})
	if err != nil {
		return fmt.Errorf("create the variant: %w", err)
	}
	share = max(share, b.MediaProgress)
	// By compare-and-set: a verdict that takes the blob out of the clean zone meanwhile makes this fail.
	if err := tenant.SetMedia(b.SHA256, b.Revision, storage.MediaRunning, share, nil); err != nil {
		return fmt.Errorf("write the progress: %w", err)
	}
	if err := tenant.RecordForBlob(b.SHA256, storage.EventVariantReady, map[string]any{
		"preset": v.Preset, "media_type": v.MediaType, "width": v.Width, "height": v.Height, "size": v.Size, "progress": share,
	}); err != nil {
		return err
	}
	if !created {
		return nil
	}
	return w.ledger.Charge(tx, b.TenantID, v.Size)
}
