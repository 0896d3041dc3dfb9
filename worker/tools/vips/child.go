package vips

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sync/errgroup"
)

// errStorage marks errors of our own files in the child: not the picture's fault.
var errStorage = errors.New("cannot read or write")

// cutOff are libvips' warnings about PNG and GIF pictures that end too early; what is missing is left blank.
// JPEG is seen to in complete.go, because its warning is lost in bimg.
var cutOff = []string{"not enough data", "Unexpected end of GIF source data"}

// The child's exit codes. The Go runtime exits with 2 when it dies of a panic or a signal in C code.
const (
	exitDone  = 0
	exitCalls = 10 // called wrongly: a bug on our side
)

// ChildMain is the main function of the child process, inside the sandbox: it says hello with an empty
// reply and works on jobs until the parent closes the socket. Only Make starts such a child.
func ChildMain([]string) int {
	helperStart()
	if err := sendReply(reply{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitCalls
	}
	for {
		j, files, err := receiveJob()
		if errors.Is(err, io.EOF) {
			return exitDone
		}
		if err == nil {
			err = j.answer(files)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return exitCalls
		}
		debug.FreeOSMemory()
	}
}

// answer works on one job and says how it ended.
func (j job) answer(files []*os.File) error {
	defer func() {
		for _, f := range files {
			_ = f.Close() // the parent's copies count
		}
	}()
	r := reply{Number: j.Number}
	var err error
	r.Detail, err = j.run(files[0], files[1:])
	if r.End = classify(err); err != nil {
		r.Detail = err.Error()
	}
	return sendReply(r)
}

// classify turns an error into an end. libvips has only texts.
func classify(err error) end {
	if err == nil {
		return endDone
	}
	text := err.Error()
	switch {
	case errors.Is(err, errTooManyPixels):
		return endTooManyPixels
	case errors.Is(err, errTooManyFrames):
		return endTooManyFrames
	case errors.Is(err, errStorage):
		return endStorage
	case strings.Contains(text, "out of memory") || strings.Contains(text, "Cannot allocate memory"):
		return endTooCostly
	}
	return endDamaged
}

// run tells the facts and makes the outputs. The smallest is made alone, so that something can be shown soon, the
// others Threads at once. It returns what libvips complained about.
func (j job) run(input *os.File, outputs []*os.File) (warnings string, err error) {
	picture, err := readInput(input)
	if err != nil {
		return "", err
	}
	source, err := open(picture, j.MaxPixels, j.MaxFrames)
	if err != nil {
		return "", err
	}
	m, err := source.master(j.longest())
	if err != nil {
		return "", err
	}
	defer m.pixels.free()
	warnings = helperWarnings()
	for _, w := range cutOff {
		if strings.Contains(warnings, w) {
			return "", errors.New(w)
		}
	}
	facts, err := m.facts()
	if err != nil {
		return "", err
	}
	if err := sendReply(reply{Number: j.Number, Facts: &facts}); err != nil {
		return "", err
	}
	return warnings, j.encode(m, outputs)
}

func (j job) longest() int {
	longest := 0
	for _, v := range j.Outputs {
		longest = max(longest, v.LongEdge)
	}
	return longest
}

func (j job) encode(m master, outputs []*os.File) error {
	var encoders errgroup.Group
	encoders.SetLimit(max(1, j.Threads))
	for i, e := range m.plan(j.Outputs) {
		work := func() error {
			b, err := m.encode(e)
			if err != nil {
				return err
			}
			for _, at := range e.outputs {
				_, err := outputs[at].WriteAt(b, 0)
				// From here on only the parent keeps it in memory.
				if err = errors.Join(err, outputs[at].Close()); err != nil {
					return fmt.Errorf("%w an output: %w", errStorage, err)
				}
				if err := sendReply(reply{Number: j.Number, Output: &j.Outputs[at].Index}); err != nil {
					return err
				}
			}
			return nil
		}
		if i > 0 {
			encoders.Go(work)
		} else if err := work(); err != nil {
			return err
		}
	}
	return encoders.Wait()
}

// readInput reads the whole picture. A mapping would save the copy, but its file could shrink underneath.
func readInput(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%w the picture: %w", errStorage, err)
	}
	picture := make([]byte, info.Size())
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, info.Size()), picture); err != nil {
		return nil, fmt.Errorf("%w the picture: %w", errStorage, err)
	}
	return picture, nil
}
