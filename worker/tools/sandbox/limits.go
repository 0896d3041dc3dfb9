package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// mappingSlack is address space beyond memory: shared libraries, and what Go and the C library reserve while they
// grow.
const mappingSlack = 1 << 30

// apply sets the resource limits of this process.
func (l Limits) apply() error {
	reserved, err := addressSpace()
	if err != nil {
		return err
	}
	memory, cpu := uint64(l.MemoryBytes), uint64(roundUp(l.CPU).Seconds())
	for _, limit := range []struct {
		resource   int
		soft, hard uint64
	}{
		{unix.RLIMIT_CPU, cpu, cpu + 1}, // at the soft limit a signal names the cause, at the hard one the kernel kills
		{unix.RLIMIT_DATA, memory, memory},
		// Memory that was written and then made read-only is no data any more. Go reserves far more than it uses,
		// which is why this bound is a wide one.
		{unix.RLIMIT_AS, reserved + memory + mappingSlack, reserved + memory + mappingSlack},
		{unix.RLIMIT_FSIZE, uint64(l.FileBytes), uint64(l.FileBytes)},
		{unix.RLIMIT_NOFILE, uint64(l.Files), uint64(l.Files)},
		{unix.RLIMIT_MEMLOCK, 64 << 10, 64 << 10}, // libgcrypt, which FFmpeg links, wants half of it and complains
		{unix.RLIMIT_CORE, 0, 0},                  // a core would hold the foreign bytes
	} {
		if err := unix.Setrlimit(limit.resource, &unix.Rlimit{Cur: limit.soft, Max: limit.hard}); err != nil {
			return fmt.Errorf("set resource limit %d: %w", limit.resource, err)
		}
	}
	return nil
}

// addressSpace is what this process has mapped already, in bytes.
func addressSpace() (uint64, error) {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	first, _, _ := bytes.Cut(statm, []byte(" "))
	pages, err := strconv.ParseUint(string(first), 10, 64)
	return pages * uint64(os.Getpagesize()), err
}

// yield makes this process the first to wait for a processor and the first to go when the machine's memory is short.
func (r Rules) yield() error {
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0); err != nil {
		return err
	}
	if r.Nice == 0 {
		return nil
	}
	// The group is this process alone; unlike the process, it means all its threads.
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return fmt.Errorf("read the niceness: %w", err)
	}
	if err := unix.Setpriority(unix.PRIO_PGRP, 0, 20-nice+r.Nice); err != nil { // the system call counts down from 20
		return fmt.Errorf("set the niceness: %w", err)
	}
	return nil
}

// dropCapabilities takes root's powers from every thread; the user stays. Without new privileges no execve gives
// them back.
func dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if _, _, errno := psx.Syscall3(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none[0])), 0); errno != 0 {
		return fmt.Errorf("drop capabilities: %w", errno)
	}
	return nil
}
