package ffmpeg

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// inspect looks at a result as if it were foreign: the child that wrote it has decoded foreign bytes.
func (r *Runner) inspect(ctx context.Context, f *os.File, path string) (media, error) {
	info, err := f.Stat()
	if err != nil {
		return media{}, fmt.Errorf("look at the output: %w", err)
	}
	if info.Size() > r.cfg.Limits.MaxOutputBytes {
		return media{}, &Unplayable{ReasonOutputTooLarge, fmt.Sprintf("%d bytes", info.Size())}
	}
	if err := fastStart(io.NewSectionReader(f, 0, info.Size())); err != nil {
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
	case box{made.video.width, made.video.height} != p.size || made.video.aspect.num != made.video.aspect.den || made.video.turn != upright:
		return wrong("%d x %d and not %v", made.video.width, made.video.height, p.size)
	case made.video.fps > p.maxFPS+1:
		return wrong("%.2f frames a second", made.video.fps)
	case audio == 1 && (made.audio.codec != "aac" || made.audio.channels > 2):
		return wrong("sound %s with %d channels", made.audio.codec, made.audio.channels)
	case made.duration > v.r.cfg.Limits.MaxDuration:
		return &Unplayable{ReasonTooLong, made.duration.String()}
	}
	// A cut-off upload gives a shorter result, and half a video is not published as if it were all.
	if missing := v.media.duration - made.duration; missing > max(maxMissing, v.media.duration*3/100) {
		return &Unplayable{ReasonDamaged, fmt.Sprintf("%v of %v could not be decoded", missing, v.media.duration)}
	}
	return nil
}

// maxMissing is what containers' durations differ by anyway: the lengths of last frames, and of tracks.
const maxMissing = 300 * time.Millisecond

func wrong(format string, args ...any) error {
	return &Unplayable{ReasonDamaged, "the output is wrong: " + fmt.Sprintf(format, args...)}
}

// fastStart is nil for an MP4 whose index comes before its data and that consists of nothing else.
func fastStart(r *io.SectionReader) error {
	var seen []string
	for at := int64(0); at < r.Size(); {
		var head [16]byte
		if n, err := r.ReadAt(head[:], at); n < 8 {
			return errors.Join(wrong("%d bytes behind the last box", n), ignoreEOF(err))
		}
		size := int64(binary.BigEndian.Uint32(head[:4]))
		if size == 1 {
			size = int64(binary.BigEndian.Uint64(head[8:]))
		}
		if size < 8 || size > r.Size()-at {
			return wrong("a box of %d bytes", size)
		}
		seen = append(seen, string(head[4:8]))
		at += size
	}
	seen = slices.DeleteFunc(seen, func(name string) bool { return name == "free" })
	if !slices.Equal(seen, []string{"ftyp", "moov", "mdat"}) {
		return wrong("boxes %q", seen[:min(len(seen), 8)])
	}
	return nil
}

func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}
