package vips

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/storage"
	"gatehouse/worker/tools/sandbox"
)

// errGone says that nothing more will come from a child.
var errGone = errors.New("the child is gone")

// child is one process. It serves one owner, one job at a time.
type child struct {
	owner   string
	process *sandbox.Child
	conn    *net.UnixConn
	jobs    int
	timer   *time.Timer
}

// cpuSeconds bounds the processor time of one job. One thread that hangs meets the time limit first; this one is for
// those that burn on more threads than they were given.
func (c Config) cpuSeconds() uint64 {
	return uint64(c.Timeout.Seconds()*float64(c.Threads)*1.5) + 1
}

// rules are what a child may do: nothing but to compute. The time is for all its jobs; limitCPU bounds each.
func (c Config) rules() sandbox.Rules {
	return sandbox.Rules{
		Limits: sandbox.Limits{
			CPU:         time.Duration(c.cpuSeconds()) * time.Duration(c.Jobs) * time.Second,
			MemoryBytes: c.MemoryBytes,
			FileBytes:   maxOutputBytes,
			Files:       maxFiles,
		},
		Require: c.Require,
	}
}

func (c Config) command(program string, socket *os.File) sandbox.Program {
	return sandbox.Program{
		Name: program,
		Env: []string{
			"VIPS_BLOCK_UNTRUSTED=1",   // no loaders beyond those hardened against hostile files
			"VIPS_CONCURRENCY=1",       // several pictures at once use the processors better than several threads on one
			"VIPS_DISC_THRESHOLD=100g", // decoded pictures stay in memory, whose limit holds: there is no file for them
			"MALLOC_ARENA_MAX=2",       // less fragmentation in glibc
			"GOMAXPROCS=" + strconv.Itoa(c.Threads),
			"GOTRACEBACK=none", // what killed it is enough
		},
		Files: []*os.File{socket}, // socketFD
	}
}

// socketPair gives our end and the child's.
func socketPair() (*net.UnixConn, *os.File, error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "ours"), os.NewFile(uintptr(ends[1]), "theirs")
	conn, err := net.FileConn(ours)
	if err = errors.Join(err, ours.Close()); err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return conn.(*net.UnixConn), theirs, nil
}

// hello waits until the child is ready: until then it may still set its own limits.
func (c *child) hello() error {
	_, err := c.receive()
	return err
}

// limitCPU bounds the processor time from now on; the child itself may not.
func (c *child) limitCPU(seconds uint64) error {
	pid := c.process.Pid()
	var used unix.Timespec
	processClock := int32(^pid<<3 | 2) // CPUCLOCK_SCHED in the kernel's posix-timers
	if err := unix.ClockGettime(processClock, &used); err != nil {
		return fmt.Errorf("read the decoder's processor time: %w", err)
	}
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_CPU, nil, &limit); err != nil {
		return fmt.Errorf("read the decoder's limit: %w", err)
	}
	limit.Cur = min(limit.Max, uint64(used.Sec)+1+seconds)
	if err := unix.Prlimit(pid, unix.RLIMIT_CPU, &limit, nil); err != nil {
		return fmt.Errorf("limit the decoder's processor time: %w", err)
	}
	return nil
}

// end ends the child, and returns when it is gone.
func (c *child) end() {
	c.process.Kill()
	_ = c.process.Wait() // it was killed
	_ = c.conn.Close()
}

// silent reports whether an idle child lives and has said nothing.
func (c *child) silent() bool {
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return false
	}
	var peeked error
	err = raw.Read(func(fd uintptr) bool {
		_, _, peeked = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return true
	})
	return err == nil && peeked == unix.EAGAIN
}

