package ffmpeg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	graph "github.com/u2takey/ffmpeg-go"
)

// What every variant is.
const (
	outputType = "video/mp4"
	outputExt  = "mp4"
)

// Output is a variant. File stands at its beginning; it has no name any more and belongs to the caller, who closes it.
type Output struct {
	Preset         string
	File           *os.File
	Size           int64
	SHA256         string // lower-case hex
	MediaType, Ext string
	Width, Height  int
	Duration       time.Duration
	// Remuxed is whether the picture was copied and not encoded.
	Remuxed bool
}

// Transcode makes a variant. progress, which may be nil, is told the share that is done, 0 to 1, never less than
// before; it is called while Transcode runs, and not at once by two.
func (v *Video) Transcode(ctx context.Context, p Preset, progressed func(share float64)) (Output, error) {
	p = p.withDefaults()
	if err := p.check(); err != nil {
		return Output{}, fmt.Errorf("transcode: %w", err)
	}
	if !v.r.CanEncode(p.Codec) {
		return Output{}, fmt.Errorf("transcode: preset %s: %s has no encoder for %s", p.Name, v.r.cfg.FFmpeg, p.Codec)
	}
	report := &progress{total: v.media.duration, tell: progressed, upTo: encodeShare}
	plan := v.media.plan(p)
	if plan.copyVideo {
		copyable, err := v.honest(ctx)
		if err != nil {
			return Output{}, fmt.Errorf("transcode: %w", err)
		}
		if !copyable {
			plan = plan.encoded()
		}
	}
	if plan.copyVideo {
		report.upTo = copyShare
	}
	out, err := v.make(ctx, plan, report)
	if err != nil && plan.copyVideo && errors.Is(err, ErrUnplayable) {
		// What cannot be copied into an honest MP4 can often be decoded.
		report.again(encodeShare)
		out, err = v.make(ctx, plan.encoded(), report)
	}
	if err != nil {
		return Output{}, fmt.Errorf("transcode: %w", err)
	}
	report.done()
	return out, nil
}

// make follows the plan and checks what came of it.
func (v *Video) make(ctx context.Context, p plan, report *progress) (out Output, err error) {
	f, path, err := v.create("variant")
	if err != nil {
		return Output{}, err
	}
	defer func() {
		err = errors.Join(err, os.Remove(path))
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	limits := v.r.cfg.Limits
	args, err := limits.arguments(func() *graph.Stream { return p.transcode(v.in, v.media, limits, v.r.cfg.Threads, path) })
	if err != nil {
		return Output{}, err
	}
	if err := v.r.run(ctx, job{
		program: v.r.cfg.FFmpeg, args: args, stdout: report, read: v.in.path, write: path,
		progress: report, stall: v.media.video.stall(),
	}); err != nil {
		return Output{}, err
	}
	made, err := v.r.inspect(ctx, f, path)
	if err != nil {
		return Output{}, err
	}
	if err := v.accept(p, made); err != nil {
		return Output{}, err
	}
	if err := v.heard(ctx, made); err != nil {
		return Output{}, err
	}
	out = Output{
		Preset: p.preset.Name, File: f, Size: made.size, MediaType: outputType, Ext: outputExt,
		Width: made.video.width, Height: made.video.height, Duration: made.duration, Remuxed: p.copyVideo,
	}
	out.SHA256, err = digest(ctx, f, made.size)
	return out, err
}

// digest leaves the file at its beginning.
func digest(ctx context.Context, f *os.File, size int64) (string, error) {
	sum := sha256.New()
	section := untilDone{func() error { return context.Cause(ctx) }, io.NewSectionReader(f, 0, size)}
	if _, err := io.Copy(sum, section); err != nil {
		return "", fmt.Errorf("read the output: %w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("rewind the output: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
