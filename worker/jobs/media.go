package jobs

import (
	"context"
	"errors"
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
// size. Objects come first, each under a key of its own bytes: what a crash left without a row is made once more and
// charged once, together with its row, and what was left goes into the trash with the next full reconciliation, unless
// the bytes are the same.
type media struct {
	db     *meta.DB
	zones  *blob.Zones
	ledger quota.Ledger
	// patience is how long a variant that took long to make waits for a store or a database that is away, before the
	// work is thrown away and the attempt counts as failed. 0: the task waits instead, and begins anew.
	patience time.Duration
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

// begin says that the job runs. A blob that failed before is tried anew: the same bytes were uploaded again, or an
// operator has asked for it. One that was running goes on: its progress stays.
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
		if w.plan, err = quota.SpecFor(tenant); err != nil {
			return err
		}
		w.blob = b
		if b.MediaStatus == storage.MediaRunning {
			return nil
		}
		return tell(tenant, b, storage.MediaRunning, 0, nil)
	})
	if err != nil {
		return nil, err
	}
	w.have, err = w.there(ctx)
	return w, err
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
	if cause := context.Cause(ctx); err != nil && (errors.Is(cause, errUnwanted) || errors.Is(cause, meta.ErrLeaseLost)) {
		return cause
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
			continue // the database is away; the heartbeat says so
		case !ready(b, err):
			stop(errUnwanted)
			return
		}
		if reached := w.run.Reached(); reached >= told+tellFrom {
			switch err := w.progress(ctx, reached); {
			case errors.Is(err, errUnwanted) || errors.Is(err, meta.ErrLeaseLost):
				stop(err)
				return
			case err == nil:
				told = reached
			}
		}
	}
}

// progress tells how far the job is, never backwards.
func (w *making) progress(ctx context.Context, share float64) error {
	return w.run.InTx(ctx, func(tx *meta.Tx) error {
		tenant, b, err := w.stillWanted(tx)
		if err != nil || b.MediaProgress >= share {
			return err
		}
		return tell(tenant, b, storage.MediaRunning, share, nil)
	})
}

// stillWanted reads the blob anew; errUnwanted when no variants may be made of it any more.
func (w *making) stillWanted(tx *meta.Tx) (meta.Tenant, meta.Blob, error) {
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
