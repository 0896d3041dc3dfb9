package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
)

// variant is one file to be stored. File stands at its beginning and stays the caller's.
type variant struct {
	Preset, Ext, MediaType string
	Width, Height          int64
	File                   io.ReadSeeker
	Size                   int64
	// SHA256 is of the file's own bytes, lower-case hex.
	SHA256 string
}

// original opens the bytes that were uploaded.
func (w *making) original(ctx context.Context) (io.ReadCloser, error) {
	r, _, err := w.zones.Clean.Open(ctx, storage.BlobKey(w.blob.TenantID, w.blob.SHA256), 0, -1)
	if err != nil {
		return nil, storeTrouble(w.run.Task(), "open the original", err)
	}
	return r, nil
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
		info, err := w.zones.Clean.Stat(ctx, v.Key())
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

// facts writes what was found out about the picture or video itself.
func (w *making) facts(ctx context.Context, f storage.MediaFacts) error {
	return w.run.InTx(ctx, func(tx *meta.Tx) error {
		tenant, b, err := w.stillWanted(tx)
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
	key := storage.VariantKey(w.blob.TenantID, w.blob.SHA256, v.Preset, storage.VariantTag(v.SHA256), v.Ext)
	err := w.patiently(ctx, func() error {
		if _, err := v.File.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("rewind a variant: %w", err)
		}
		return w.zones.Clean.Put(ctx, key, v.File, v.Size, blob.PutOptions{ContentType: v.MediaType})
	})
	if err != nil {
		return w.notStored("put a variant", err)
	}
	published := key
	err = w.patiently(ctx, func() error {
		return w.run.InTx(ctx, func(tx *meta.Tx) (err error) {
			published, err = w.register(tx, v, share)
			return err
		})
	})
	full := storage.CodeOf(err) == storage.CodeQuotaExceeded
	if full || errors.Is(err, errUnwanted) || err == nil && published != key {
		// It will get no row, and no other attempt has this lease: no need to leave it to the next full reconciliation.
		if derr := w.zones.Clean.Delete(context.WithoutCancel(ctx), key); derr != nil {
			w.run.Log.Warn("delete a variant that got no row; the next full reconciliation will", "key", key, "error", derr)
		}
	}
	switch {
	case full:
		return Permanent(err)
	case err != nil:
		return w.notStored("register a variant", err)
	}
	w.run.Progress(share)
	return nil
}

// The pauses of patiently.
const (
	patientFrom = time.Second
	patientTo   = 30 * time.Second
)

// patiently tries again what the store or the database did not take because it is away.
func (w *making) patiently(ctx context.Context, do func() error) error {
	end := time.Now().Add(w.patience)
	for pause := patientFrom; ; pause = min(2*pause, patientTo) {
		err := do()
		if !away(err) || time.Now().Add(pause).After(end) {
			return err
		}
		w.run.Log.Warn("a variant waits to be stored", "error", err, "again_in", pause)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

func away(err error) bool {
	return errors.Is(err, blob.ErrUnavailable) || storage.CodeOf(err) == storage.CodeUnavailable
}

// errGivenUp counts as a failed attempt, unlike the error of whatever is away.
var errGivenUp = errors.New("it stayed away for too long")

// notStored is the outcome of an attempt whose variant could not be stored: one that was dear to make is not made again and
// again without an end.
func (w *making) notStored(what string, err error) error {
	if away(err) && w.patience > 0 {
		return fmt.Errorf("%s: %w: %s", what, errGivenUp, err.Error())
	}
	return storeTrouble(w.run.Task(), what, err)
}

// register writes the row of a variant and returns the key of the object that counts: another one when an attempt before
// has published this preset already.
func (w *making) register(tx *meta.Tx, v variant, share float64) (key string, err error) {
	tenant, b, err := w.stillWanted(tx)
	if err != nil {
		return "", err
	}
	row := meta.Variant{
		SHA256: b.SHA256, Preset: v.Preset, Ext: v.Ext, KeyTag: storage.VariantTag(v.SHA256), MediaType: v.MediaType, Width: v.Width, Height: v.Height,
		Size: v.Size, Digest: v.SHA256, CreatedAt: meta.Now(),
	}
	created, err := tenant.CreateVariant(&row)
	if err != nil {
		return "", fmt.Errorf("create the variant: %w", err)
	}
	if !created {
		there, err := tenant.Variant(b.SHA256, v.Preset)
		return there.Key(), err
	}
	share = max(share, b.MediaProgress)
	// By compare-and-set: a verdict that takes the blob out of the clean zone meanwhile makes this fail.
	if err := tenant.SetMedia(b.SHA256, b.Revision, storage.MediaRunning, share, nil); err != nil {
		return "", fmt.Errorf("write the progress: %w", err)
	}
	if err := tenant.RecordForBlob(b.SHA256, storage.EventVariantReady, map[string]any{
		"preset": v.Preset, "media_type": v.MediaType, "width": v.Width, "height": v.Height, "size": v.Size, "progress": share,
	}); err != nil {
		return "", err
	}
	err = w.ledger.Charge(tx, b.TenantID, v.Size)
	if storage.CodeOf(err) == storage.CodeTenantSuspended {
		return "", errUnwanted // the tenant is being purged
	}
	return row.Key(), err
}
