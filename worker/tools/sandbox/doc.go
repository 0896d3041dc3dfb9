// Package sandbox runs what reads foreign bytes in a child process that can do no harm.
//
//	child, err := sandbox.Start(ctx, sandbox.Rules{
//		Limits: sandbox.Limits{CPU: time.Minute, MemoryBytes: 1 << 30, FileBytes: 100 << 20},
//		Read:   []string{in}, Write: []string{out}, Exec: []string{"/usr/bin/ffmpeg"},
//	}, sandbox.Program{Name: "/usr/bin/ffmpeg", Args: args})
//	err = child.Wait()
//
// # The threat
//
// A picture or a clip takes over the decoder that reads it: whoever uploaded it now runs code of their choice, as
// the worker's user (often root), with an hour to spend. They want other tenants' files and the worker's
// credentials, a way into the network, or just to bring the machine down. Or a harmless file makes a decoder hang,
// crash or eat all memory.
//
// # The walls
//
// Start (start.go) starts this very program again under ChildCommand; main hands over to Main (main.go). Main
// applies the rules to its own process and then calls a function (libvips, linked into the program) or becomes
// another program (ffmpeg). Nothing needs root, a namespace or a helper that is set-uid. What a child could do, and
// what it meets:
//
//   - Inherit: the environment is the caller's list, descriptors are the caller's files and nothing else.
//   - Read files: Landlock (landlock.go) shows it the files of the rules, the library folders (/lib, /usr/lib and
//     /usr/local/lib, with and without 64) and the loader's /etc/ld.so.cache, what the machine's processors are
//     (/sys/devices/system/cpu and node), /dev/urandom and /dev/null, which it may also write. Rules.Exec and
//     their loaders can be read too. /proc is closed, so are its parent's environment and memory.
//   - Change files: only the content of the files in Rules.Write, which the parent has made. Nothing can be
//     created, removed or renamed (Landlock), no owner, mode or attribute changed (seccomp).
//   - Fill the disk: each file ends at FileBytes (RLIMIT_FSIZE), and blocks cannot be reserved beyond an end.
//   - Reach the network: there is no system call that makes a socket (filter.go). Landlock refuses TCP again.
//   - Start processes: clone makes threads only. execve works once, for Main: the filter asks for a random key in
//     arguments that execve does not have, and the key is gone with the memory of Main. Landlock lets it execute
//     Rules.Exec only.
//   - Bomb with threads: stacks count as memory, and the parent looks (watch.go) every 50 ms: a C program starts a
//     thousand threads in that time. RLIMIT_NPROC would count all processes of the user, and does not bind root.
//   - Eat memory: RLIMIT_DATA counts private memory. What it does not count is refused (shared anonymous memory,
//     memfd, System V, stacks that grow, huge pages) or seen by the parent (memory made read-only after it was
//     written); RLIMIT_AS is the last bound. If the machine runs out of memory, children go first.
//   - Burn processor time: RLIMIT_CPU, for all threads together, and Rules.Nice.
//   - Hang: the end of the context kills the process group. A killed worker's children die with it.
//   - Harm its neighbours: no signal but to itself, no tracing, no powers of root, no new privileges.
//   - Attack the kernel: some 110 system calls are left of 360; io_uring, bpf, keys, namespaces, mounts,
//     userfaultfd, perf and all of the 32-bit ones are not among them.
//
// Landlock and seccomp hold for all threads: Go has several before Main runs.
//
// # What is not held
//
//   - A hole in the kernel behind the calls that are left.
//   - Names, sizes and times of files anywhere can be asked for (stat), if not what is in them.
//   - Descriptors in Program.Files are not subject to Landlock: what they allow, the child may do, and over a
//     socket it may send descriptors and lies. The parent must not believe what comes out. Hand over sockets
//     connected at both ends, as SOCK_STREAM or SOCK_SEQPACKET.
//   - The sum of all children's memory and disk: each has its own limits; the caller bounds how many there are.
//   - Timing: children of the same machine can measure each other.
//   - On kernels without Landlock (before 5.13, or switched off) the child reads what its user may read, and with
//     interface version 2 and below (before 6.2) ftruncate needs no right of its own. Rules.Require refuses kernels
//     without either wall; Support tells for the log.
//
// # How a child ended
//
// Wait returns nil or an *Ended with its Cause. Permanent causes are the file's doing; CauseSetup never is: the
// child reports over a pipe that is closed before foreign bytes are read, so that no exit code can fake it. Nor is a
// request to end from outside (SIGTERM, SIGINT, SIGHUP: a service is stopped by its control group): programs end of it
// with CauseCancelled, functions ignore it, because the worker may have its jobs run on.
//
// # What it costs
//
// Walls take 3 to 5 ms on two busy cores. A program that links libvips takes 100 ms of processor to start, half of it for libvips'
// modules: children that use libvips should do many pictures each; others skip the modules (launching, start.go).
package sandbox
