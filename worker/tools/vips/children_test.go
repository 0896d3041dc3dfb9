package vips

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"gatehouse/storage"
	"gatehouse/worker/tools/sandbox"
)

// children are what a child of a test can be: the real one, and those that something has taken over.
var children = map[string]func([]string) int{
	ProgramName:      ChildMain,
	"killed":         hostile(func(job, []*os.File) { _ = unix.Kill(unix.Getpid(), syscall.SIGKILL) }),
	"crashes":        hostile(func(job, []*os.File) { panic("something") }),
	"complains":      hostile(func(job, []*os.File) { complain(); os.Exit(1) }),
	"obeys":          hostile(obeys),
	"leaves":         hostile(func(job, []*os.File) { os.Exit(0) }),
	"called wrongly": hostile(func(job, []*os.File) { os.Exit(exitCalls) }),
	"hangs":          hostile(func(job, []*os.File) { time.Sleep(time.Hour) }),
	"hangs up":       hostile(func(job, []*os.File) { _ = unix.Close(socketFD); time.Sleep(time.Hour) }),
	"burns":          hostile(func(job, []*os.File) { burn() }),
	"not done":       hostile(func(j job, _ []*os.File) { say(reply{Number: j.Number, End: endDone}) }),
	"unknown end":    hostile(func(j job, _ []*os.File) { say(reply{Number: j.Number, End: "well"}) }),
	"other job":      hostile(func(j job, _ []*os.File) { say(reply{Number: j.Number + 1, End: endDamaged}) }),
	"no facts":       hostile(func(j job, _ []*os.File) { first := 0; say(reply{Number: j.Number, Output: &first}) }),
	"flood":          hostile(func(j job, _ []*os.File) { raw(bytes.Repeat([]byte("x"), 100_000)) }),
	"no json":        hostile(func(j job, _ []*os.File) { raw([]byte("hello")) }),
	"descriptor":     hostile(sendDescriptor),
	"twice":          hostile(twice),
	"rewrites":       hostile(rewrites),
	"forges":         hostile(forges),
	"dies later":     hostile(diesLater),
	"lies later":     hostile(liesLater),
	"refuses later":  hostile(refusesLater),
	"speaks later":   hostile(speaksLater),
	"looks around":   hostile(looksAround),
	"looks back":     hostile(looksBack),
}

// hostile is a child that works on jobs in its own way.
func hostile(work func(job, []*os.File)) func([]string) int {
	return func([]string) int {
		helperStart()
		say(reply{})
		for {
			j, files, err := receiveJob()
			if err != nil {
				return exitDone
			}
			work(j, files)
		}
	}
}

func say(r reply) {
	if err := sendReply(r); err != nil {
		panic(err)
	}
}

func raw(b []byte) {
	if err := unix.Sendmsg(socketFD, b, nil, nil, 0); err != nil {
		panic(err)
	}
}

func complain() { fmt.Fprintln(os.Stderr, strings.Repeat("complaint\n", 1_000_000)) }

// obeys ends as programs do that are asked to, and tells the number of its process in its facts.
func obeys(j job, _ []*os.File) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM) // Reset alone does not undo Ignore
	signal.Reset(syscall.SIGTERM)
	say(reply{Number: j.Number, Facts: &Facts{unix.Getpid(), 1, 1, "#102030", []byte("placeholder")}})
	select {}
}

func burn() {
	for i := 0; ; i++ {
		if i < 0 {
			return
		}
	}
}

func sendDescriptor(j job, _ []*os.File) {
	if err := unix.Sendmsg(socketFD, []byte("{}"), unix.UnixRights(0), nil, 0); err != nil {
		panic(err)
	}
}

// facts400 are those of the picture in forged.
var facts400 = Facts{400, 300, 1, "#102030", []byte("placeholder")}

func twice(j job, files []*os.File) {
	forges(j, files)
	first := 0
	say(reply{Number: j.Number, Output: &first})
}

// forges hands over its input as the first output.
func forges(j job, files []*os.File) {
	b, err := readInput(files[0])
	if err != nil {
		panic(err)
	}
	say(reply{Number: j.Number, Facts: &facts400})
	if _, err := files[1].WriteAt(b, 0); err != nil {
		panic(err)
	}
	first := 0
	say(reply{Number: j.Number, Output: &first})
	say(reply{Number: j.Number, End: endDone})
}

