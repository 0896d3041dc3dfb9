package ffmpeg

import (
	"context"
	"time"

	graph "github.com/u2takey/ffmpeg-go"
)

// measure reads a file that does not say how long it is to its last frame, without decoding.
func (r *Runner) measure(ctx context.Context, in input, m media) (time.Duration, error) {
	args, err := r.cfg.Limits.arguments(func() *graph.Stream {
		source := in.source(r.cfg.Limits.MaxStreams, 1, nil)
		tracks := []*graph.Stream{track(source, m.video.index)}
		if m.audio != nil {
			tracks = append(tracks, track(source, m.audio.index))
		}
		o := outputOptions("null")
		o["c"] = "copy"
		return graph.Output(tracks, "-", o)
	})
	if err != nil {
		return 0, err
	}
	p := &progress{}
	if err := r.run(ctx, job{program: r.cfg.FFmpeg, args: args, stdout: p, read: in.path, timeout: min(posterTimeout, r.cfg.Limits.Timeout), cpu: min(posterTimeout, r.cfg.Limits.CPU)}); err != nil {
		return 0, err
	}
	return p.at, nil
}
