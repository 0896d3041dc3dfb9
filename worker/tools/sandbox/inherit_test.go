package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// inherited is what a child finds.
type inherited struct {
	Args, Env []string
	Open      []int
	Input     string
	Dir       string
	Nice      int
}

func inherit(args []string) int {
	in, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	found := inherited{Args: args, Env: os.Environ(), Input: string(in), Dir: dir}
	for fd := range 1024 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			found.Open = append(found.Open, fd)
		}
	}
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		panic(err)
	}
	found.Nice = 20 - raw
	return output(found)
}

func TestChildrenInheritOnlyWhatTheyAreGiven(t *testing.T) {
	t.Setenv("GATEHOUSE_SECRET", "top secret")
	// What a careless starter left open in the worker.
	careless, err := unix.Dup(2)
	require.NoError(t, err)
	require.NoError(t, unix.Dup3(careless, 400, 0))
	defer unix.Close(careless)
	defer unix.Close(400)
	f, err := newFolder(t).Create("f")
	require.NoError(t, err)
	defer f.Close()
	r := plenty()
	r.Nice = 3
	found := told[inherited](t, r, Program{
		Name: "inherit", Args: []string{"a", "b c"}, Env: []string{"A=1"}, Dir: filepath.Dir(f.Name()),
		Stdin: strings.NewReader("hello"), Files: []*os.File{f},
	})
	require.Equal(t, []string{"a", "b c"}, found.Args)
	require.Equal(t, []string{"A=1"}, found.Env)
	require.Equal(t, "hello", found.Input)
	require.Equal(t, filepath.Dir(f.Name()), found.Dir)
	require.Equal(t, 3, found.Nice)
	require.NotContains(t, found.Open, 400)
	require.Contains(t, found.Open, 3)
	require.NotContains(t, found.Open, 4, "the report is closed")
	require.Empty(t, told[inherited](t, plenty(), Program{Name: "inherit"}).Env)
}

// answer takes a file from a socket that it was given, and sends back a descriptor and what was in the file.
func answer([]string) int {
	c, err := net.FileConn(os.NewFile(3, "socket"))
	if err != nil {
		panic(err)
	}
	socket := c.(*net.UnixConn)
	f := receive(socket)
	b, err := io.ReadAll(f)
	if err != nil {
		panic(err)
	}
	if _, _, err := socket.WriteMsgUnix(b, unix.UnixRights(int(f.Fd())), nil); err != nil {
		panic(err)
	}
	return 0
}

