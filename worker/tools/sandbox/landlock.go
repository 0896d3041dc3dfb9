package sandbox

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// What Landlock lets a child do with a path. Folders are never writable: that is what keeps files from being made,
// renamed and removed.
const (
	readFile  = landlock.AccessFSSet(ll.AccessFSReadFile)
	readTree  = readFile | landlock.AccessFSSet(ll.AccessFSReadDir)
	writeFile = readFile | landlock.AccessFSSet(ll.AccessFSWriteFile|ll.AccessFSTruncate)
	execFile  = readFile | landlock.AccessFSSet(ll.AccessFSExecute)
)

// public are the places that every child may read, where they exist: libraries, and the number of processors,
// which encoders ask for. Nothing in them is secret.
var public = []string{
	"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64", "/etc/ld.so.cache",
	"/sys/devices/system/cpu", "/sys/devices/system/node", "/dev/urandom",
}

// fence takes the file system, TCP, and signals and abstract sockets of others from all threads of this process,
// as far as this kernel knows how.
func (r Rules) fence() error {
	var rules []landlock.Rule
	for _, path := range public {
		rule, err := reading(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		rules = append(rules, rule)
	}
	for _, path := range r.Read {
		rule, err := reading(path)
		if err != nil {
			return err
		}
		rules = append(rules, rule)
	}
	for _, path := range append([]string{os.DevNull}, r.Write...) {
		rules = append(rules, landlock.PathAccess(writeFile, path))
	}
	for _, path := range r.Exec {
		loader, err := interpreter(path)
		if err != nil {
			return fmt.Errorf("program %s: %w", path, err)
		}
		for _, p := range append(loader, path) {
			rules = append(rules, landlock.PathAccess(execFile, p))
		}
	}
	return landlock.V11.BestEffort().Restrict(rules...)
}

func reading(path string) (landlock.Rule, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return landlock.PathAccess(readTree, path), nil
	}
	return landlock.PathAccess(readFile, path), nil
}

// interpreter returns the loader that the kernel executes in a program's stead; none for a static one.
func interpreter(path string) (loader []string, err error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			b, err := io.ReadAll(io.LimitReader(p.Open(), 4<<10))
			return []string{strings.TrimRight(string(b), "\x00")}, err
		}
	}
	return nil, nil
}
