package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/worker/tools/vips"
)

// Every variant is a WebP.
const (
	variantExt  = "webp"
	variantType = "image/webp"
)

// image makes the web sizes of a clean picture, the smallest first, so that something can be shown soon.
//
// It may be run again from any point: a variant counts when its row is there and its object has the row's size.
// Objects come first, so a variant that a crash left without a row is put once more, under the same key, and
// charged once, together with its row.
type image struct {
	db      *meta.DB
	zones   *blob.Zones
	ledger  quota.Ledger
	runner  *vips.Runner
	presets []vips.Preset
}

var (
	reasonNoRoom = storage.Reason{
		Slug:    "quota_exceeded",
		English: "The storage quota has no room for the web sizes of this picture; the original is available.",
		Chinese: "存储配额不足，无法保存该图片的网页尺寸版本；原图仍可使用。",
	}
	reasonNoVariants = storage.Reason{
		Slug:    "variants_failed",
		English: "The web sizes of this picture could not be made; the original is available.",
		Chinese: "无法生成该图片的网页尺寸版本；原图仍可使用。",
	}
)

// errUnwanted stops the job: the blob was deleted, swept or rejected while it ran.
var errUnwanted = errors.New("nobody wants the variants any more")

func (m *image) run(ctx context.Context, r *Run) (Commit, error) {
	b, err := m.begin(ctx, r)
	if errors.Is(err, errUnwanted) {
		return m.unwanted(r.Task()), nil
	}
	if err != nil {
		return nil, err
	}
	missing, err := m.missing(ctx, r, b)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		err = m.make(ctx, r, b, missing)
	}
	if errors.Is(err, errUnwanted) {
		return m.unwanted(r.Task()), nil
	}
	if err != nil {
		return nil, err
	}
	return m.done(r.Task()), nil
}

// ready reports whether variants may be made of the blob.
func ready(b meta.Blob, err error) bool {
	return wanted(b, err) && b.Zone == storage.ZoneClean && b.ScanStatus == storage.ScanClean
}

// begin says that the job runs. A picture that failed before is tried anew: an operator has asked for it.
func (m *image) begin(ctx context.Context, r *Run) (meta.Blob, error) {
	var b meta.Blob
	err := r.InTx(ctx, func(tx *meta.Tx) error {
		tenant := tx.Tenant(r.Task().TenantID)
		var err error
		b, err = tenant.Blob(r.Task().Subject)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		if !ready(b, err) || b.MediaStatus == storage.MediaDone {
			return errUnwanted
		}
		return m.tell(tenant, b, storage.MediaRunning, 0, nil)
	})
	return b, err
}

func (m *image) tell(tenant meta.Tenant, b meta.Blob, status storage.MediaStatus, progress float64, problem *storage.Reason) error {
	event := map[string]any{"status": status, "progress": progress}
	if problem != nil {
		event["error"], event["reason"] = problem.English, problem.Slug
	}
	if err := tenant.SetMedia(b.SHA256, b.Revision, status, progress, problem); err != nil {
		return fmt.Errorf("write the media status: %w", err)
	}
	return tenant.RecordForBlob(b.SHA256, storage.EventMedia, event)
}

// missing returns the presets still to be made, the smallest first. A row whose object is gone or has another size
// is taken back, with its bytes.
func (m *image) missing(ctx context.Context, r *Run, b meta.Blob) ([]vips.Preset, error) {
	rows, err := m.db.Tenant(ctx, b.TenantID).Variants(b.SHA256)
	if err != nil {
		return nil, fmt.Errorf("read the variants' rows: %w", err)
	}
	have := map[string]bool{}
	for _, v := range rows {
		info, err := m.zones.Clean.Stat(ctx, storage.VariantKey(b.TenantID, b.SHA256, v.Preset, v.Ext))
		switch {
		case err == nil && info.Size == v.Size:
			have[v.Preset] = true
		case err == nil || errors.Is(err, blob.ErrNotExist):
			if err := m.takeBack(ctx, r, v); err != nil {
				return nil, err
			}
		default:
			return nil, storeTrouble(r.Task(), "look at a variant", err)
		}
	}
	presets := slices.SortedFunc(slices.Values(m.presets), func(a, b vips.Preset) int { return cmp.Compare(a.LongEdge, b.LongEdge) })
	return slices.DeleteFunc(presets, func(p vips.Preset) bool { return have[p.Name] }), nil
}

func (m *image) takeBack(ctx context.Context, r *Run, v meta.Variant) error {
	return r.InTx(ctx, func(tx *meta.Tx) error {
		dropped, err := tx.Tenant(v.TenantID).DropVariant(v.SHA256, v.Preset)
		if err != nil || !dropped {
			return err
		}
		return m.ledger.Refund(tx, v.TenantID, v.Size)
	})
}