func receive(socket *net.UnixConn) *os.File {
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := socket.ReadMsgUnix(make([]byte, 1), rights)
	if err != nil {
		panic(err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil {
		panic(err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		panic(err)
	}
	return os.NewFile(uintptr(fds[0]), "received")
}

// Files can be handed to a running child, whatever Landlock says of their names.
func TestFilesTravelOverASocket(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	theirs := os.NewFile(uintptr(pair[1]), "theirs")
	c := start(t, plenty(), Program{Name: "answer", Files: []*os.File{theirs}})
	require.NoError(t, theirs.Close())
	ours, err := net.FileConn(os.NewFile(uintptr(pair[0]), "ours"))
	require.NoError(t, err)
	defer ours.Close()
	socket := ours.(*net.UnixConn)
	path := filepath.Join(t.TempDir(), "picture")
	require.NoError(t, os.WriteFile(path, []byte("picture"), 0o600))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	_, _, err = socket.WriteMsgUnix([]byte("x"), unix.UnixRights(int(f.Fd())), nil)
	require.NoError(t, err)
	require.NoError(t, socket.SetReadDeadline(time.Now().Add(20*time.Second)))
	back := receive(socket)
	defer back.Close()
	require.NoError(t, c.Wait(), c.Stderr())
	_, err = back.Seek(0, io.SeekStart)
	require.NoError(t, err)
	b, err := io.ReadAll(back)
	require.NoError(t, err)
	require.Equal(t, "picture", string(b))
}

// Programs keep the walls across execve: every thread, no power of root, nothing but what they may read.
func TestProgramsAreWalledIn(t *testing.T) {
	cat, secret := installed(t, "cat"), filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("top secret"), 0o600))
	for name, args := range map[string][]string{
		cat:                  {secret},
		installed(t, "head"): {"-c1", "/etc/passwd"},
		installed(t, "ls"):   {filepath.Dir(secret)},
		installed(t, "bash"): {"-c", "exec 3<>/dev/tcp/127.0.0.1/22"},
		installed(t, "dash"): {"-c", "/bin/true; exec /bin/true"},
		installed(t, "env"):  {"/bin/true"},
		installed(t, "nice"): {"/bin/true"},
	} {
		r := plenty()
		r.Exec = []string{name, "/bin/true"}
		var out bytes.Buffer
		ended := ends(t, start(t, r, Program{Name: name, Args: args, Stdout: &out}))
		require.Equal(t, CauseExit, ended.Cause, ended)
		require.Empty(t, out.String())
		t.Log(ended)
	}

	// The environment is what was given.
	env := installed(t, "env")
	r := plenty()
	r.Exec = []string{env}
	var out bytes.Buffer
	require.NoError(t, start(t, r, Program{Name: env, Env: []string{"A=1", "B=2"}, Stdout: &out}).Wait())
	require.Equal(t, "A=1\nB=2\n", out.String())

	// A running program, seen from outside.
	ffmpeg := installed(t, "ffmpeg")
	r.Exec = []string{ffmpeg}
	started := make(chan bool)
	c := start(t, r, Program{Name: ffmpeg, Stdout: writerFunc(func() { close(started) }), Args: strings.Fields(
		"-nostdin -loglevel error -re -f lavfi -i testsrc2=size=320x240 -threads 4 -c:v libx264 -f null -progress pipe:1 -")})
	<-started
	tasks, err := filepath.Glob("/proc/" + strconv.Itoa(childOf(t)) + "/task/*/status")
	require.NoError(t, err)
	require.Greater(t, len(tasks), 2)
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		require.NoError(t, err)
		for _, wall := range []string{"NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "CapInh:\t0000000000000000"} {
			require.Contains(t, string(b), wall)
		}
	}
	adjusted, err := os.ReadFile("/proc/" + strconv.Itoa(childOf(t)) + "/oom_score_adj")
	require.NoError(t, err)
	require.Equal(t, "1000\n", string(adjusted))
	c.Kill()
	require.Equal(t, CauseCancelled, ends(t, c).Cause)
}

// writerFunc is called at the first output.
func writerFunc(f func()) io.Writer { return &onceWriter{f: f} }

type onceWriter struct{ f func() }

func (w *onceWriter) Write(p []byte) (int, error) {
	if w.f != nil {
		w.f()
		w.f = nil
	}
	return len(p), nil
}

// childOf is this process's only child.
func childOf(t *testing.T) int {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	require.NoError(t, err)
	var all []string
	for _, list := range lists {
		b, err := os.ReadFile(list)
		require.NoError(t, err)
		all = append(all, strings.Fields(string(b))...)
	}
	require.Len(t, all, 1)
	pid, err := strconv.Atoi(all[0])
	require.NoError(t, err)
	return pid
}

// A worker that is killed takes its children with it.
func TestChildrenDieWithTheWorker(t *testing.T) {
	cmd := exec.CommandContext(context.Background(), "/proc/self/exe", worker)
	out, theirs, err := os.Pipe()
	require.NoError(t, err)
	defer out.Close()
	cmd.Stdout = theirs
	require.NoError(t, cmd.Start())
	require.NoError(t, theirs.Close())
	child := readPID(t, out)
	require.NoError(t, unix.Kill(child, 0))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	gone(t, child)
}

func TestLeftoversAreRemoved(t *testing.T) {
	dir, old := t.TempDir(), time.Now().Add(-time.Hour)
	inUse, err := NewFolder(dir, "x-")
	require.NoError(t, err)
	info, err := os.Stat(inUse.Path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	for _, name := range []string{"x-left", "x-fresh", "y-left"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name, "in"), 0o700))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x-file"), nil, 0o600))
	for _, path := range []string{inUse.Path, filepath.Join(dir, "x-left"), filepath.Join(dir, "y-left"), filepath.Join(dir, "x-file")} {
		require.NoError(t, os.Chtimes(path, old, old))
	}
	require.NoError(t, RemoveLeftovers(dir, "x-"))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint([]string{filepath.Base(inUse.Path), "x-file", "x-fresh", "y-left"}), names(entries))
	require.NoError(t, inUse.Remove())
	require.NoDirExists(t, inUse.Path)
}

func names(entries []os.DirEntry) string {
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return fmt.Sprint(all)
}