// do has the child work on one job. It reports whether the child may be used again: only after a job without any
// trouble.
func (c *child) do(ctx context.Context, w *work, cfg Config) (again bool, err error) {
	stop := context.AfterFunc(ctx, c.process.Kill)
	defer func() { again = stop() && again }()
	c.jobs++
	before := len(c.process.Stderr())
	if c.jobs == 1 {
		err = c.hello()
	}
	if err == nil {
		err = c.limitCPU(cfg.cpuSeconds())
	}
	if err != nil {
		return false, c.explain(ctx, err)
	}
	j, files := w.job(int64(c.jobs), cfg)
	if err := c.send(j, files); err != nil {
		return false, c.explain(ctx, err)
	}
	for {
		r, err := c.receive()
		if errors.Is(err, errGone) {
			return false, c.explain(ctx, err)
		}
		if err != nil {
			return false, distrust(err)
		}
		if r.Number != j.Number {
			return false, distrust(fmt.Errorf("a reply to job %d", r.Number))
		}
		if r.End == "" {
			if err := w.accept(r, cfg); err != nil {
				return false, err
			}
			continue
		}
		if r.End == endDone && w.missing() {
			return false, distrust(errors.New("done, but without all outputs"))
		}
		return r.Detail == "" && len(c.process.Stderr()) == before, r.ended()
	}
}

// distrust is the end of a child that does not behave.
func distrust(err error) error {
	return &Undecodable{storage.ReasonPictureCrashed, printable("the decoder's reply is wrong: " + err.Error())}
}

// send hands over a job and its descriptors.
func (c *child) send(j job, files []*os.File) error {
	message, err := json.Marshal(j)
	if err != nil {
		return err
	}
	var descriptors []int
	for _, f := range files {
		descriptors = append(descriptors, int(f.Fd()))
	}
	_, _, err = c.conn.WriteMsgUnix(message, unix.UnixRights(descriptors...), nil)
	return err
}

// receive takes no descriptors: the kernel drops those it is sent, and says so.
func (c *child) receive() (reply, error) {
	message := make([]byte, maxMessage)
	n, _, flags, _, err := c.conn.ReadMsgUnix(message, nil)
	switch {
	case err != nil || n == 0:
		return reply{}, fmt.Errorf("%w: %w", errGone, cmp.Or(err, io.EOF))
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		return reply{}, errors.New("an impossible message")
	}
	var r reply
	if err := json.Unmarshal(message[:n], &r); err != nil {
		return reply{}, err
	}
	return r, nil
}

// explain says why the conversation broke off: the picture's fault, or ours.
func (c *child) explain(ctx context.Context, broken error) error {
	// It is on its way out. If it only closed its socket, the context will end it.
	ended := c.process.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("decoder: %w", context.Cause(ctx))
	}
	e, ok := errors.AsType[*sandbox.Ended](ended)
	switch {
	case !ok: // it went well, without a word
		return distrust(broken)
	case e.Code == exitCalls || !e.Permanent() && e.Cause != sandbox.CauseExit: // ours, or somebody asked it to end
		return fmt.Errorf("decoder: %w", e)
	case e.Cause == sandbox.CauseCrash || e.Cause == sandbox.CauseExit:
		return &Undecodable{storage.ReasonPictureCrashed, e.Error()}
	}
	return &Undecodable{storage.ReasonPictureTooCostly, e.Error()}
}

// ended turns the last reply into an error: the picture's fault, or ours.
func (r reply) ended() error {
	detail := printable(r.Detail)
	switch r.End {
	case endDone:
		return nil
	case endStorage:
		return fmt.Errorf("decoder: %s", detail)
	case endDamaged:
		return &Undecodable{storage.ReasonPictureDamaged, detail}
	case endTooManyPixels:
		return &Undecodable{storage.ReasonPictureTooManyPixels, detail}
	case endTooManyFrames:
		return &Undecodable{storage.ReasonPictureTooManyFrames, detail}
	case endTooCostly:
		return &Undecodable{storage.ReasonPictureTooCostly, detail}
	}
	return distrust(fmt.Errorf("it ended with %.20q", string(r.End)))
}
