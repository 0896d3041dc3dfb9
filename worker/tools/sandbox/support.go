package sandbox

import (
	"errors"
	"fmt"

	seccomp "github.com/elastic/go-seccomp-bpf"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// Walls are what the running kernel can do for a sandbox.
type Walls struct {
	// Landlock is the version of its interface, 0 for none: 3 (Linux 6.2) guards truncation, 4 (6.7) TCP, 6 (6.12)
	// signals and abstract sockets.
	Landlock int
	Seccomp  bool
}

// Support says which walls this kernel has; for the start log and for a decision about Rules.Require.
func Support() Walls {
	version, err := ll.LandlockGetABIVersion()
	if err != nil {
		version = 0
	}
	return Walls{Landlock: version, Seccomp: seccomp.Supported()}
}

// Complete reports whether both walls are there.
func (w Walls) Complete() bool { return w.Landlock > 0 && w.Seccomp }

func (w Walls) String() string {
	return fmt.Sprintf("landlock %d, seccomp %t", w.Landlock, w.Seccomp)
}

// errWalls is what a child says that may not run without its walls.
var errWalls = errors.New("this kernel has not all walls")
