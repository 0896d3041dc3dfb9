package sandbox

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Cause says why a child did not end well.
type Cause string

// The causes. All but CauseSetup, CauseCancelled and CauseExit are the doing of the bytes that were read: trying
// again is useless.
const (
	CauseSetup     Cause = "setup"     // the program never ran: our fault, and worth another try
	CauseCancelled Cause = "cancelled" // the context ended, Kill, or it was asked to end; Unwrap gives the cause
	CauseCPU       Cause = "cpu"
	CauseMemory    Cause = "memory" // its own limit, or SIGKILL from outside, which the out-of-memory killer sends
	CauseFileSize  Cause = "file_size"
	CauseThreads   Cause = "threads"
	CauseCrash     Cause = "crash" // died of a signal
	CauseExit      Cause = "exit"  // an exit code other than 0, which the caller can read
)

// Ended is the error of a child that did not end well.
type Ended struct {
	Cause Cause
	// Code is the exit code, or -1 after a signal.
	Code int
	// Signal is what killed it, or 0.
	Signal syscall.Signal
	// Detail is a short printable text from the child or about it.
	Detail string
	err    error
}

func (e *Ended) Error() string {
	text := "child: " + string(e.Cause)
	switch {
	case e.Signal != 0:
		text += ", " + e.Signal.String()
	case e.Cause == CauseExit:
		text += " code " + strconv.Itoa(e.Code)
	}
	if e.err != nil {
		text += ": " + e.err.Error()
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

func (e *Ended) Unwrap() error { return e.err }

// Permanent reports whether the bytes that the child read are at fault, so that another try would end alike. Of an
// exit code only the caller knows.
func (e *Ended) Permanent() bool {
	switch e.Cause {
	case CauseCPU, CauseMemory, CauseFileSize, CauseThreads, CauseCrash:
		return true
	}
	return false
}

// What programs say when a limit ends them. Go's runtime turns signals into these texts and exits with 2; C
// programs pass on malloc's error. The text may be the file's doing, but it only chooses between permanent causes.
var (
	saysCPU  = []string{"SIGXCPU"}
	saysSize = []string{"SIGXFSZ", "File too large", "file too large"}
	// Of exit code 2: a crash of C in a Go program is Go's to report.
	saysCrash  = []string{"SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGSYS", "fatal error: ", "panic: "}
	saysMemory = []string{"out of memory", "Cannot allocate memory", "cannot allocate memory", "bad_alloc", "malloc of size",
		"pthread_create failed", "failed to allocate"}
)

// requests are the signals by which somebody asks a process to end: a service manager, a terminal that closes.
var requests = []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP}

// errAsked is the cause when somebody else asked the child to end.
var errAsked = errors.New("asked to end")

// exitGoCrash is how Go programs end that panic, or die of a signal.
const exitGoCrash = 2

// ranOut reports whether the child has used its processor time. The signal comes at a tick of the kernel's clock, and on a busy
// machine what is told afterwards is less by a tick of each of many threads: a twentieth of the limit covers that, and of short
// limits a quarter of a second.
func ranOut(state *os.ProcessState, limit time.Duration) bool {
	return state.UserTime()+state.SystemTime() >= roundUp(limit)-max(250*time.Millisecond, limit/20)
}

// explain says why a program that was started ended; nil when it ended well.
func explain(state *os.ProcessState, l Limits, stderr string) error {
	if state.Success() {
		return nil
	}
	e := &Ended{Cause: CauseExit, Code: state.ExitCode(), Detail: line(stderr)}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.Cause, e.Signal = CauseCrash, status.Signal()
	}
	switch {
	case e.Signal == syscall.SIGXCPU || ranOut(state, l.CPU) || says(stderr, saysCPU):
		e.Cause = CauseCPU
	case e.Signal == syscall.SIGXFSZ || says(stderr, saysSize):
		e.Cause = CauseFileSize
	// When the parent and the limits let a child live, it is the out-of-memory killer that kills: people and service
	// managers ask first. An operator's kill -9 is taken for it too, and condemns the file.
	case e.Signal == syscall.SIGKILL || says(stderr, saysMemory):
		e.Cause = CauseMemory
	case e.Code == exitGoCrash && says(stderr, saysCrash):
		e.Cause = CauseCrash
	// Who stops a service asks all of its processes to end, this one too. Decoders do not signal so; one that means
	// harm wins a few more attempts.
	case slices.Contains(requests, os.Signal(e.Signal)):
		e.Cause, e.err = CauseCancelled, errAsked
	}
	if e.Cause == CauseCrash && big(state, l.MemoryBytes) {
		e.Cause = CauseMemory
	}
	return e
}

// big reports whether so much memory was in use that a crash is likely one of malloc's. The limit counts unused
// memory too: what was in use at the end is less.
func big(state *os.ProcessState, limit int64) bool {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	return ok && usage.Maxrss<<10 > limit/2
}

// stopped explains a child that was killed from here.
func stopped(cause error) error {
	e := &Ended{Cause: CauseCancelled, Code: -1, Signal: syscall.SIGKILL, err: cause}
	switch {
	case errors.Is(cause, errThreads):
		e.Cause = CauseThreads
	case errors.Is(cause, errMemory):
		e.Cause = CauseMemory
	}
	return e
}

func says(stderr string, texts []string) bool {
	for _, t := range texts {
		if strings.Contains(stderr, t) {
			return true
		}
	}
	return false
}

// line makes the first line fit for a log; the text may quote foreign bytes.
func line(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	quoted := strconv.QuoteToASCII(s[:min(len(s), 300)])
	return quoted[1 : len(quoted)-1]
}

// roundUp gives whole seconds, as the kernel counts the limit.
func roundUp(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

func setupError(err error) error {
	return &Ended{Cause: CauseSetup, Code: -1, err: fmt.Errorf("set up the sandbox: %w", err)}
}
