package ffmpeg

import (
	"context"
	"errors"
	"time"
)

// stallTimeout is how long a child may go on without a frame, a moment of sound or a byte more, for pictures of stallPixels
// and fewer; larger ones have more in proportion, and so 8K has half an hour. Encoders look some 40 frames ahead.
const (
	stallTimeout = 2 * time.Minute
	stallPixels  = 1920 * 1080
)

// errStalled is a child that makes nothing of the video any more.
var errStalled = errors.New("no progress")

// stall is how long the track's frames may take to get on.
func (v videoTrack) stall() time.Duration {
	pixels := int64(v.width) * int64(v.height)
	return max(stallTimeout, time.Duration(float64(stallTimeout)*float64(pixels)/stallPixels))
}

// watch is a context that ends when the progress has not moved for so long. The caller calls stop when the child is gone.
func (p *progress) watch(ctx context.Context, limit time.Duration) (watched context.Context, stop func()) {
	watched, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(limit, func() { cancel(errStalled) })
	p.moved = func() { timer.Reset(limit) }
	return watched, func() {
		timer.Stop()
		p.moved = nil
		cancel(nil)
	}
}
