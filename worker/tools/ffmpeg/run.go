package ffmpeg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gatehouse/storage"
	"gatehouse/worker/tools/sandbox"
)

// errTimeout is the limit on time by the clock.
var errTimeout = errors.New("no result in time")

// errNoSpace says that our disk is full, which is not the video's fault.
var errNoSpace = errors.New("no space left for the output")

// errAsked says that somebody asked ffmpeg to end, as who stops a service asks all of its processes. That says nothing
// about the video.
var errAsked = errors.New("ffmpeg was asked to end")

// exitAsked is ffmpeg's exit code after a signal that it ends its output for.
const exitAsked = 255

// job is one run of a program on foreign bytes.
type job struct {
	program      string
	args         []string
	stdout       io.Writer
	read         string // the file it may read
	write        string // the file it may write; "" for none
	timeout, cpu time.Duration
	// progress, if it is not nil, is stdout's: a child that does not get on for stall is killed.
	progress *progress
	stall    time.Duration
}

// run waits for a free slot, which no limit counts, and runs the job in the sandbox.
func (r *Runner) run(ctx context.Context, j job) error {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cmp.Or(j.timeout, r.cfg.Limits.Timeout), errTimeout)
	defer cancel()
	if j.progress != nil {
		watched, stop := j.progress.watch(ctx, j.stall)
		defer stop()
		ctx = watched
	}
	rules := sandbox.Rules{
		Limits:  sandbox.Limits{CPU: cmp.Or(j.cpu, r.cfg.Limits.CPU), MemoryBytes: r.cfg.Limits.MemoryBytes},
		Read:    []string{j.read},
		Exec:    []string{j.program},
		Nice:    r.cfg.Nice,
		Require: r.cfg.Require,
	}
	if j.write != "" {
		rules.Write = []string{j.write}
		rules.Limits.FileBytes = r.cfg.Limits.MaxOutputBytes
	}
	child, err := sandbox.Start(ctx, rules, sandbox.Program{Name: j.program, Args: j.args, Stdout: j.stdout})
	if ctx.Err() != nil && err != nil {
		return fmt.Errorf("start %s: %w", filepath.Base(j.program), context.Cause(ctx))
	}
	if err != nil {
		return err
	}
	return explain(child.Wait(), child.Stderr())
}

// What ffmpeg says of a limit that its own options set, and of our disk.
const (
	saysStreams = "exceeds max_streams"
	saysCodec   = "not on whitelist"
	saysNoSpace = "No space left on device"
)

// explain turns the end of a child into an error: the video's fault, or ours.
func explain(err error, stderr string) error {
	if err == nil {
		return nil
	}
	ended, ok := errors.AsType[*sandbox.Ended](err)
	if !ok {
		return err
	}
	for _, limit := range []error{errTimeout, errStalled} {
		if errors.Is(err, limit) {
			return &Unplayable{storage.ReasonVideoTooSlow, limit.Error()}
		}
	}
	detail := fmt.Sprintf("%v; last: %s", ended, lastLine(stderr))
	if strings.Contains(stderr, saysStreams) { // which ffmpeg then calls a lack of memory
		return &Unplayable{storage.ReasonVideoTooManyStreams, detail}
	}
	if ended.Cause == sandbox.CauseExit && strings.Contains(stderr, saysCodec) {
		return &Unplayable{storage.ReasonVideoCodec, detail}
	}
	switch ended.Cause {
	case sandbox.CauseCPU:
		return &Unplayable{storage.ReasonVideoTooSlow, detail}
	case sandbox.CauseFileSize:
		return &Unplayable{storage.ReasonVideoOutputTooLarge, detail}
	case sandbox.CauseMemory, sandbox.CauseThreads:
		return &Unplayable{storage.ReasonVideoTooCostly, detail}
	case sandbox.CauseCrash:
		return &Unplayable{storage.ReasonVideoCrashed, detail}
	case sandbox.CauseExit:
		switch {
		case strings.Contains(stderr, saysNoSpace):
			return fmt.Errorf("%w: %s", errNoSpace, detail)
		case ended.Code == exitAsked:
			return fmt.Errorf("%w: %s", errAsked, detail)
		}
		return &Unplayable{storage.ReasonVideoDamaged, detail}
	}
	return err
}

// lastLine is fit for a log; the text may quote the video.
func lastLine(s string) string {
	s = strings.TrimSpace(s)
	s = s[strings.LastIndexByte(s, '\n')+1:]
	return strings.Trim(strconv.QuoteToASCII(s[:min(len(s), 300)]), `"`)
}
