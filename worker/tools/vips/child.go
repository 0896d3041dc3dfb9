package vips

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/h2non/bimg"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// errStorage marks errors of our own files in the child: not the picture's fault.
var errStorage = errors.New("cannot read or write")

// maxChildFiles is the child's descriptor limit: input, outputs, and what libvips and Go open themselves.
const maxChildFiles = 64

// ChildMain is the main function of the child process; args are what follows ChildCommand. It returns the exit
// code. Only WebPs starts such a child.
func ChildMain(args []string) int {
	if len(args) != 1 {
		return complain(exitSpec, errors.New("want one argument"))
	}
	var s spec
	if err := json.Unmarshal([]byte(args[0]), &s); err != nil {
		return complain(exitSpec, err)
	}
	if err := s.Limits.apply(); err != nil {
		return complain(exitSpec, err)
	}
	bimg.VipsCacheSetMax(0)
	bimg.VipsCacheSetMaxMem(0)
	return complain(classify(s.run()))
}

// complain writes the error where the parent reads it.
func complain(code int, err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

// classify turns an error into an exit code. libvips has only texts.
func classify(err error) (int, error) {
	if err == nil {
		return exitDone, nil
	}
	text := err.Error()
	switch {
	case errors.Is(err, errTooManyPixels):
		return exitTooManyPixels, err
	case errors.Is(err, errStorage) || strings.Contains(text, "No space left on device"):
		return exitStorage, err
	case strings.Contains(text, "out of memory") || strings.Contains(text, "Cannot allocate memory"):
		return exitTooCostly, err
	}
	return exitDamaged, err
}

func (s spec) run() error {
	picture, err := readInput()
	if err != nil {
		return err
	}
	source, err := open(picture, s.MaxPixels)
	if err != nil {
		return err
	}
	longest := 0
	for _, p := range s.Presets {
		longest = max(longest, p.LongEdge)
	}
	m, err := source.master(longest)
	if err != nil {
		return err
	}
	var encoders errgroup.Group
	encoders.SetLimit(max(1, s.Threads))
	for i, p := range s.Presets {
		encoders.Go(func() error {
			out, err := m.webp(p)
			if err != nil {
				return err
			}
			return writeOutput(i, out)
		})
	}
	return encoders.Wait()
}

// readInput reads the whole picture without moving the descriptor's position, which the parent shares.
func readInput() ([]byte, error) {
	f := os.NewFile(inputFD, "input")
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

func writeOutput(i int, webp []byte) error {
	if _, err := os.NewFile(uintptr(firstOutputFD+i), "output").WriteAt(webp, 0); err != nil {
		return fmt.Errorf("%w an output: %w", errStorage, err)
	}
	return nil
}

// apply sets the limits of this process. Address space is not limited, because Go reserves far more than it
// uses; RLIMIT_DATA counts what is really writable.
func (l limits) apply() error {
	for resource, limit := range map[int]uint64{
		unix.RLIMIT_CPU:    l.CPUSeconds,
		unix.RLIMIT_DATA:   l.MemoryBytes,
		unix.RLIMIT_FSIZE:  l.FileBytes,
		unix.RLIMIT_NOFILE: maxChildFiles,
		unix.RLIMIT_CORE:   0, // a core would hold the picture
	} {
		// One more second until the kernel kills: the soft limit's signal names the cause.
		hard := limit
		if resource == unix.RLIMIT_CPU {
			hard++
		}
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: hard}); err != nil {
			return fmt.Errorf("set resource limit %d: %w", resource, err)
		}
	}
	return nil
}
