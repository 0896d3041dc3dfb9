package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// target is what the attempts are aimed at.
type target struct {
	Parent, Secret               int // the parent's process, and a descriptor of it that reads the secret
	SecretFile, Folder           string
	Input, Output                string // a file that may be read, and one that may be written
	TCP, TCP6, UDP, Unix, Beside string
	Abstract                     string
}

// attempts must fail, each on every thread. They return nil for a breach.
var attempts = map[string]func(target) error{
	// reading
	"read /etc/passwd": func(target) error { return read("/etc/passwd") },
	"read the secret":  func(t target) error { return read(t.SecretFile) },
	"read beside the folder": func(t target) error {
		way, err := filepath.Rel(t.Folder, t.SecretFile)
		if err != nil {
			panic(err)
		}
		return read(way)
	},
	"list the folder":       func(t target) error { _, err := os.ReadDir(t.Folder); return err },
	"list /":                func(target) error { _, err := os.ReadDir("/"); return err },
	"read through root":     func(t target) error { return read("/proc/self/root" + t.SecretFile) },
	"read parent's root":    func(t target) error { return read(proc(t, "root"+t.SecretFile)) },
	"read parent's file":    func(t target) error { return read(proc(t, "fd/"+strconv.Itoa(t.Secret))) },
	"read parent's environ": func(t target) error { return read(proc(t, "environ")) },
	"read parent's memory":  func(t target) error { return read(proc(t, "mem")) },
	"read parent's maps":    func(t target) error { return read(proc(t, "maps")) },
	"read own environ":      func(target) error { return read("/proc/self/environ") },
	"read own command":      func(target) error { return read("/proc/self/cmdline") },
	"openat2": func(t target) error {
		_, err := unix.Openat2(unix.AT_FDCWD, t.SecretFile, &unix.OpenHow{Flags: unix.O_RDONLY})
		return err
	},
	"process_vm_readv": func(t target) error {
		b := make([]byte, 8)
		local := []unix.Iovec{{Base: &b[0], Len: 8}}
		_, err := unix.ProcessVMReadv(t.Parent, local, []unix.RemoteIovec{{Base: 0x400000, Len: 8}}, 0)
		return err
	},
	"ptrace":     func(t target) error { return unix.PtraceAttach(t.Parent) },
	"pidfd_open": func(t target) error { _, err := unix.PidfdOpen(t.Parent, 0); return err },

	// network
	"tcp":        func(t target) error { return dial("tcp", t.TCP) },
	"tcp6":       func(t target) error { return dial("tcp", t.TCP6) },
	"udp":        func(t target) error { return dial("udp", t.UDP) },
	"unix":       func(t target) error { return dial("unix", t.Unix) },
	"abstract":   func(t target) error { return dial("unix", t.Abstract) },
	"listen":     func(target) error { _, err := net.Listen("tcp", "127.0.0.1:0"); return err },
	"raw":        socket(unix.AF_INET, unix.SOCK_RAW),
	"netlink":    socket(unix.AF_NETLINK, unix.SOCK_RAW),
	"packet":     socket(unix.AF_PACKET, unix.SOCK_RAW),
	"vsock":      socket(unix.AF_VSOCK, unix.SOCK_STREAM),
	"crypto":     socket(unix.AF_ALG, unix.SOCK_SEQPACKET),
	"mptcp":      call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP),
	"x32 socket": call(0x40000000|unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM),
	"socketpair": func(target) error { _, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0); return err },
	"io_uring":   call(unix.SYS_IO_URING_SETUP, 8),

	// processes; their calls would fail or do nothing if they were let through, but with another error
	"fork":              fork(named("fork")),
	"vfork":             fork(named("vfork")),
	"clone":             fork(unix.SYS_CLONE, uintptr(unix.SIGCHLD)),
	"clone namespaces":  fork(unix.SYS_CLONE, uintptr(unix.SIGCHLD|unix.CLONE_NEWUSER)),
	"clone upper bits":  fork(unix.SYS_CLONE, 1<<40|uintptr(unix.SIGCHLD)),
	"clone3":            call(unix.SYS_CLONE3),
	"execve":            func(target) error { return unix.Exec("/usr/bin/true", []string{"true"}, nil) },
	"execve a key":      func(target) error { return execute("/usr/bin/true", nil, [3]uint64{1, 2, 3}) },
	"execveat":          call(unix.SYS_EXECVEAT),
	"unshare":           call(unix.SYS_UNSHARE, unix.CLONE_NEWUSER),
	"setns":             call(unix.SYS_SETNS),
	"mount":             call(unix.SYS_MOUNT),
	"umount2":           call(unix.SYS_UMOUNT2),
	"fsopen":            call(unix.SYS_FSOPEN),
	"chroot":            call(unix.SYS_CHROOT),
	"pivot_root":        call(unix.SYS_PIVOT_ROOT),
	"personality":       call(unix.SYS_PERSONALITY),
	"bpf":               call(unix.SYS_BPF),
	"userfaultfd":       call(unix.SYS_USERFAULTFD),
	"perf_event_open":   call(unix.SYS_PERF_EVENT_OPEN),
	"keyctl":            call(unix.SYS_KEYCTL),
	"add_key":           call(unix.SYS_ADD_KEY),
	"init_module":       call(unix.SYS_INIT_MODULE),
	"seccomp":           call(unix.SYS_SECCOMP),
	"setuid":            call(unix.SYS_SETUID),
	"capset":            call(unix.SYS_CAPSET),
	"setpgid":           call(unix.SYS_SETPGID),
	"setsid":            call(unix.SYS_SETSID),
	"sched_setaffinity": call(unix.SYS_SCHED_SETAFFINITY),
	"setpriority":       call(unix.SYS_SETPRIORITY),
	"setrlimit":         call(unix.SYS_SETRLIMIT),
	"prlimit self":      func(target) error { return unix.Prlimit(0, unix.RLIMIT_CPU, &unix.Rlimit{Cur: 1, Max: 1}, nil) },
	"prlimit parent":    func(t target) error { return unix.Prlimit(t.Parent, unix.RLIMIT_CPU, nil, &unix.Rlimit{}) },
	"be traced":         func(target) error { return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) },
	"outlive":           func(target) error { return unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0) },

	// signals
	"kill parent":       func(t target) error { return unix.Kill(t.Parent, 0) },
	"kill upper bits":   func(t target) error { return call(unix.SYS_KILL, 9<<32|uintptr(t.Parent))(t) },
	"kill all":          func(target) error { return unix.Kill(-1, 0) },
	"kill group":        func(target) error { return unix.Kill(0, 0) },
	"tgkill parent":     func(t target) error { return unix.Tgkill(t.Parent, t.Parent, 0) },
	"tkill":             func(t target) error { return call(unix.SYS_TKILL, uintptr(t.Parent))(t) },
	"sigqueue":          func(t target) error { return call(unix.SYS_RT_SIGQUEUEINFO, uintptr(t.Parent))(t) },
	"pidfd_send_signal": call(unix.SYS_PIDFD_SEND_SIGNAL),
	"own a file": func(t target) error {
		_, err := unix.FcntlInt(0, unix.F_SETOWN, t.Parent)
		return err
	},

	// memory that RLIMIT_DATA does not count
	"memfd":           func(target) error { _, err := unix.MemfdCreate("x", 0); return err },
	"memfd_secret":    call(unix.SYS_MEMFD_SECRET),
	"shmget":          call(unix.SYS_SHMGET, unix.IPC_PRIVATE, 4096, 0o600),
	"shared memory":   mmap(unix.MAP_SHARED | unix.MAP_ANONYMOUS),
	"validated":       mmap(unix.MAP_SHARED_VALIDATE | unix.MAP_ANONYMOUS),
	"growing stack":   mmap(unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_GROWSDOWN),
	"huge pages":      mmap(unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_HUGETLB),
	"shared /dev":     func(target) error { return write("/dev/zero") },
	"/dev/shm":        func(target) error { return create("/dev/shm/gatehouse-breach") },
	"big locked pipe": func(target) error { _, err := unix.FcntlInt(0, unix.F_SETPIPE_SZ, 1<<20); return err },

	// memory of the kernel
	"lock":                 lock(unix.F_SETLK),
	"lock and wait":        lock(unix.F_SETLKW),
	"look for locks":       lock(unix.F_GETLK),
	"lock a description":   lock(unix.F_OFD_SETLK),
	"lock it and wait":     lock(unix.F_OFD_SETLKW),
	"look for locks on it": lock(unix.F_OFD_GETLK),
	"flock":                func(target) error { return unix.Flock(0, unix.LOCK_SH) },
	"lease":                func(target) error { _, err := unix.FcntlInt(0, unix.F_SETLEASE, unix.F_RDLCK); return err },

	// changing files
	"create":         func(t target) error { return create(filepath.Join(t.Folder, "new")) },
	"create in /tmp": func(target) error { return create("/tmp/gatehouse-breach") },
	"create in dir":  func(t target) error { return create(filepath.Join(filepath.Dir(t.SecretFile), "new")) },
	"tmpfile":        func(t target) error { _, err := unix.Open(t.Folder, unix.O_TMPFILE|unix.O_RDWR, 0o600); return err },
	"mkdir":          func(t target) error { return os.Mkdir(filepath.Join(t.Folder, "d"), 0o700) },
	"mknod":          func(t target) error { return unix.Mknod(filepath.Join(t.Folder, "n"), unix.S_IFIFO|0o600, 0) },
	"symlink":        func(t target) error { return os.Symlink(t.SecretFile, filepath.Join(t.Folder, "s")) },
	"link":           func(t target) error { return os.Link(t.Output, filepath.Join(t.Folder, "l")) },
	"rename":         func(t target) error { return os.Rename(t.Output, t.Output+"2") },
	"rename over":    func(t target) error { return os.Rename(t.Output, t.Input) },
	"unlink output":  func(t target) error { return unix.Unlink(t.Output) },
	"unlink secret":  func(t target) error { return unix.Unlink(t.SecretFile) },
	"rmdir":          func(t target) error { return unix.Rmdir(t.Folder) },
	"write input":    func(t target) error { return write(t.Input) },
	"write secret":   func(t target) error { return write(t.SecretFile) },
	"truncate":       func(t target) error { return os.Truncate(t.SecretFile, 0) },
	"truncate input": func(t target) error { return os.Truncate(t.Input, 0) },
	"chmod output":   func(t target) error { return os.Chmod(t.Output, 0o777) },
	"chmod secret":   func(t target) error { return os.Chmod(t.SecretFile, 0o777) },
	"fchmod":         func(target) error { return unix.Fchmod(1, 0o777) },
	"chown":          func(t target) error { return os.Chown(t.Output, 1, 1) },
	"utimes":         func(t target) error { return unix.Utime(t.Output, nil) },
	"xattr":          func(t target) error { return unix.Setxattr(t.Output, "user.x", []byte("x"), 0) },
	"fallocate": func(t target) error {
		f, err := os.OpenFile(t.Output, os.O_RDWR, 0)
		if err != nil {
			panic(err)
		}
		defer f.Close()
		return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, 1<<30)
	},
	"inotify":  func(target) error { _, err := unix.InotifyInit1(0); return err },
	"fanotify": call(unix.SYS_FANOTIFY_INIT),
	"chdir":    func(target) error { return unix.Chdir("/tmp") },
}

