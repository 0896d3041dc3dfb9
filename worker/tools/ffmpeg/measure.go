package ffmpeg

import (
	"context"
	"time"

	graph "github.com/u2takey/ffmpeg-go"
)

// measureTimeout is for reading a file of any size, by the clock and by the processor.
const measureTimeout = 2 * time.Minute

// measure reads a file that does not say how long its tracks are to their last packet, without decoding. Tracks
// without a packet last 0.
func (r *Runner) measure(ctx context.Context, in input, indexes ...int) (time.Duration, error) {
	args, err := r.cfg.Limits.arguments(func() *graph.Stream {
		source := in.source(r.cfg.Limits.MaxStreams, 1, nil)
		var tracks []*graph.Stream
		for _, i := range indexes {
			tracks = append(tracks, track(source, i))
		}
		o := outputOptions("null")
		o["c"] = "copy"
		return graph.Output(tracks, "-", o)
	})
	if err != nil {
		return 0, err
	}
	p := &progress{}
	if err := r.run(ctx, job{program: r.cfg.FFmpeg, args: args, stdout: p, read: in.path, timeout: min(measureTimeout, r.cfg.Limits.Timeout), cpu: min(measureTimeout, r.cfg.Limits.CPU)}); err != nil {
		return 0, err
	}
	return p.at, nil
}
