package jobs

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/worker/tools/ffmpeg"
	"gatehouse/worker/tools/vips"
)

// tell moves the media status, with an event.
func tell(tenant meta.Tenant, b meta.Blob, status storage.MediaStatus, progress float64, problem *storage.Reason) error {
	event := map[string]any{"status": status, "progress": progress}
	if problem != nil {
		event["error"], event["reason"] = problem.English, problem.Slug
	}
	if err := tenant.SetMedia(b.SHA256, b.Revision, status, progress, problem); err != nil {
		return fmt.Errorf("write the media status: %w", err)
	}
	return tenant.RecordForBlob(b.SHA256, storage.EventMedia, event)
}

// done ends a job that has made all variants.
func (m *media) done(t meta.Task) Commit {
	return func(tx *meta.Tx) error {
		tenant := tx.Tenant(t.TenantID)
		b, err := tenant.Blob(t.Subject)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			return nil
		case err != nil:
			return err
		case !ready(b, nil):
			return nil // whoever took it away has dealt with the variants
		}
		return tell(tenant, b, storage.MediaDone, 1, nil)
	}
}

// unwanted ends a job that has nothing to do, unless somebody wants the variants by now after all: see stillUnwanted.
func (m *media) unwanted(t meta.Task) Commit {
	return func(tx *meta.Tx) error {
		b, err := tx.Tenant(t.TenantID).LockBlob(t.Subject)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		if ready(b, err) && b.MediaStatus != storage.MediaDone {
			return Wait(errMoved, 0)
		}
		return nil
	}
}

// fail writes down why a blob has no variants, in a sentence for people. fault is the tool's, nil when it has none.
func (m *media) fail(tx *meta.Tx, t meta.Task, cause error, fault *storage.Reason) error {
	tenant := tx.Tenant(t.TenantID)
	b, err := tenant.Blob(t.Subject)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil
	case err != nil:
		return err
	case b.Sweeping || !storage.CanMoveMedia(b.MediaStatus, storage.MediaFailed):
		return nil
	case fault == nil && storage.CodeOf(cause) == storage.CodeQuotaExceeded:
		fault = &storage.ReasonMediaNoRoom
	case fault == nil:
		fault = &storage.ReasonMediaFailed
	}
	return tell(tenant, b, storage.MediaFailed, b.MediaProgress, fault)
}

// faultOf is what a tool found wrong with the file, in a sentence for people; nil when it is not the file's fault.
func faultOf(err error) *storage.Reason {
	if e, ok := errors.AsType[*ffmpeg.Unplayable](err); ok {
		return &e.Reason
	}
	if e, ok := errors.AsType[*vips.Undecodable](err); ok {
		return &e.Reason
	}
	return nil
}

// trouble classifies an error of a tool: what is the file's fault no further attempt mends.
func (w *making) trouble(what string, err error) error {
	if errors.Is(err, vips.ErrTimeout) && w.run.Task().Attempts > 1 {
		// Once may be a busy machine. A picture that hangs its decoder must not hold a place again and again.
		err = &vips.Undecodable{Reason: storage.ReasonPictureTooCostly, Detail: err.Error()}
	}
	if faultOf(err) != nil {
		return Permanent(fmt.Errorf("%s: %w", what, err))
	}
	if file, ok := errors.AsType[*fs.PathError](err); ok && errors.Is(file, syscall.ENOSPC) {
		return Wait(fmt.Errorf("%s: %w", what, err), waitFor(w.run.Task())) // the work folder is full
	}
	return storeTrouble(w.run.Task(), what, err)
}

// errNoPreset ends a job for which the tenant's plan names nothing that is configured.
func errNoPreset(names []string) error {
	return Permanent(fmt.Errorf("the tenant's plan names no preset that this worker has: %q", names))
}