func proc(t target, name string) string { return "/proc/" + strconv.Itoa(t.Parent) + "/" + name }

func read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Read(make([]byte, 1))
	if errors.Is(err, unix.EIO) || errors.Is(err, io.EOF) {
		return nil // it was opened
	}
	return err
}

func write(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		f.Close()
	}
	return err
}

func create(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err == nil {
		f.Close()
	}
	return err
}

func dial(network, address string) error {
	c, err := net.Dial(network, address)
	if err == nil {
		c.Close()
	}
	return err
}

func socket(family, kind int) func(target) error {
	return func(target) error { _, err := unix.Socket(family, kind, 0); return err }
}

// call makes a system call without useful arguments: if the filter let it through, the kernel would complain of
// those, or nobody would be hurt.
func call(number uintptr, args ...uintptr) func(target) error {
	return func(target) error {
		var a [6]uintptr
		copy(a[:], args)
		if _, _, errno := unix.RawSyscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
			return errno
		}
		return nil
	}
}

// named is the number of a call that not every architecture has: arm64 forks by clone alone.
func named(call string) uintptr {
	info, err := arch.GetInfo("")
	if err != nil {
		panic(err)
	}
	if number, ok := info.SyscallNames[call]; ok {
		return uintptr(number)
	}
	return noSuchNumber
}

