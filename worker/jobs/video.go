package jobs

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

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
	films   *ffmpeg.Runner
	posters *vips.Runner
	presets []ffmpeg.Preset
	poster  vips.Preset
}

func (v *video) run(ctx context.Context, r *Run) (Commit, error) { return v.do(ctx, r, v.make) }

func (v *video) make(ctx context.Context, w *making) error {
	presets := v.missing(w)
	if len(presets) == 0 && w.have[storage.PresetPoster] || !w.plan.Transcoding {
		return nil
	}
	film, err := v.open(ctx, w)
	if err != nil {
		return err
	}
	err = v.each(ctx, w, film, presets)
	return errors.Join(err, film.Close())
}

// missing lists the presets of the plan that are not made yet.
func (v *video) missing(w *making) []ffmpeg.Preset {
	var out []ffmpeg.Preset
	for _, p := range v.presets {
		if w.plan.WantsVideoPreset(p.Name) && !w.have[p.Name] {
			out = append(out, p)
		}
	}
	return out
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
	film, err := v.films.Open(ctx, original)
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

// original opens the bytes that were uploaded.
func (w *making) original(ctx context.Context) (io.ReadCloser, error) {
	r, _, err := w.zones.Clean.Open(ctx, storage.BlobKey(w.blob.TenantID, w.blob.SHA256), 0, -1)
	if err != nil {
		return nil, storeTrouble(w.run.Task(), "open the original", err)
	}
	return r, nil
}

// trouble classifies an error of a tool: what is the file's fault no further attempt mends.
func (w *making) trouble(what string, err error) error {
	if faultOf(err) != nil {
		return Permanent(fmt.Errorf("%s: %w", what, err))
	}
	return storeTrouble(w.run.Task(), what, err)
}
