package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"gatehouse/storage"
)

// inspect tidies a result and looks at it as if it were foreign: the child that wrote it has decoded foreign bytes.
func (r *Runner) inspect(ctx context.Context, f *os.File, path string) (media, error) {
	info, err := f.Stat()
	if err != nil {
		return media{}, fmt.Errorf("look at the output: %w", err)
	}
	if info.Size() > r.cfg.Limits.MaxOutputBytes {
		return media{}, &Unplayable{storage.ReasonVideoOutputTooLarge, fmt.Sprintf("%d bytes", info.Size())}
	}
	if err := tidy(f, info.Size()); errors.Is(err, errBoxes) {
		return media{}, wrong("%v", err)
	} else if err != nil {
		return media{}, err
	}
	return r.probe(ctx, input{path: path, container: isoMedia}, info.Size())
}

// accept compares a result with what was planned.
func (v *Video) accept(p plan, made media) error {
	audio := 0
	if made.audio != nil {
		audio = 1
	}
	switch {
	case made.video == nil || made.streams != 1+audio || audio == 1 && v.media.audio == nil:
		return wrong("%d streams", made.streams)
	case made.video.codec != codecNames[p.preset.Codec] || made.video.pixels != "yuv420p" || made.video.colour.full:
		return wrong("picture %s %s", made.video.codec, made.video.pixels)
	case frameSize{made.video.width, made.video.height} != p.size || made.video.aspect.num != made.video.aspect.den || made.video.turn != upright:
		return wrong("%d x %d and not %v", made.video.width, made.video.height, p.size)
	case made.video.fps > p.maxFPS+1:
		return wrong("%.2f frames a second", made.video.fps)
	case audio == 1 && (made.audio.codec != "aac" || made.audio.channels > 2):
		return wrong("sound %s with %d channels", made.audio.codec, made.audio.channels)
	}
	return v.acceptLength(p, made)
}

// acceptLength compares how long a result is with what the source plays.
func (v *Video) acceptLength(p plan, made media) error {
	if made.duration > v.r.cfg.Limits.MaxDuration {
		return &Unplayable{storage.ReasonVideoTooLong, made.duration.String()}
	}
	short := max(maxMissing, v.media.used*3/100)
	if p.copyVideo && made.duration-v.media.used > short {
		return wrong("%v and not %v", made.duration, v.media.used)
	}
	// A cut-off upload gives a shorter result, and half a video is not published as if it were all.
	if missing := v.media.used - made.duration; missing > short {
		return &Unplayable{storage.ReasonVideoDamaged, fmt.Sprintf("%v of %v could not be decoded", missing, v.media.used)}
	}
	return nil
}

// heard requires the sound of the source in a result. Phones and screen recorders without a microphone leave a sound
// track with nothing in it, which no result has: only then, and for a sound as short as maxMissing, may it be
// missing. A sound that is there and of which nothing can be decoded makes the video a damaged one.
func (v *Video) heard(ctx context.Context, made media) error {
	if v.media.audio == nil || made.audio != nil {
		return nil
	}
	length, err := v.r.measure(ctx, v.in, v.media.audio.index)
	if err != nil {
		return fmt.Errorf("measure the sound: %w", err)
	}
	if length > maxMissing {
		return &Unplayable{storage.ReasonVideoDamaged, fmt.Sprintf("%v of sound could not be decoded", length)}
	}
	return nil
}

// maxMissing is what containers' durations differ by anyway: the lengths of last frames, and of tracks.
const maxMissing = 300 * time.Millisecond

func wrong(format string, args ...any) error {
	return &Unplayable{storage.ReasonVideoDamaged, "the output is wrong: " + fmt.Sprintf(format, args...)}
}
