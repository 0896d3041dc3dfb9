package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// deeds are what a child can be told to do.
var deeds = map[string]func([]string) int{
	"attempt": attempt,
	"allowed": allowedDeed,
	"inherit": inherit,
	"answer":  answer,
	"nothing": func([]string) int { return 0 },
	"clock":   func([]string) int { return output([2]int64{entered.UnixNano(), time.Now().UnixNano()}) },
	"exit":    func([]string) int { return 7 },
	"fake":    func([]string) int { return exitSetup },
	"hang":    func([]string) int { output(os.Getpid()); time.Sleep(time.Hour); return 0 },
	"spin":    spin,
	"heap":    heap,
	"hide":    hide,
	"fill":    fill,
	"threads": bomb,
	"crash":   func([]string) int { return *(*int)(nil) },
	"abort":   func([]string) int { return die(unix.SIGKILL) },
	"stay":    func([]string) int { return survive(unix.SIGTERM, unix.SIGINT, unix.SIGHUP) },
	"shout":   shout,
}

var spinning atomic.Int64

// spin uses all processors.
func spin([]string) int {
	for range 3 {
		go func() {
			for n := 0; ; n++ {
				spinning.Store(int64(n))
			}
		}()
	}
	select {}
}

// heap eats memory the ordinary way.
func heap([]string) int {
	var all [][]byte
	for {
		b := make([]byte, 16<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
		runtime.KeepAlive(all)
	}
}

// hide eats memory that RLIMIT_DATA loses sight of.
func hide([]string) int {
	for {
		b, err := unix.Mmap(-1, 0, 16<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			panic(err)
		}
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		if err := unix.Mprotect(b, unix.PROT_READ); err != nil {
			panic(err)
		}
	}
}

// fill writes to a file until it is stopped.
func fill(args []string) int {
	f, err := os.OpenFile(args[0], os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	for b := make([]byte, 1<<20); ; {
		if _, err := f.Write(b); err != nil {
			panic(err)
		}
	}
}

// bomb starts threads without end.
func bomb([]string) int {
	for {
		go func() { runtime.LockOSThread(); select {} }()
		runtime.Gosched()
	}
}

func die(signal unix.Signal) int {
	if err := unix.Kill(os.Getpid(), signal); err != nil {
		panic(err)
	}
	select {}
}

// survive signals to itself; the last write comes after all of them were taken.
func survive(signals ...unix.Signal) int {
	for _, s := range signals {
		if err := unix.Kill(os.Getpid(), s); err != nil {
			panic(err)
		}
	}
	return output("alive")
}

// shout complains at length.
func shout([]string) int {
	os.Stderr.WriteString("first\n" + strings.Repeat(strings.Repeat("x", 1023)+"\n", 1<<10) + "last\n")
	return 1
}

func TestHowChildrenEnd(t *testing.T) {
	file, err := newFolder(t).Create("out")
	require.NoError(t, err)
	defer file.Close()
	ffmpeg, dash := installed(t, "ffmpeg"), installed(t, "dash")
	encode := func(size string) Program {
		return Program{Name: ffmpeg, Args: strings.Fields("-nostdin -nostats -loglevel error -f lavfi -i testsrc2=size=" +
			size + ":rate=60 -c:v libx264 -y -f mp4 " + file.Name())}
	}
	small := Limits{CPU: time.Second, MemoryBytes: 512 << 20, FileBytes: 4 << 20, Threads: 60}
	slow := small
	slow.CPU, slow.MemoryBytes = 20*time.Second, 768<<20
	roomy := small
	roomy.MemoryBytes, roomy.FileBytes = 4<<30, 1<<30
	for _, test := range []struct {
		name   string
		limits Limits
		p      Program
		cause  Cause
	}{
		{"code", small, Program{Name: "exit"}, CauseExit},
		{"our own code", small, Program{Name: "fake"}, CauseExit},
		{"processor time", small, Program{Name: "spin"}, CauseCPU},
		{"processor time of a program", roomy, encode("3840x2160"), CauseCPU},
		{"memory", slow, Program{Name: "heap"}, CauseMemory},
		{"hidden memory", slow, Program{Name: "hide"}, CauseMemory},
		{"memory of a program", Limits{CPU: 20 * time.Second, MemoryBytes: 512 << 20, FileBytes: 1 << 20}, encode("3840x2160"), CauseMemory},
		{"killed from outside", small, Program{Name: "abort"}, CauseMemory},
		{"asked to end", small, Program{Name: dash, Args: []string{"-c", "kill -TERM $$"}}, CauseCancelled},
		{"interrupted", small, Program{Name: dash, Args: []string{"-c", "kill -INT $$"}}, CauseCancelled},
		{"file size", slow, Program{Name: "fill", Args: []string{file.Name()}}, CauseFileSize},
		{"file size of a program", Limits{CPU: 20 * time.Second, MemoryBytes: 4 << 30, FileBytes: 1 << 10}, encode("64x64"), CauseFileSize},
		{"threads", Limits{CPU: 20 * time.Second, MemoryBytes: 8 << 30, Threads: 60}, Program{Name: "threads"}, CauseThreads},
		{"threads take memory", Limits{CPU: 20 * time.Second, MemoryBytes: 512 << 20, Threads: 1 << 20}, Program{Name: "threads"}, CauseMemory},
		{"crash", small, Program{Name: "crash"}, CauseCrash},
		{"unknown name", small, Program{Name: "unknown"}, CauseSetup},
		{"not allowed", small, Program{Name: "/usr/bin/true"}, CauseSetup},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Rules{Limits: test.limits, Write: []string{file.Name()}, Exec: []string{ffmpeg, dash}}
			ended := ends(t, start(t, r, test.p))
			t.Log(ended)
			require.Equal(t, test.cause, ended.Cause, ended.Error())
			require.Equal(t, !slices.Contains([]Cause{CauseExit, CauseSetup, CauseCancelled}, test.cause), ended.Permanent())
			info, err := file.Stat()
			require.NoError(t, err)
			require.LessOrEqual(t, info.Size(), max(test.limits.FileBytes, 4<<20))
		})
	}
}

