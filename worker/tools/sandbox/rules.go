package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// ChildCommand is the hidden first argument under which the program is its own child: main hands what follows it
// to Main.
const ChildCommand = "sandbox-child"

// Defaults of Limits.
const (
	defaultFiles   = 64
	defaultThreads = 256
	// minMemory is what the child needs to build its walls: Go's heap, and stacks of 8 MB for a dozen threads.
	minMemory = 192 << 20
)

// Limits bound one child.
type Limits struct {
	// CPU is processor time, all threads together; whole seconds, rounded up.
	CPU time.Duration
	// MemoryBytes bounds what the child may write to in memory, thread stacks and Go's heap included; at
	// least 192 MiB, because the sandbox itself needs it.
	MemoryBytes int64
	// FileBytes bounds the size of each file it writes, an *os.File as its Stdout included; 0 means that it writes no
	// file (pipes are free).
	FileBytes int64
	// Files is how many descriptors may be open; 0 means 64.
	Files int
	// Threads is how many threads it may have; 0 means 256.
	Threads int
}

// Rules are what one child may do. All paths are absolute.
type Rules struct {
	Limits Limits
	// Read are files that may be read, and folders beneath which everything may be. The system's library folders
	// may always be read.
	Read []string
	// Write are existing files that may be read, written and truncated. Nothing can be created, removed or renamed.
	Write []string
	// Exec are programs that may be executed: Program.Name and nothing else in the ordinary case. Only the sandbox
	// itself executes, once; the program cannot.
	Exec []string
	// Nice is added to the child's niceness.
	Nice int
	// Require refuses to run where the kernel lacks Landlock or seccomp; without it the child runs with the walls
	// there are (Support says which).
	Require bool
}

// Program is what runs in the child.
type Program struct {
	// Name is that of a function given to Main, or the absolute path of a program.
	Name string
	// Args follow the name.
	Args []string
	// Env is the whole environment.
	Env []string
	// Dir is the working folder; "" means /.
	Dir string
	// Stdin and Stdout may be nil for none. A Stdout that fails does not end the child.
	Stdin  io.Reader
	Stdout io.Writer
	// Files are the child's descriptors 3 and up. They stay the caller's to close.
	Files []*os.File
}

// orders is what the parent tells the child in its argument.
type orders struct {
	Rules
	// Report is the descriptor on which the child says that it is ready, or why it is not.
	Report int
}

// check completes the limits and refuses what cannot be meant.
func (r Rules) check(p Program) (Rules, error) {
	l := &r.Limits
	if l.Files == 0 {
		l.Files = defaultFiles
	}
	if l.Threads == 0 {
		l.Threads = defaultThreads
	}
	if l.CPU <= 0 || l.MemoryBytes < minMemory || l.FileBytes < 0 || l.Files < 0 || l.Threads < 0 {
		return r, fmt.Errorf("impossible limits %+v", *l)
	}
	if p.Name == "" {
		return r, errors.New("no program")
	}
	for _, paths := range [][]string{r.Read, r.Write, r.Exec} {
		for _, path := range paths {
			if !filepath.IsAbs(path) {
				return r, fmt.Errorf("path %q is not absolute", path)
			}
		}
	}
	return r, nil
}

func (o orders) encode() (string, error) {
	b, err := json.Marshal(o)
	return string(b), err
}