// noSuchNumber is no system call of any architecture.
const noSuchNumber = 1 << 20

func fork(number uintptr, args ...uintptr) func(target) error {
	return func(t target) error {
		before := unix.Getpid()
		err := call(number, args...)(t)
		if unix.Getpid() != before {
			unix.Exit(0)
		}
		return err
	}
}

func mmap(flags uintptr) func(target) error {
	return func(t target) error {
		return call(unix.SYS_MMAP, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, flags, ^uintptr(0))(t)
	}
}

// lock tries it on a file that may be read.
func lock(command int) func(target) error {
	return func(t target) error {
		f, err := os.Open(t.Input)
		if err != nil {
			panic(err)
		}
		defer f.Close()
		return unix.FcntlFlock(f.Fd(), command, &unix.Flock_t{Type: unix.F_RDLCK, Len: 1})
	}
}

// refused are the errors of walls. Others would mean that the kernel went further than the wall.
func refused(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOSYS)
}

// attempt is the deed: it tells what came of one attempt on each of its threads.
func attempt(args []string) int {
	var t target
	if err := json.Unmarshal([]byte(args[1]), &t); err != nil {
		panic(err)
	}
	breaches := []string{}
	tries := 0
	bystanders.everywhere(func() {
		tries++
		if err := attempts[args[0]](t); !refused(err) {
			breaches = append(breaches, fmt.Sprintf("thread %d: %v", unix.Gettid(), err))
		}
	})
	if tries != len(bystanders)+2 {
		panic(tries)
	}
	return output(breaches)
}