// make makes the missing variants and stores them one by one.
func (m *image) make(ctx context.Context, r *Run, b meta.Blob, missing []vips.Preset) error {
	outputs, err := m.decode(ctx, r, b, missing)
	if err != nil {
		return err
	}
	before := len(m.presets) - len(missing)
	for i, o := range outputs {
		share := float64(before+i+1) / float64(len(m.presets))
		if err = m.store(ctx, r, b, o, share); err != nil {
			break
		}
		r.Progress(share)
	}
	return errors.Join(err, vips.CloseAll(outputs))
}

func (m *image) decode(ctx context.Context, r *Run, b meta.Blob, presets []vips.Preset) ([]vips.Output, error) {
	original, _, err := m.zones.Clean.Open(ctx, storage.BlobKey(b.TenantID, b.SHA256), 0, -1)
	if err != nil {
		return nil, storeTrouble(r.Task(), "open the picture", err)
	}
	outputs, err := m.runner.WebPs(ctx, vips.Picture{Bytes: original, Width: b.Width, Height: b.Height, Frames: b.Frames}, presets)
	if cerr := original.Close(); err == nil && cerr != nil {
		err = errors.Join(fmt.Errorf("close the picture: %w", cerr), vips.CloseAll(outputs))
	}
	switch {
	case errors.Is(err, vips.ErrUndecodable):
		return nil, Permanent(err)
	case err != nil:
		return nil, storeTrouble(r.Task(), "make the variants", err)
	}
	return outputs, nil
}

// store puts one variant and writes its row, its charge and its event.
func (m *image) store(ctx context.Context, r *Run, b meta.Blob, o vips.Output, share float64) error {
	key := storage.VariantKey(b.TenantID, b.SHA256, o.Preset, variantExt)
	err := m.zones.Clean.Put(ctx, key, o.File, o.Size, blob.PutOptions{ContentType: variantType})
	if err != nil {
		return storeTrouble(r.Task(), "put a variant", err)
	}
	err = r.InTx(ctx, func(tx *meta.Tx) error { return m.register(tx, b, o, share) })
	full := storage.CodeOf(err) == storage.CodeQuotaExceeded
	if full || errors.Is(err, errUnwanted) {
		// It will get no row, and this job is the only one that may put it: no need to leave it to the sweeper.
		if derr := m.zones.Clean.Delete(ctx, key); derr != nil {
			r.Log.Warn("delete a variant that got no row; the sweeper will", "key", key, "error", derr)
		}
	}
	if full {
		return Permanent(err)
	}
	return err
}

func (m *image) register(tx *meta.Tx, seen meta.Blob, o vips.Output, share float64) error {
	tenant := tx.Tenant(seen.TenantID)
	b, err := tenant.Blob(seen.SHA256)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if !ready(b, err) {
		return errUnwanted
	}
	created, err := tenant.CreateVariant(&meta.Variant{
		SHA256: b.SHA256, Preset: o.Preset, Ext: variantExt, MediaType: variantType, Width: int64(o.Width), Height: int64(o.Height),
		Size: o.Size, Digest: o.SHA256, CreatedAt: meta.Now(),
	})
	if err != nil {
		return fmt.Errorf("create the variant: %w", err)
	}
	// By compare-and-set: a verdict that takes the blob out of the clean zone meanwhile makes this fail.
	if err := tenant.SetMedia(b.SHA256, b.Revision, storage.MediaRunning, share, nil); err != nil {
		return fmt.Errorf("write the progress: %w", err)
	}
	if err := tenant.RecordForBlob(b.SHA256, storage.EventVariantReady, map[string]any{
		"preset": o.Preset, "media_type": variantType, "width": o.Width, "height": o.Height, "size": o.Size, "progress": share,
	}); err != nil {
		return err
	}
	if !created {
		return nil
	}
	return m.ledger.Charge(tx, b.TenantID, o.Size)
}

// done ends a job that has made all variants.
func (m *image) done(t meta.Task) Commit {
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
		return m.tell(tenant, b, storage.MediaDone, 1, nil)
	}
}

// unwanted ends a job that has nothing to do, unless somebody wants the variants by now after all.
func (m *image) unwanted(t meta.Task) Commit {
	return func(tx *meta.Tx) error {
		b, err := tx.Tenant(t.TenantID).Blob(t.Subject)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		if ready(b, err) && b.MediaStatus != storage.MediaDone {
			return Wait(errMoved, 0)
		}
		return nil
	}
}

// dead writes down why a picture has no variants, in a sentence for people.
func (m *image) dead(tx *meta.Tx, t meta.Task, cause error) error {
	tenant := tx.Tenant(t.TenantID)
	b, err := tenant.Blob(t.Subject)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil
	case err != nil:
		return err
	case b.Sweeping || !storage.CanMoveMedia(b.MediaStatus, storage.MediaFailed):
		return nil
	}
	reason := reasonNoVariants
	if undecodable, ok := errors.AsType[*vips.Undecodable](cause); ok {
		reason = undecodable.Reason
	} else if storage.CodeOf(cause) == storage.CodeQuotaExceeded {
		reason = reasonNoRoom
	}
	return m.tell(tenant, b, storage.MediaFailed, b.MediaProgress, &reason)
}
