package vips

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxComplaint is how much of the child's error output is kept.
const maxComplaint = 64 << 10

// killGrace is how long a killed child's pipe may stay open before it is given up.
const killGrace = 5 * time.Second

// errTimeout is the runner's own time limit.
var errTimeout = errors.New("no result in time")

// cutOff are libvips' warnings about PNG and GIF pictures that end too early; what is missing is left blank.
// JPEG is seen to in complete.go, because its warning is lost in bimg.
var cutOff = []string{"not enough data", "Unexpected end of GIF source data"}

// run has a child fill the desk's outputs.
func (r *Runner) run(ctx context.Context, d *desk, presets []Preset) error {
	ctx, cancel := context.WithTimeoutCause(ctx, r.cfg.Timeout, errTimeout)
	defer cancel()
	complaint := &head{}
	cmd, err := r.command(ctx, d, presets)
	if err != nil {
		return err
	}
	cmd.Stderr = complaint
	// Pdeathsig follows the starting thread, so that one must live as long as the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the decoder: %w", err)
	}
	err = cmd.Wait()
	// Nothing of the group may stay. ESRCH, the ordinary case, says that nothing did.
	if kill := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); kill != nil && kill != syscall.ESRCH {
		return fmt.Errorf("end the decoder's process group: %w", kill)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("decoder: %w", context.Cause(ctx))
	}
	return explain(cmd, err, complaint.kept.String())
}

// command builds the child: the one place that decides what it may see and touch.
func (r *Runner) command(ctx context.Context, d *desk, presets []Preset) (*exec.Cmd, error) {
	s := spec{MaxPixels: r.cfg.MaxPixels, Threads: r.cfg.Threads, Limits: limits{
		CPUSeconds:  uint64(r.cfg.Timeout.Seconds()*float64(r.cfg.Threads)*1.5) + 1,
		MemoryBytes: uint64(r.cfg.MemoryBytes),
		FileBytes:   maxTempBytes,
	}}
	for _, p := range presets {
		s.Presets = append(s.Presets, variantSpec{p.LongEdge, p.Quality})
	}
	arg, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("describe the work: %w", err)
	}
	cmd := exec.CommandContext(ctx, r.cfg.Executable, ChildCommand, string(arg))
	cmd.Dir = d.folder
	cmd.Env = []string{
		"VIPS_BLOCK_UNTRUSTED=1", // no loaders beyond those hardened against hostile files
		"VIPS_CONCURRENCY=1",     // several pictures at once use the processors better than several threads on one
		"MALLOC_ARENA_MAX=2",     // less fragmentation in glibc
		"TMPDIR=" + d.folder,     // where libvips parks large decoded pictures
		"GOMAXPROCS=" + strconv.Itoa(r.cfg.Threads),
		"GOTRACEBACK=none", // what killed it is enough
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, d.input) // inputFD
	cmd.ExtraFiles = append(cmd.ExtraFiles, d.outputs...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true,            // so that the whole group can be killed
		Pdeathsig: syscall.SIGKILL, // a killed worker leaves no decoder behind
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = killGrace
	return cmd, nil
}

// explain turns the child's end into an error: the picture's fault, or ours.
func explain(cmd *exec.Cmd, ended error, complaint string) error {
	exit, exited := errors.AsType[*exec.ExitError](ended)
	switch {
	case ended != nil && !exited:
		return fmt.Errorf("run the decoder: %w", ended)
	case strings.Contains(complaint, "SIGXCPU") || strings.Contains(complaint, "SIGXFSZ") ||
		strings.Contains(complaint, "out of memory"):
		return &Undecodable{ReasonTooCostly, firstLine(complaint)}
	}
	switch cmd.ProcessState.ExitCode() {
	case exitDone:
		for _, warning := range cutOff {
			if strings.Contains(complaint, warning) {
				return &Undecodable{ReasonDamaged, warning}
			}
		}
		return nil
	case exitSpec, exitStorage:
		return fmt.Errorf("decoder: %s", firstLine(complaint))
	case exitDamaged:
		return &Undecodable{ReasonDamaged, firstLine(complaint)}
	case exitTooManyPixels:
		return &Undecodable{ReasonTooManyPixels, firstLine(complaint)}
	case exitTooCostly:
		return &Undecodable{ReasonTooCostly, firstLine(complaint)}
	}
	return &Undecodable{ReasonCrashed, strings.TrimSpace(exit.String() + ": " + firstLine(complaint))}
}

// firstLine keeps log lines short and printable; the text may quote the picture.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.Trim(strconv.QuoteToASCII(line[:min(len(line), 300)]), `"`)
}

// head keeps the beginning of what is written and drops the rest. The buffer is not embedded, because its
// ReadFrom would know no bound.
type head struct{ kept bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	h.kept.Write(p[:min(len(p), maxComplaint-h.kept.Len())])
	return len(p), nil
}

// untilDone is a reader that ends with the context.
type untilDone struct {
	cancelled func() error
	io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.cancelled(); err != nil {
		return 0, err
	}
	return u.Reader.Read(p)
}
