package rig

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is one running program. Its log is shown when the test fails.
type Process struct {
	t    testing.TB
	path string
	args []string
	env  []string
	log  string

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
}

func newProcess(t testing.TB, dir, name, path string, env []string, args ...string) *Process {
	p := &Process{t: t, path: path, args: args, env: env, log: filepath.Join(dir, name+".log")}
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("--- end of the log of %s:\n%s", name, tail(p.log, 60))
		}
	})
	return p
}

// Start starts the program, or starts it again.
func (p *Process) Start() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(p.path, p.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("start %s: %v", p.path, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // how it ended is the tests' own doing; what it said is in its log
	}()
	p.cmd, p.done = cmd, done
}

// Kill is SIGKILL: the program gets no chance to tidy up. What it started may live on.
func (p *Process) Kill() { p.end(syscall.SIGKILL, 10*time.Second) }

// Stop is SIGTERM, and SIGKILL when the program does not end in time.
func (p *Process) Stop() { p.end(syscall.SIGTERM, 45*time.Second) }

func (p *Process) end(sig syscall.Signal, patience time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Errorf("%s did not end within %s of %s", filepath.Base(p.path), patience, sig)
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	p.cmd = nil
}

// Alive reports whether the program runs.
func (p *Process) Alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd != nil && p.cmd.Process.Signal(syscall.Signal(0)) == nil
}

// Log is what the program has logged so far.
func (p *Process) Log() string {
	raw, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(raw)
}

// Memory is the process's resident set in bytes: now, and at its peak.
func (p *Process) Memory() (now, peak int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0, 0
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	field := func(name string) int64 {
		_, rest, _ := bytes.Cut(raw, []byte(name+":"))
		words := strings.Fields(string(rest))
		if len(words) == 0 {
			p.t.Fatalf("no %s in /proc status", name)
		}
		kb, err := strconv.ParseInt(words[0], 10, 64)
		if err != nil {
			p.t.Fatal(err)
		}
		return kb << 10
	}
	return field("VmRSS"), field("VmHWM")
}

func tail(file string, lines int) string {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(string(raw), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
