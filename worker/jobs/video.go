package jobs

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"gatehouse/quota"
	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/worker/tools/ffmpeg"
	"gatehouse/worker/tools/vips"
)

// posterShare is how far a video is when its poster is there: against the transcode it costs next to nothing.
const posterShare = 0.02

// video makes a poster of a clean video, then one variant after another. The poster is a frame that ffmpeg takes and
// that then goes the way of every picture, so that it has the same quality, colour and placeholder.
type video struct {
	media
	runner  *ffmpeg.Runner
	posters *vips.Runner
	presets []ffmpeg.Preset
	poster  vips.Preset
}

func (v *video) run(ctx context.Context, r *Run) (Commit, error) { return v.do(ctx, r, v.make) }

func (v *video) make(ctx context.Context, w *making) error {
	if !w.plan.Transcoding { // since the video was queued
		return nil
	}
	presets, wanted := v.missing(w)
	if wanted == 0 {
		return errNoPreset(w.plan.VideoPresets)
	}
	if len(presets) == 0 && w.have[storage.PresetPoster] {
		return nil
	}
	film, err := v.open(ctx, w)
	if err != nil {
		return err
	}
	err = v.each(ctx, w, film, presets)
	return errors.Join(err, film.Close())
}

// missing lists the presets that are not made yet, and counts those that the plan wants in all. A plan that names
// none gets those that play everywhere.
func (v *video) missing(w *making) (missing []ffmpeg.Preset, wanted int) {
	for _, p := range v.presets {
		named := slices.Contains(w.plan.VideoPresets, p.Name)
		if !named && (len(w.plan.VideoPresets) > 0 || p.Codec != ffmpeg.H264) {
			continue
		}
		wanted++
		if !w.have[p.Name] {
			missing = append(missing, p)
		}
	}
	return missing, wanted
}

// each makes what is missing: the facts and the poster first, because they are there in no time.
func (v *video) each(ctx context.Context, w *making, film *ffmpeg.Video, presets []ffmpeg.Preset) error {
	facts := factsOf(film.Facts())
	if w.have[storage.PresetPoster] { // made by an attempt before
		facts.DominantColor, facts.ThumbHash = w.blob.DominantColor, w.blob.ThumbHash
	} else if err := v.makePoster(ctx, w, film, &facts); err != nil {
		return err
	}
	if err := w.facts(ctx, facts); err != nil {
		return err
	}
	for i, p := range presets {
		from := posterShare + float64(i)/float64(len(presets))*(1-posterShare)
		upTo := posterShare + float64(i+1)/float64(len(presets))*(1-posterShare)
		if err := v.transcode(ctx, w, film, p, from, upTo); err != nil {
			return err
		}
	}
	return nil
}

func (v *video) open(ctx context.Context, w *making) (*ffmpeg.Video, error) {
	original, err := w.original(ctx)
	if err != nil {
		return nil, err
	}
	film, err := v.runner.Open(ctx, original)
	if cerr := original.Close(); err == nil && cerr != nil {
		err = errors.Join(fmt.Errorf("close the video: %w", cerr), film.Close())
	}
	if err != nil {
		return nil, w.trouble("open the video", err)
	}
	return film, nil
}

// makePoster stores the poster, and adds to the facts what it tells of the picture.
func (v *video) makePoster(ctx context.Context, w *making, film *ffmpeg.Video, facts *storage.MediaFacts) error {
	frame, err := film.Poster(ctx)
	if err != nil {
		return w.trouble("take the poster", err)
	}
	defer func() { _ = frame.Close() }()
	err = v.posters.Make(ctx, vips.Picture{Owner: w.blob.TenantID, Bytes: frame}, []vips.Preset{v.poster},
		func(f vips.Facts) error {
			facts.DominantColor, facts.ThumbHash = f.DominantColor, base64.StdEncoding.EncodeToString(f.ThumbHash)
			return nil
		},
		func(o vips.Output) error { return w.store(ctx, pictureVariant(o), posterShare) })
	if err != nil {
		return w.trouble("make the poster", err)
	}
	return nil
}

// transcode makes and stores one variant, which takes the job from one share of its progress to another.
func (v *video) transcode(ctx context.Context, w *making, film *ffmpeg.Video, p ffmpeg.Preset, from, upTo float64) error {
	// What was copied would still be the sender's own bytes: where no original is served, nothing is.
	p.Encode = w.plan.Serve == quota.ServeVariantsOnly
	p.ShortEdge = shortEdge(p, w.plan)
	out, err := film.Transcode(ctx, p, func(share float64) { w.run.Progress(from + share*(upTo-from)) })
	if err != nil {
		return w.trouble("transcode", err)
	}
	defer func() { _ = out.File.Close() }()
	w.run.Log.Info("transcoded a video", "preset", p.Name, "remuxed", out.Remuxed, "bytes", out.Size, "duration", out.Duration)
	return w.store(ctx, variant{
		Preset: p.Name, Ext: out.Ext, MediaType: out.MediaType, Width: int64(out.Width), Height: int64(out.Height),
		File: out.File, Size: out.Size, SHA256: out.SHA256,
	}, upTo)
}

// shortEdge is the preset's bound on the shorter side, or the plan's where that is lower.
func shortEdge(p ffmpeg.Preset, plan quota.Spec) int {
	own := cmp.Or(p.ShortEdge, p.LongEdge*9/16) // as ffmpeg.Preset says
	if plan.MaxVideoHeight == 0 {
		return own
	}
	return min(own, int(plan.MaxVideoHeight))
}

func factsOf(f ffmpeg.Facts) storage.MediaFacts {
	return storage.MediaFacts{
		Width: int64(f.Width), Height: int64(f.Height), Duration: f.Duration, FPS: f.FPS,
		VideoCodec: f.VideoCodec, AudioCodec: f.AudioCodec,
	}
}

// dead writes down why a video has no variants.
func (v *video) dead(tx *meta.Tx, t meta.Task, cause error) error {
	return v.fail(tx, t, cause, faultOf(cause))
}
