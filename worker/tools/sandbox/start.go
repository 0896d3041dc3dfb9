package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// killGrace is how long pipes of a killed child may stay open before they are given up.
const killGrace = 5 * time.Second

// ready is what the child reports when its walls stand and the program is about to run.
const ready = "ready\n"

// launching is the environment of a child that only becomes another program; execute takes it out again. It spares
// the child what it does not need: libvips' loading of its modules, if this program links libvips (30 of 50 ms), and
// threads.
var launching = []string{"VIPSHOME=/nonexistent", "GOMAXPROCS=1"}

// errKilled is the cause when Kill ended the child.
var errKilled = errors.New("killed by the caller")

// errNotReady is a child's end that it could not explain: no memory, a missing library.
var errNotReady = errors.New("the child ended before its walls stood")

// Child is a started program. Its methods are safe for concurrent use.
type Child struct {
	cancel context.CancelCauseFunc
	pid    int
	stderr *complaint
	done   chan struct{}
	err    error
	state  *os.ProcessState
}

// Start runs the program under the rules; what fails in the child is told by Wait. The end of ctx kills the child
// and whatever it started.
func Start(ctx context.Context, r Rules, p Program) (*Child, error) {
	r, err := r.check(p)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	c := &Child{cancel: cancel, stderr: &complaint{}, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer close(c.done)
		defer cancel(nil)
		// Pdeathsig follows the starting thread, so that one must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cmd, report, err := c.launch(ctx, r, p)
		if err == nil {
			c.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			c.err = c.await(ctx, cmd, report, r)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	return c, nil
}

// Wait returns when the child and whatever it started are gone: nil after exit code 0, else an *Ended.
func (c *Child) Wait() error {
	<-c.done
	return c.err
}

// Kill ends the child and whatever it started; Wait says when they are gone.
func (c *Child) Kill() { c.cancel(errKilled) }

// Pid is the number of its process, which may be another's after Wait.
func (c *Child) Pid() int { return c.pid }

// Stderr is the beginning and the end of the error output so far; complete after Wait. It may quote foreign bytes.
func (c *Child) Stderr() string { return c.stderr.String() }

// State is what the operating system counted; only after Wait.
func (c *Child) State() *os.ProcessState { return c.state }

// launch starts the process: the one place that decides what it inherits.
func (c *Child) launch(ctx context.Context, r Rules, p Program) (*exec.Cmd, *os.File, error) {
	report, theirs, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = theirs.Close() }() // the child has a copy
	arg, err := orders{Rules: r, Report: 3 + len(p.Files)}.encode()
	if err != nil {
		return nil, nil, errors.Join(err, report.Close())
	}
	// The link leads to this very program even when its file has been replaced by a newer one.
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{ChildCommand, arg, p.Name}, p.Args...)...)
	cmd.Dir = p.Dir
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.Env = append([]string{}, p.Env...) // not nil, which would mean ours
	if filepath.IsAbs(p.Name) {
		cmd.Env = append(cmd.Env, launching...)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.Stdin, p.Stdout, c.stderr
	cmd.ExtraFiles = append(append(cmd.ExtraFiles, p.Files...), theirs)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true,            // so that the whole group can be killed
		Pdeathsig: syscall.SIGKILL, // a killed worker leaves no child behind
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = killGrace
	if err := keepDescriptors(); err != nil {
		return nil, nil, errors.Join(err, report.Close())
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, errors.Join(err, report.Close())
	}
	return cmd, report, nil
}

// await sees the child to its end and explains it.
func (c *Child) await(ctx context.Context, cmd *exec.Cmd, report *os.File, r Rules) error {
	defer func() { _ = report.Close() }() // it was only read
	ended, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		watch(cmd.Process.Pid, r.Limits, ended, c.cancel)
	}()
	// Nothing of the group may stay. As long as its leader is not reaped, the group's number is nobody else's.
	waited := ignoringInterrupts(func() error {
		return unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
	})
	close(ended)
	<-watched
	killed := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	err := cmd.Wait()
	c.state = cmd.ProcessState
	if c.state == nil {
		return setupError(err)
	}
	if c.state.Success() && err == nil && waited == nil && (killed == nil || errors.Is(killed, syscall.ESRCH)) {
		return nil
	}
	if ctx.Err() != nil {
		return stopped(context.Cause(ctx))
	}
	if waited != nil {
		return setupError(fmt.Errorf("wait for the child: %w", waited))
	}
	switch err := readReport(report); {
	case errors.Is(err, errNotReady):
		return setupError(fmt.Errorf("%w: %s: %s", err, c.state, line(c.Stderr())))
	case err != nil:
		return setupError(err)
	}
	if ended := explain(c.state, r.Limits, c.Stderr()); ended != nil {
		return ended
	}
	return setupError(err) // it ended well, but its output could not be taken
}

// readReport returns why the program did not run. The child closes the report before the program runs, so that a
// hostile one cannot write it.
func readReport(report *os.File) error {
	if err := report.SetReadDeadline(time.Now().Add(killGrace)); err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(report, 4<<10))
	if err != nil {
		return err
	}
	trouble, isReady := strings.CutPrefix(string(text), ready)
	switch {
	case trouble != "":
		return errors.New(line(trouble))
	case !isReady:
		return errNotReady
	}
	return nil
}

// keepDescriptors keeps from children what whoever started this program left open in it; what Go opens itself is
// closed on exec anyway. Kernels before 5.11 do not know how.
func keepDescriptors() error {
	err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

func ignoringInterrupts(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
