package vips

import (
	"errors"
	"fmt"
	"os"
	"regexp"
)

// work is one call of Make. The goroutine that talks to the child fills ready and closes it; the caller's hands that
// over.
type work struct {
	owner   string
	presets []Preset
	desk    *desk
	ready   chan delivery
	// facts and output say what the child has delivered; another one that takes over is asked for the rest.
	facts  *Facts
	output []bool
}

// delivery is what has been looked at: the facts, or the output of the preset at an index.
type delivery struct {
	facts  *Facts
	index  int
	output Output
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
		return w.acceptFacts(*r.Facts, c)
	case r.Output != nil:
		return w.acceptOutput(*r.Output)
	}
	return distrust(errors.New("an empty reply"))
}

func (w *work) acceptFacts(f Facts, c Config) error {
	if err := f.check(c); err != nil {
		return distrust(err)
	}
	if w.facts != nil {
		return w.sameFacts(f)
	}
	w.facts = &f
	w.ready <- delivery{facts: &f}
	return nil
}

func (w *work) acceptOutput(i int) error {
	if w.facts == nil || i < 0 || i >= len(w.output) || w.output[i] {
		return distrust(fmt.Errorf("output %d out of turn", i))
	}
	if err := seal(w.desk.outputs[i]); err != nil {
		return distrust(fmt.Errorf("seal output %d: %w", i, err))
	}
	o, err := inspect(w.desk.outputs[i], w.presets[i], *w.facts)
	if err != nil {
		return err
	}
	w.output[i] = true
	w.ready <- delivery{index: i, output: o}
	return nil
}

func (w *work) sameFacts(f Facts) error {
	if f.Width != w.facts.Width || f.Height != w.facts.Height || f.Frames != w.facts.Frames {
		return distrust(fmt.Errorf("first %d x %d x %d, then %d x %d x %d",
			w.facts.Width, w.facts.Height, w.facts.Frames, f.Width, f.Height, f.Frames))
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

// hand gives the caller what is ready, in the caller's goroutine.
func (w *work) hand(facts func(Facts) error, output func(Output) error) error {
	for d := range w.ready {
		var err error
		if d.facts != nil {
			err = facts(*d.facts)
		} else {
			err = w.handOutput(d, output)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *work) handOutput(d delivery, output func(Output) error) (err error) {
	// The child shares the position of the descriptor it was given.
	d.output.File, err = reopen(w.desk.outputs[d.index])
	if err != nil {
		return fmt.Errorf("open output %d: %w", d.index, err)
	}
	return errors.Join(output(d.output), d.output.File.Close(), w.desk.release(d.index))
}