// rewrites waits until its output is sealed and then does what it can to it.
func rewrites(j job, files []*os.File) {
	forges(j, files)
	for range 1000 {
		if _, err := files[1].WriteAt([]byte("<html>"), 0); err != nil {
			_, _ = files[1].Seek(7, io.SeekStart)
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func diesLater(j job, files []*os.File) {
	if j.Number > 1 {
		if _, err := files[1].WriteAt([]byte("begun"), 100_000); err != nil {
			panic(err)
		}
		panic("what the first job left behind")
	}
	forges(j, files)
}

// liesLater hands over its second output with bytes behind it.
func liesLater(j job, files []*os.File) {
	if j.Number > 1 {
		if _, err := files[1].WriteAt([]byte("left behind"), 100_000); err != nil {
			panic(err)
		}
	}
	forges(j, files)
}

func refusesLater(j job, files []*os.File) {
	if j.Number > 1 {
		say(reply{Number: j.Number, End: endDamaged})
		return
	}
	forges(j, files)
}

func speaksLater(j job, files []*os.File) {
	forges(j, files)
	say(reply{Number: j.Number + 1, End: endDamaged})
}

// looksAround tells in its end what it could do.
func looksAround(j job, files []*os.File) {
	var could []string
	try := func(what string, err error) {
		if err == nil {
			could = append(could, what)
		}
	}
	_, err := os.ReadFile("/etc/passwd")
	try("read passwd", err)
	_, err = os.ReadFile(fmt.Sprintf("/proc/%d/environ", os.Getppid()))
	try("read the parent", err)
	try("create", os.WriteFile("/tmp/vips-child-was-here", nil, 0o600))
	_, err = files[0].WriteAt([]byte("x"), 0)
	try("write the input", err)
	_, err = os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", files[0].Fd()), os.O_RDWR, 0)
	try("reopen the input", err)
	_, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	try("open a socket", err)
	try("raise a limit", unix.Setrlimit(unix.RLIMIT_CPU, &unix.Rlimit{Cur: 5, Max: 5}))
	if len(os.Getenv("SECRET")) > 0 {
		could = append(could, "see SECRET")
	}
	for fd := socketFD + 1; fd < 20; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err == nil && !mine(fd, files) {
			name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
			// Go's runtime has a poller, and looks at how many processors it may use.
			if err != nil || !strings.HasPrefix(name, "anon_inode:") && !strings.HasPrefix(name, "/sys/fs/cgroup/") {
				could = append(could, fmt.Sprint("use descriptor ", fd, name))
			}
		}
	}
	say(reply{Number: j.Number, End: endDamaged, Detail: "could: " + strings.Join(could, ", ")})
}

// looksBack works as the real one and tells which outputs it still holds.
func looksBack(j job, files []*os.File) {
	r := reply{Number: j.Number, End: endDone}
	if _, err := j.run(files[0], files[1:]); err != nil {
		panic(err)
	}
	for i, f := range files[1:] {
		if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
			r.End, r.Detail = endDamaged, fmt.Sprintf("holds output %d: %v", i, err)
		}
	}
	say(r)
}

func mine(fd int, files []*os.File) bool {
	for _, f := range files {
		if int(f.Fd()) == fd {
			return true
		}
	}
	return false
}

// playing is a runner with such a child.
func playing(t testing.TB, program string, c Config) *Runner {
	t.Helper()
	r := runner(t, c)
	r.pool.program = program
	return r
}

func TestTroubledChildren(t *testing.T) {
	crashed := storage.ReasonPictureCrashed.Slug
	for program, want := range map[string]string{
		"killed": storage.ReasonPictureTooCostly.Slug, "crashes": crashed, "complains": crashed, "leaves": crashed,
		"not done": crashed, "unknown end": crashed, "other job": crashed, "no facts": crashed,
		"flood": crashed, "no json": crashed, "descriptor": crashed, "called wrongly": "", "no such": "",
	} {
		t.Run(program, func(t *testing.T) {
			_, err := playing(t, program, Config{}).WebPs(context.Background(), Picture{Bytes: strings.NewReader("x")}, small)
			require.Error(t, err)
			require.Less(t, len(err.Error()), 1000)
			if want == "" {
				require.NotErrorIs(t, err, ErrUndecodable)
			} else {
				require.Equal(t, want, reason(t, err))
			}
		})
	}
}

// Who stops a service asks all of its processes to end: a child at work goes on, and one that obeys does not condemn its
// picture.
func TestAskedToEnd(t *testing.T) {
	picture := asPNG(t, noisy(2000, 1500))
	r := runner(t, Config{Concurrency: 1, Idle: time.Hour})
	webps(t, r, picture, small...)
	real := r.pool.idle[0]
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		outputs := 0
		require.NoError(t, r.Make(context.Background(), Picture{Bytes: bytes.NewReader(picture)}, small,
			func(Facts) error { return unix.Kill(real.process.Pid(), s) }, func(Output) error { outputs++; return nil }))
		require.Equal(t, 1, outputs)
		require.Equal(t, []*child{real}, r.pool.idle, s.String())
	}

	err := playing(t, "obeys", Config{Timeout: 20 * time.Second}).Make(context.Background(), Picture{Bytes: strings.NewReader("x")}, small,
		func(f Facts) error { return unix.Kill(f.Width, syscall.SIGTERM) }, func(Output) error { return nil })
	require.NotErrorIs(t, err, ErrUndecodable)
	ended, ok := errors.AsType[*sandbox.Ended](err)
	require.True(t, ok, err)
	require.Equal(t, syscall.SIGTERM, ended.Signal)
}