// A service is stopped by its control group: the functions of a worker that still ends its jobs must go on.
func TestFunctionsOutliveRequestsToEnd(t *testing.T) {
	require.Equal(t, "alive", told[string](t, plenty(), Program{Name: "stay"}))
}

func TestMissingPathsAreOurFault(t *testing.T) {
	for name, r := range map[string]Rules{
		"read":  {Read: []string{"/nowhere"}},
		"write": {Write: []string{"/nowhere"}},
		"exec":  {Exec: []string{"/nowhere"}},
	} {
		r.Limits = plenty().Limits
		ended := ends(t, start(t, r, Program{Name: "nothing"}))
		require.Equal(t, CauseSetup, ended.Cause, name)
		require.ErrorContains(t, ended, "/nowhere", name)
	}
}

func TestImpossibleRules(t *testing.T) {
	good := plenty()
	for name, change := range map[string]func(*Rules, *Program){
		"no processor time": func(r *Rules, _ *Program) { r.Limits.CPU = 0 },
		"no memory":         func(r *Rules, _ *Program) { r.Limits.MemoryBytes = 1 << 20 },
		"negative":          func(r *Rules, _ *Program) { r.Limits.FileBytes = -1 },
		"relative":          func(r *Rules, _ *Program) { r.Read = []string{"in"} },
		"no program":        func(_ *Rules, p *Program) { p.Name = "" },
	} {
		r, p := good, Program{Name: "nothing"}
		change(&r, &p)
		_, err := Start(context.Background(), r, p)
		require.Error(t, err, name)
	}
}

// A child that hangs dies with the context, and so does what it started before its walls stood.
func TestEndOfContextKillsTheGroup(t *testing.T) {
	for name, end := range map[string]func(*Child, context.CancelCauseFunc) error{
		"context": func(_ *Child, cancel context.CancelCauseFunc) error {
			cause := errors.New("the asset is gone")
			cancel(cause)
			return cause
		},
		"kill": func(c *Child, _ context.CancelCauseFunc) error { c.Kill(); return errKilled },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			out, theirs, err := os.Pipe()
			require.NoError(t, err)
			defer out.Close()
			c, err := Start(ctx, plenty(), Program{Name: "hang", Env: []string{"LEAVE=1"}, Stdout: theirs})
			require.NoError(t, err)
			require.NoError(t, theirs.Close())
			left, child := readPID(t, out), readPID(t, out)
			require.Equal(t, child, c.Pid())
			require.NoError(t, unix.Kill(left, 0))
			cause := end(c, cancel)
			ended := ends(t, c)
			require.Equal(t, CauseCancelled, ended.Cause)
			require.ErrorIs(t, ended, cause)
			gone(t, left)
			gone(t, child)
		})
	}
}

// readPID reads a number up to the end of its line.
func readPID(t *testing.T, f *os.File) int {
	t.Helper()
	var text []byte
	for b := make([]byte, 1); ; text = append(text, b[0]) {
		_, err := f.Read(b)
		require.NoError(t, err)
		if b[0] == '\n' {
			break
		}
	}
	pid, err := strconv.Atoi(string(text))
	require.NoError(t, err)
	return pid
}

// gone waits until a process that is not our child has ended.
func gone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		return err != nil || strings.Contains(string(b), ") Z ")
	}, 20*time.Second, 10*time.Millisecond)
}

func TestErrorOutputKeepsBothEnds(t *testing.T) {
	c := start(t, plenty(), Program{Name: "shout"})
	require.Equal(t, "first", ends(t, c).Detail)
	require.True(t, strings.HasPrefix(c.Stderr(), "first\n"))
	require.True(t, strings.HasSuffix(c.Stderr(), "x\nlast\n"))
	require.Less(t, len(c.Stderr()), keptHead+keptTail+100)
}
