package jobs

import (
	"context"
	"encoding/base64"
	"fmt"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/worker/tools/vips"
)

// image makes the web sizes of a clean picture, the smallest first, so that something can be shown soon.
type image struct {
	media
	runner  *vips.Runner
	presets []vips.Preset
}

func (m *image) run(ctx context.Context, r *Run) (Commit, error) { return m.do(ctx, r, m.make) }

func (m *image) make(ctx context.Context, w *making) error {
	missing, wanted := m.missing(w)
	switch {
	case wanted == 0:
		return errNoPreset(w.plan.ImagePresets)
	case len(missing) == 0:
		return nil
	}
	original, err := w.original(ctx)
	if err != nil {
		return err
	}
	b, made := w.blob, wanted-len(missing)
	err = m.runner.Make(ctx,
		vips.Picture{Owner: b.TenantID, Bytes: original, Width: b.Width, Height: b.Height, Frames: b.Frames}, missing,
		func(f vips.Facts) error { return w.facts(ctx, pictureFacts(f)) },
		func(o vips.Output) error {
			made++
			return w.store(ctx, pictureVariant(o), float64(made)/float64(wanted))
		})
	if cerr := original.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close the picture: %w", cerr)
	}
	if err != nil {
		return w.trouble("make the variants", err)
	}
	return nil
}

// missing lists the presets that are not made yet, and counts those that the plan wants in all.
func (m *image) missing(w *making) (missing []vips.Preset, wanted int) {
	for _, p := range m.presets {
		if !w.plan.WantsImagePreset(p.Name) {
			continue
		}
		wanted++
		if !w.have[p.Name] {
			missing = append(missing, p)
		}
	}
	return missing, wanted
}

func pictureFacts(f vips.Facts) storage.MediaFacts {
	return storage.MediaFacts{
		Width: int64(f.Width), Height: int64(f.Height),
		DominantColor: f.DominantColor, ThumbHash: base64.StdEncoding.EncodeToString(f.ThumbHash),
	}
}

func pictureVariant(o vips.Output) variant {
	return variant{
		Preset: o.Preset, Ext: o.Ext, MediaType: o.MediaType, Width: int64(o.Width), Height: int64(o.Height),
		File: o.File, Size: o.Size, SHA256: o.SHA256,
	}
}

// dead writes down why a picture has no variants.
func (m *image) dead(tx *meta.Tx, t meta.Task, cause error) error {
	return m.fail(tx, t, cause, faultOf(cause))
}