// Time that runs out ends the child, whatever it does; the fault may pass.
func TestTimeout(t *testing.T) {
	for _, program := range []string{"hangs", "hangs up", "burns"} {
		t.Run(program, func(t *testing.T) {
			r := playing(t, program, Config{Timeout: 500 * time.Millisecond})
			_, err := r.WebPs(context.Background(), Picture{Bytes: strings.NewReader("x")}, small)
			require.ErrorIs(t, err, ErrTimeout)
			require.NotErrorIs(t, err, ErrUndecodable)
			require.Empty(t, r.pool.idle)
		})
	}
}

// The processor time of one job is bounded long before that of the child's life, also for later jobs.
func TestProcessorTime(t *testing.T) {
	r := playing(t, "burns", Config{})
	c, err := r.pool.take("")
	require.NoError(t, err)
	defer c.end()
	require.NoError(t, c.hello())
	require.NoError(t, c.limitCPU(0))
	require.NoError(t, c.send(job{}, []*os.File{os.Stdin}))
	err = c.process.Wait()
	ended, ok := errors.AsType[*sandbox.Ended](err)
	require.True(t, ok, err)
	require.Equal(t, sandbox.CauseCPU, ended.Cause)
}

// What a child hands over is looked at: anything but a plain picture of the right size is refused.
func TestChildIsNotBelieved(t *testing.T) {
	good := webps(t, runner(t, Config{}), asPNG(t, corners(400, 300)), Preset{"p", 400, 85, 2, FormatWebP})[0]
	picture, err := io.ReadAll(good.File)
	require.NoError(t, err)
	exif := append(bytes.Clone(picture), "EXIF\x04\x00\x00\x00abcd"...)
	exif[4] += 12
	moving := webps(t, runner(t, Config{}), animated(t, 400, 300, flags...), Preset{"p", 400, 85, 2, FormatWebP})[0]
	movie, err := io.ReadAll(moving.File)
	require.NoError(t, err)
	preset := []Preset{{"p", 400, 85, 2, FormatWebP}}
	for name, forged := range map[string][]byte{
		"nothing": {}, "html": []byte("<html><script>alert(1)</script>"), "a jpeg": asJPEG(t, corners(40, 30)),
		"bytes behind": append(bytes.Clone(picture), "extra"...), "cut off": picture[:len(picture)-10], "metadata": exif,
		"too many frames": movie,
	} {
		t.Run(name, func(t *testing.T) {
			r := playing(t, "forges", Config{})
			_, err := r.WebPs(context.Background(), Picture{Bytes: bytes.NewReader(forged)}, preset)
			require.Equal(t, storage.ReasonPictureCrashed.Slug, reason(t, err))
			require.Empty(t, r.pool.idle, "a liar is not used again")
		})
	}
	t.Run("too large", func(t *testing.T) {
		_, err := playing(t, "forges", Config{}).WebPs(context.Background(), Picture{Bytes: bytes.NewReader(picture)},
			[]Preset{{"p", 399, 85, 2, FormatWebP}})
		require.Equal(t, storage.ReasonPictureCrashed.Slug, reason(t, err))
	})
	t.Run("an output twice", func(t *testing.T) {
		_, err := playing(t, "twice", Config{}).WebPs(context.Background(), Picture{Bytes: bytes.NewReader(picture)}, append(preset, small...))
		require.Equal(t, storage.ReasonPictureCrashed.Slug, reason(t, err))
	})
	t.Run("an honest one", func(t *testing.T) {
		webps(t, playing(t, "forges", Config{}), picture, preset...)
	})
	t.Run("one that comes back", func(t *testing.T) {
		r := playing(t, "rewrites", Config{})
		for range 20 {
			// Either it was quicker than the seal, and is refused, or it cannot change anything any more.
			out, err := r.WebPs(context.Background(), Picture{Bytes: bytes.NewReader(picture)}, preset)
			if err != nil {
				require.ErrorIs(t, err, ErrUndecodable)
				continue
			}
			now, err := io.ReadAll(out[0].File)
			require.NoError(t, err)
			require.Equal(t, picture, now)
			require.NoError(t, CloseAll(out))
		}
	})
	for name, f := range map[string]Facts{
		"no size": {0, 1, 1, "#102030", make([]byte, 20)}, "too many pixels": {10001, 10000, 1, "#102030", make([]byte, 20)},
		"overflow": {1 << 62, 4, 1, "#102030", make([]byte, 20)}, "no frames": {1, 1, 0, "#102030", make([]byte, 20)},
		"a script": {1, 1, 1, "#<b>", make([]byte, 20)}, "two lines": {1, 1, 1, "#102030\n", make([]byte, 20)},
		"a long hash": {1, 1, 1, "#102030", make([]byte, 26)}, "no hash": {1, 1, 1, "#102030", nil},
	} {
		t.Run(name, func(t *testing.T) { require.Error(t, f.check(runner(t, Config{}).cfg)) })
	}
}

