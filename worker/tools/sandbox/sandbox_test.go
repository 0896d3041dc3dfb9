package sandbox

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The test binary is its own child, as the worker is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == ChildCommand {
		os.Exit(Main(os.Args[2:], deeds))
	}
	os.Exit(m.Run())
}

// deeds are what a child can be told to do.
var deeds = map[string]func([]string) int{
	"echo": func(args []string) int {
		in, err := io.ReadAll(os.Stdin)
		fmt.Println(args, string(in), err, os.Environ())
		return 0
	},
	"exit": func([]string) int { return 7 },
	"hang": func([]string) int { time.Sleep(time.Hour); return 0 },
}

// plenty is more than any ordinary deed needs.
func plenty() Rules {
	return Rules{Limits: Limits{CPU: 20 * time.Second, MemoryBytes: 1 << 30, FileBytes: 64 << 20}}
}

func start(t *testing.T, r Rules, p Program) *Child {
	t.Helper()
	c, err := Start(context.Background(), r, p)
	require.NoError(t, err)
	return c
}

func TestExitCodes(t *testing.T) {
	require.NoError(t, start(t, plenty(), Program{Name: "echo"}).Wait())

	var ended *Ended
	require.ErrorAs(t, start(t, plenty(), Program{Name: "exit"}).Wait(), &ended)
	require.Equal(t, CauseExit, ended.Cause)
	require.Equal(t, 7, ended.Code)

	require.ErrorAs(t, start(t, plenty(), Program{Name: "nothing"}).Wait(), &ended)
	require.Equal(t, CauseSetup, ended.Cause)
	require.ErrorContains(t, ended, "nothing")
}

func TestEndOfContextKills(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	c, err := Start(ctx, plenty(), Program{Name: "hang"})
	require.NoError(t, err)
	var ended *Ended
	require.ErrorAs(t, c.Wait(), &ended)
	require.Equal(t, CauseCancelled, ended.Cause)
	require.ErrorIs(t, ended, context.DeadlineExceeded)
}
