package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Other ways to start the test binary.
const (
	bare   = "bare"   // does nothing
	worker = "worker" // starts a child and waits to be killed
	sleep  = "sleep"  // a process that a child left
)

// The test binary is its own child, as the worker is.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 {
		os.Exit(m.Run())
	}
	switch os.Args[1] {
	case ChildCommand:
		if os.Getenv("LEAVE") != "" {
			leaveProcess()
		}
		entered = time.Now()
		if os.Getenv("ALONE") == "" {
			bystanders.start()
		}
		os.Exit(Main(os.Args[2:], deeds))
	case bare:
		os.Exit(0)
	case worker:
		os.Exit(beWorker())
	case sleep:
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

// entered is when a child called Main.
var entered time.Time

// leaveProcess starts a process as long as no wall forbids it.
func leaveProcess() {
	cmd := exec.Command("/proc/self/exe", sleep)
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	fmt.Println(cmd.Process.Pid)
}

func beWorker() int {
	c, err := Start(context.Background(), plenty(), Program{Name: "hang", Stdout: os.Stdout})
	if err != nil {
		panic(err)
	}
	panic(c.Wait())
}

// threads run functions on threads of their own, which are there before any wall is.
type threads [4]chan func()

var bystanders threads

func (all *threads) start() {
	for i := range all {
		all[i] = make(chan func())
		ready := make(chan bool)
		go func() {
			runtime.LockOSThread()
			ready <- true
			for do := range all[i] {
				do()
			}
		}()
		<-ready
	}
}

// everywhere calls f on this thread, on the old ones and on a new one.
func (all *threads) everywhere(f func()) {
	f()
	done := make(chan bool)
	do := func() { f(); done <- true }
	for _, old := range all {
		old <- do
		<-done
	}
	go func() { runtime.LockOSThread(); do() }()
	<-done
}

// plenty is more than any ordinary deed needs.
func plenty() Rules {
	return Rules{Limits: Limits{CPU: 20 * time.Second, MemoryBytes: 1 << 30, FileBytes: 64 << 20}, Require: true}
}

func start(t testing.TB, r Rules, p Program) *Child {
	t.Helper()
	c, err := Start(context.Background(), r, p)
	require.NoError(t, err)
	return c
}

// ends waits for the child, which must end badly and leave nothing behind.
func ends(t testing.TB, c *Child) *Ended {
	t.Helper()
	var ended *Ended
	require.ErrorAs(t, c.Wait(), &ended, c.Stderr())
	noChildren(t)
	return ended
}

// noChildren fails if this process has children, dead ones included.
func noChildren(t testing.TB) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, path := range stats {
		b, _ := os.ReadFile(path)
		_, fields, _ := bytes.Cut(b, []byte(") "))
		f := strings.Fields(string(fields))
		require.False(t, len(f) > 1 && f[1] == strconv.Itoa(os.Getpid()), "a child is left: %s", b)
	}
}

func output(v any) int {
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		panic(err)
	}
	return 0
}

// told runs a deed that answers in JSON.
func told[T any](t *testing.T, r Rules, p Program) (answer T) {
	t.Helper()
	var out bytes.Buffer
	p.Stdout = &out
	c := start(t, r, p)
	require.NoError(t, c.Wait(), c.Stderr())
	noChildren(t)
	require.NoError(t, json.Unmarshal(out.Bytes(), &answer), "%s\n%s", out.String(), c.Stderr())
	return answer
}
