package sandbox

import (
	"fmt"
	"runtime"
	"slices"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// noSuchCall makes C libraries fall back to an older call whose arguments a filter can see.
const noSuchCall = seccomp.ActionErrno | seccomp.Action(unix.ENOSYS)

// allowed are the system calls of a program that computes: measured on Go with libvips, and on FFmpeg with its
// encoders. Whatever is not here fails with EPERM: sockets, processes, mounts, namespaces, keys, tracing, timers,
// shared memory, and every change to a file but its content (Landlock knows no chmod). Names that an architecture
// does not have are left out.
var allowed = []string{
	// files, by descriptor
	"read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2",
	"lseek", "close", "close_range", "fstat", "ftruncate", "fsync", "fdatasync", "fadvise64", "sendfile", "copy_file_range",
	"dup", "dup2", "dup3", "fcntl", "ioctl", "getdents64", "fstatfs",
	// files, by name; Landlock says which
	"open", "openat", "stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2",
	"readlink", "readlinkat", "getcwd", "statfs",
	// memory
	"brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "msync", "mlock", "munlock", "membarrier", "get_mempolicy",
	// threads and their own signals
	"clone", "exit", "exit_group", "futex", "set_robust_list", "set_tid_address", "rseq", "arch_prctl", "prctl",
	"gettid", "getpid", "getppid", "tgkill", "kill", "sched_yield", "sched_getaffinity", "sched_getparam",
	"sched_getscheduler", "sched_getattr", "sched_get_priority_max", "sched_get_priority_min", "getpriority",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "sigaltstack", "restart_syscall",
	// waiting
	"poll", "ppoll", "select", "pselect6", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
	"eventfd2", "pipe", "pipe2", "nanosleep", "clock_nanosleep",
	// sockets that were handed to it
	"recvmsg", "sendmsg", "getsockname", "getpeername", "getsockopt", "shutdown",
	// about itself and the machine
	"clock_gettime", "clock_getres", "gettimeofday", "time", "getrandom", "getrusage", "times", "uname", "sysinfo",
	"getcpu", "getuid", "geteuid", "getgid", "getegid", "getrlimit", "prlimit64",
}

// condition is a reason to refuse an allowed call: all of when hold. Several for one call are alternatives.
type condition struct {
	call string
	when []seccomp.Condition
}

// conditions narrow allowed calls by their arguments; pid is this process.
func conditions(pid int) []condition {
	arg := func(n uint32, op seccomp.Operation, value uint64) seccomp.Condition {
		return seccomp.Condition{Argument: n, Operation: op, Value: value}
	}
	noneOf := func(n uint32, values ...uint64) (all []seccomp.Condition) {
		for _, v := range values {
			all = append(all, arg(n, seccomp.NotEqual, v))
		}
		return all
	}
	const oddMappings = unix.MAP_GROWSDOWN | unix.MAP_HUGETLB | unix.MAP_LOCKED
	return []condition{
		// threads, but no processes
		{"clone", []seccomp.Condition{arg(0, seccomp.BitsNotSet, unix.CLONE_THREAD)}},
		// no memory that RLIMIT_DATA does not count
		{"mmap", []seccomp.Condition{arg(3, seccomp.BitsSet, unix.MAP_SHARED), arg(3, seccomp.BitsSet, unix.MAP_ANONYMOUS)}},
		{"mmap", []seccomp.Condition{arg(3, seccomp.BitsSet, oddMappings)}},
		// signals to itself; Go stops its threads by them
		{"kill", noneOf(0, uint64(pid))},
		{"tgkill", noneOf(0, uint64(pid))},
		// names of threads and mappings; not the signal at the parent's death, nor being traced
		{"prctl", noneOf(0, unix.PR_SET_NAME, unix.PR_GET_NAME, unix.PR_SET_VMA)},
		// asking whether a descriptor is a terminal, and how much can be read
		{"ioctl", noneOf(1, unix.TCGETS, unix.TIOCGWINSZ, unix.TIOCINQ)},
		// not F_SETOWN, which has signals sent to others, and no locks: each takes memory of the kernel that no limit counts
		{"fcntl", noneOf(1, unix.F_DUPFD, unix.F_DUPFD_CLOEXEC, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL)},
		// its own limits, read only
		{"prlimit64", noneOf(0, 0, uint64(pid))},
		{"prlimit64", noneOf(2, 0)},
	}
}

// filter takes from all threads of this process every system call that computing does not need. If execs, a single
// execve by the holder of key stays possible.
func filter(pid int, execs bool, key [3]uint64) error {
	info, err := arch.GetInfo("")
	if err != nil {
		return err
	}
	names := slices.Clone(allowed)
	narrow := conditions(pid)
	if execs {
		names = append(names, "execve")
		for i, secret := range key {
			narrow = append(narrow, condition{"execve", []seccomp.Condition{
				{Argument: uint32(3 + i), Operation: seccomp.NotEqual, Value: secret}}})
		}
	}
	runtime.LockOSThread() // the privilege to load filters belongs to a thread
	defer runtime.UnlockOSThread()
	if err := seccomp.SetNoNewPrivs(); err != nil {
		return err
	}
	// A filter for each call that is narrowed, because go-seccomp-bpf 1.6.0 compares the name that follows with the
	// argument it has just loaded. The kernel runs them all and obeys the strictest. The list comes last: it
	// forbids to load filters.
	byCall := map[string][]seccomp.NameWithConditions{}
	for _, c := range narrow {
		byCall[c.call] = append(byCall[c.call], seccomp.NameWithConditions{Name: c.call, Conditions: c.when})
	}
	for call, refused := range byCall {
		if err := load(seccomp.ActionAllow, seccomp.SyscallGroup{Action: seccomp.ActionErrno, NamesWithCondtions: refused}); err != nil {
			return fmt.Errorf("%s: %w", call, err)
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { _, known := info.SyscallNames[name]; return !known })
	return load(seccomp.ActionErrno,
		seccomp.SyscallGroup{Action: noSuchCall, Names: []string{"clone3"}},
		seccomp.SyscallGroup{Action: seccomp.ActionAllow, Names: names})
}

func load(otherwise seccomp.Action, groups ...seccomp.SyscallGroup) error {
	return seccomp.LoadFilter(seccomp.Filter{
		Flag:   seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{DefaultAction: otherwise, Syscalls: groups},
	})
}
