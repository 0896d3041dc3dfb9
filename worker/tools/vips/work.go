package vips

import (
	"errors"
	"fmt"
	"os"
	"regexp"
)

// work is one call of Make. The goroutine that talks to the child fills replies and closes it; the caller's hands
// over what they announce.
type work struct {
	owner   string
	presets []Preset
	desk    *desk
	replies chan reply
	// facts and output say what the child has delivered; another one that takes over is asked for the rest.
	facts  *Facts
	output []bool
}

// job describes what is still missing, and the descriptors for it.
func (w *work) job(number int64, c Config) (job, []*os.File) {
	j := job{Number: number, MaxPixels: c.MaxPixels, MaxFrames: c.MaxFrames, Threads: c.Threads}
	files := []*os.File{w.desk.input}
	for i, p := range w.presets {
		if !w.output[i] {
			j.Outputs = append(j.Outputs, variant{i, p.LongEdge, p.Quality, p.Effort, p.Format})
			files = append(files, w.desk.outputs[i])
		}
	}
	return j, files
}

// missing reports whether an output is.
func (w *work) missing() bool {
	for _, have := range w.output {
		if !have {
			return true
		}
	}
	return false
}

// accept looks at a reply before it is believed: the child has decoded foreign bytes and may be theirs.
func (w *work) accept(r reply, c Config) error {
	switch {
	case r.Facts != nil:
		if err := r.Facts.check(c); err != nil {
			return err
		}
		if w.facts != nil {
			return w.sameFacts(*r.Facts)
		}
		w.facts = r.Facts
	case r.Output != nil:
		i := *r.Output
		if w.facts == nil || i < 0 || i >= len(w.output) || w.output[i] {
			return fmt.Errorf("output %d out of turn", i)
		}
		if err := seal(w.desk.outputs[i]); err != nil {
			return fmt.Errorf("seal output %d: %w", i, err)
		}
		w.output[i] = true
		r.Facts = nil
	default:
		return errors.New("an empty reply")
	}
	w.replies <- r
	return nil
}

func (w *work) sameFacts(f Facts) error {
	if f.Width != w.facts.Width || f.Height != w.facts.Height || f.Frames != w.facts.Frames {
		return fmt.Errorf("first %d x %d x %d, then %d x %d x %d",
			w.facts.Width, w.facts.Height, w.facts.Frames, f.Width, f.Height, f.Frames)
	}
	return nil
}

var hexColour = regexp.MustCompile(`^#[0-9a-f]{6}$`)

func (f Facts) check(c Config) error {
	if f.Width < 1 || f.Height < 1 || f.Frames < 1 || f.Frames > c.MaxFrames ||
		int64(f.Width) > c.MaxPixels/int64(f.Frames)/int64(f.Height) {
		return fmt.Errorf("a picture of %d x %d x %d", f.Width, f.Height, f.Frames)
	}
	if !hexColour.MatchString(f.DominantColor) {
		return fmt.Errorf("the colour %.20q", f.DominantColor)
	}
	if len(f.ThumbHash) < 5 || len(f.ThumbHash) > 25 {
		return fmt.Errorf("a ThumbHash of %d bytes", len(f.ThumbHash))
	}
	return nil
}

// hand gives the caller what has come, in the caller's goroutine.
func (w *work) hand(facts func(Facts) error, output func(Output) error) error {
	var f Facts
	for r := range w.replies {
		if r.Facts != nil {
			f = *r.Facts
			if err := facts(f); err != nil {
				return err
			}
			continue
		}
		if err := w.handOutput(*r.Output, f, output); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) handOutput(i int, f Facts, output func(Output) error) error {
	// The child shares the position of the descriptor it was given.
	file, err := reopen(w.desk.outputs[i])
	if err != nil {
		return fmt.Errorf("open output %d: %w", i, err)
	}
	o, err := inspect(file, w.presets[i], f)
	if err == nil {
		err = output(o)
	}
	return errors.Join(err, file.Close())
}