func TestAttemptsFail(t *testing.T) {
	aim, secret := newTarget(t)
	r := plenty()
	r.Read, r.Write = []string{aim.Input}, []string{aim.Output}
	arg, err := json.Marshal(aim)
	require.NoError(t, err)
	before, err := os.ReadDir(aim.Folder)
	require.NoError(t, err)
	for name := range attempts {
		t.Run(name, func(t *testing.T) {
			require.Empty(t, told[[]string](t, r, Program{Name: "attempt", Args: []string{name, string(arg)}, Dir: aim.Folder}))
		})
	}
	b, err := os.ReadFile(secret)
	require.NoError(t, err)
	require.Equal(t, "top secret", string(b))
	after, err := os.ReadDir(aim.Folder)
	require.NoError(t, err)
	require.Equal(t, len(before), len(after))
}

// newTarget plants what the attempts are after. Without the sandbox all of it can be had: the parent tries.
func newTarget(t *testing.T) (target, string) {
	folder, outside := newFolder(t), t.TempDir()
	secret := filepath.Join(outside, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("top secret"), 0o600))
	held, err := os.Open(secret)
	require.NoError(t, err)
	t.Cleanup(func() { held.Close() })
	in, err := folder.Create("in")
	require.NoError(t, err)
	out, err := folder.Create("out")
	require.NoError(t, err)
	t.Cleanup(func() { in.Close(); out.Close() })
	aim := target{Parent: os.Getpid(), Secret: int(held.Fd()), SecretFile: secret, Folder: folder.Path, Input: in.Name(), Output: out.Name()}
	listen := func(network, address string) string {
		l, err := net.Listen(network, address)
		require.NoError(t, err)
		t.Cleanup(func() { l.Close() })
		return l.Addr().String()
	}
	aim.TCP, aim.TCP6 = listen("tcp", "127.0.0.1:0"), listen("tcp", "[::1]:0")
	aim.Unix, aim.Abstract = listen("unix", filepath.Join(outside, "socket")), listen("unix", "@gatehouse-"+strconv.Itoa(os.Getpid()))
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { u.Close() })
	aim.UDP = u.LocalAddr().String()
	for _, possible := range []string{"read the secret", "read parent's environ", "tcp", "tcp6", "udp", "unix", "abstract", "memfd", "kill parent",
		"lock", "look for locks", "lock a description"} {
		require.NoError(t, attempts[possible](aim), possible)
	}
	return aim, secret
}

// What the rules allow works on every thread.
func allowedDeed(args []string) int {
	var failures []string
	bystanders.everywhere(func() {
		for _, err := range []error{
			read(args[0]),
			os.WriteFile(args[1], []byte("made"), 0o600), // opens with O_CREATE and O_TRUNC
			read("/usr/lib/os-release"),
			write("/dev/null"),
		} {
			if err != nil {
				failures = append(failures, err.Error())
			}
		}
	})
	return output(failures)
}

func TestAllowedWorks(t *testing.T) {
	folder := newFolder(t)
	var paths []string
	for _, name := range []string{"in", "out"} {
		f, err := folder.Create(name)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		paths = append(paths, f.Name())
	}
	r := plenty()
	r.Read, r.Write = paths[:1], paths[1:]
	require.Empty(t, told[[]string](t, r, Program{Name: "allowed", Args: paths}))
	b, err := os.ReadFile(paths[1])
	require.NoError(t, err)
	require.Equal(t, "made", string(b))
}