// What a job leaves behind in its child does not hurt the next one.
func TestNextJob(t *testing.T) {
	good := webps(t, runner(t, Config{}), asPNG(t, corners(400, 300)), Preset{"p", 400, 85, 2, FormatWebP})[0]
	picture, err := io.ReadAll(good.File)
	require.NoError(t, err)
	for _, program := range []string{"dies later", "lies later", "refuses later", "speaks later"} {
		t.Run(program, func(t *testing.T) {
			r := playing(t, program, Config{})
			for range 3 {
				webps(t, r, picture, Preset{"p", 400, 85, 2, FormatWebP})
			}
		})
	}
	t.Run("another that waits is left alone", func(t *testing.T) {
		r := playing(t, "dies later", Config{Concurrency: 2, Idle: time.Hour})
		preset := Preset{"p", 400, 85, 2, FormatWebP}
		webps(t, r, picture, preset)
		first, err := r.pool.take("")
		require.NoError(t, err)
		webps(t, r, picture, preset)
		second := r.pool.idle[0]
		require.NotSame(t, first, second)
		r.pool.put(first)
		webps(t, r, picture, preset)
		require.Len(t, r.pool.idle, 2, "one has died and one was started")
		require.Contains(t, r.pool.idle, first)
		require.NotContains(t, r.pool.idle, second)
	})
	t.Run("killed while it waits", func(t *testing.T) {
		r := runner(t, Config{})
		for range 3 {
			webps(t, r, picture, small...)
			require.Len(t, r.pool.idle, 1)
			require.NoError(t, unix.Kill(r.pool.idle[0].process.Pid(), syscall.SIGKILL))
		}
	})
}

