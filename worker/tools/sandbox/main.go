package sandbox

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// exitSetup ends a child whose walls could not be built. The parent believes the report, not the code.
const exitSetup = 70

// Main is the main function of the child; args are what follows ChildCommand, and inside are the functions that a
// program's name may mean. It builds the walls around this process and then runs the program. It returns the exit
// code.
func Main(args []string, inside map[string]func(args []string) int) int {
	if len(args) < 2 {
		fmt.Fprintln(os.Stderr, "sandbox: want rules and a program")
		return exitSetup
	}
	var o orders
	if err := json.Unmarshal([]byte(args[0]), &o); err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		return exitSetup
	}
	unix.CloseOnExec(o.Report)
	name, args := args[1], args[2:]
	function := inside[name]
	if function != nil {
		// Who stops a service asks all of its processes to end. The worker first ends its jobs, and needs this child for
		// them; when the worker goes, the child is killed. Programs have handlers of their own.
		signal.Ignore(requests...)
	}
	if function == nil && !slices.Contains(o.Exec, name) {
		return o.fail(fmt.Errorf("no program %s", name))
	}
	key, err := newKey()
	if err != nil {
		return o.fail(err)
	}
	if err := o.build(function == nil, key); err != nil {
		return o.fail(err)
	}
	if err := o.say(ready); err != nil {
		return o.fail(err)
	}
	if function == nil {
		return o.fail(execute(name, args, key))
	}
	if err := unix.Close(o.Report); err != nil {
		return o.fail(err)
	}
	return function(args)
}

// build applies the rules to this process, from the mildest to the one that forbids to go on building.
func (o orders) build(execs bool, key [3]uint64) error {
	walls := Support()
	if o.Require && !walls.Complete() {
		return fmt.Errorf("%w: %s", errWalls, walls)
	}
	for _, step := range []func() error{
		o.yield,
		o.Limits.apply,
		dropCapabilities,
		o.fence,
		// Neighbours of the same user may not trace this process, and its memory is not theirs to read.
		func() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if !walls.Seccomp {
		return nil
	}
	return filter(os.Getpid(), execs, key)
}

func (o orders) fail(err error) int {
	if said := o.say(err.Error()); said != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err, said)
	}
	return exitSetup
}

// say reports to the parent.
func (o orders) say(text string) error {
	n, err := unix.Write(o.Report, []byte(text))
	if err == nil && n < len(text) {
		return io.ErrShortWrite
	}
	return err
}

// execute becomes the program; it returns only if that fails. A filter cannot read the name of a program, but it
// sees the arguments that execve does not have: the key in them is known to nobody after this call.
func execute(name string, args []string, key [3]uint64) error {
	path, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	argv, err := syscall.SlicePtrFromStrings(append([]string{name}, args...))
	if err != nil {
		return err
	}
	given := slices.DeleteFunc(os.Environ(), func(s string) bool { return slices.Contains(launching, s) })
	env, err := syscall.SlicePtrFromStrings(given)
	if err != nil {
		return err
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&argv[0])),
		uintptr(unsafe.Pointer(&env[0])), uintptr(key[0]), uintptr(key[1]), uintptr(key[2]))
	runtime.KeepAlive(argv)
	runtime.KeepAlive(env)
	return fmt.Errorf("execute %s: %w", name, errno)
}

func newKey() (key [3]uint64, err error) {
	return key, binary.Read(rand.Reader, binary.NativeEndian, key[:])
}
