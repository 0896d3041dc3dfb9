package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// apply sets the resource limits of this process.
func (l Limits) apply() error {
	cpu := uint64(roundUp(l.CPU).Seconds())
	for _, limit := range []struct {
		resource   int
		soft, hard uint64
	}{
		{unix.RLIMIT_CPU, cpu, cpu + 1}, // at the soft limit a signal names the cause, at the hard one the kernel kills
		{unix.RLIMIT_DATA, uint64(l.MemoryBytes), uint64(l.MemoryBytes)},
		{unix.RLIMIT_FSIZE, uint64(l.FileBytes), uint64(l.FileBytes)},
		{unix.RLIMIT_NOFILE, uint64(l.Files), uint64(l.Files)},
		{unix.RLIMIT_CORE, 0, 0}, // a core would hold the foreign bytes
	} {
		if err := unix.Setrlimit(limit.resource, &unix.Rlimit{Cur: limit.soft, Max: limit.hard}); err != nil {
			return fmt.Errorf("set resource limit %d: %w", limit.resource, err)
		}
	}
	return nil
}

// beNice lowers the priority of this process. Threads that are running keep theirs, so it is done thread by thread.
func (r Rules) beNice() error {
	if r.Nice == 0 {
		return nil
	}
	return unix.Setpriority(unix.PRIO_PGRP, 0, r.Nice)
}