// A child serves one owner, is used again, and makes room for others.
func TestPool(t *testing.T) {
	r := runner(t, Config{Concurrency: 1, Jobs: 3, Idle: time.Hour})
	picture := asJPEG(t, corners(100, 80))
	pid := func(owner string) int {
		t.Helper()
		out, err := r.WebPs(context.Background(), Picture{Owner: owner, Bytes: bytes.NewReader(picture)}, small)
		require.NoError(t, err)
		require.NoError(t, CloseAll(out))
		r.pool.mu.Lock()
		defer r.pool.mu.Unlock()
		if len(r.pool.idle) == 0 {
			return 0
		}
		require.Len(t, r.pool.idle, 1)
		require.Equal(t, owner, r.pool.idle[0].owner)
		return r.pool.idle[0].process.Pid()
	}
	a := pid("a")
	require.Equal(t, a, pid("a"))
	b := pid("b")
	require.NotEqual(t, a, b)
	require.ErrorIs(t, unix.Kill(a, 0), unix.ESRCH)
	require.Equal(t, b, pid("b"))
	require.Zero(t, pid("b"), "after three jobs the child is gone")
	require.ErrorIs(t, unix.Kill(b, 0), unix.ESRCH)

	c := pid("c")
	_, err := r.WebPs(context.Background(), Picture{Owner: "c", Bytes: bytes.NewReader(picture[:200])}, small)
	require.ErrorIs(t, err, ErrUndecodable)
	require.ErrorIs(t, unix.Kill(c, 0), unix.ESRCH, "trouble ends the child")

	r = runner(t, Config{Concurrency: 1, Idle: time.Millisecond})
	d := pid("d")
	require.Eventually(t, func() bool { return d == 0 || unix.Kill(d, 0) == unix.ESRCH }, 10*time.Second, time.Millisecond)
}

// A callback's error stops the work and comes back as it is; so does the caller's.
func TestCallbacks(t *testing.T) {
	r := runner(t, Config{})
	picture := asPNG(t, noisy(2000, 1500))
	stop := errors.New("stop")
	make := func(ctx context.Context, facts func(Facts) error, output func(Output) error) error {
		return r.Make(ctx, Picture{Bytes: bytes.NewReader(picture)}, usual, facts, output)
	}
	never := func(Output) error { t.Error("an output after the stop"); return nil }
	require.ErrorIs(t, make(context.Background(), func(Facts) error { return stop }, never), stop)

	calls := 0
	require.ErrorIs(t, make(context.Background(), func(Facts) error { return nil }, func(o Output) error {
		calls++
		require.Equal(t, "w320", o.Preset, "the smallest comes first")
		return stop
	}), stop)
	require.Equal(t, 1, calls)

	ctx, cancel := context.WithCancelCause(context.Background())
	err := make(ctx, func(Facts) error { cancel(stop); return nil }, func(Output) error { return nil })
	require.ErrorIs(t, err, stop)
	require.NotErrorIs(t, err, ErrUndecodable)
}

// An output is in memory until its callback returns: then neither side holds it any more.
func TestOutputsAreReleased(t *testing.T) {
	held := func() (n int) {
		open, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		for _, fd := range open {
			if name, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(name, "/memfd:variant") {
				n++
			}
		}
		return n
	}
	before, left := held(), len(usual)
	require.NoError(t, playing(t, "looks back", Config{}).Make(context.Background(), Picture{Bytes: bytes.NewReader(asPNG(t, noisy(2000, 1500)))},
		usual, func(Facts) error { return nil }, func(Output) error {
			require.Equal(t, before+left+1, held(), "those that are still to come or at hand, and this one once more")
			left--
			return nil
		}))
	require.Zero(t, left)
	require.Equal(t, before, held())
}

// The child can do nothing but compute and answer.
func TestWhatTheChildCanDo(t *testing.T) {
	t.Setenv("SECRET", "do not tell")
	extra, err := os.Open("/etc/hosts")
	require.NoError(t, err)
	defer extra.Close()
	_, err = playing(t, "looks around", Config{Require: true}).WebPs(context.Background(), Picture{Bytes: strings.NewReader("x")}, small)
	u, ok := errors.AsType[*Undecodable](err)
	require.True(t, ok, err)
	require.Equal(t, "could: ", u.Detail+" ")
}
