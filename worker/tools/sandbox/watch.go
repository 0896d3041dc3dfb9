package sandbox

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"time"
)

// lookEvery is how often the parent looks at a child. A hostile one can start a few thousand threads in that time.
const lookEvery = 50 * time.Millisecond

// What the parent kills a child for, because no resource limit holds it: RLIMIT_NPROC counts all processes of a user
// and means nothing to root, and RLIMIT_DATA does not count memory that was written and then made read-only.
var (
	errThreads = errors.New("too many threads")
	errMemory  = errors.New("too much memory")
)

// watch looks at a process until ended is closed, or it takes too much: then it calls kill.
func watch(pid int, l Limits, ended <-chan struct{}, kill func(error)) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		threads, memory := usage(pid)
		switch {
		case threads > int64(l.Threads):
			kill(errThreads)
			return
		case memory > l.MemoryBytes:
			kill(errMemory)
			return
		}
	}
}

// usage is the number of a process's threads and its memory that no file backs, in bytes; zeros if it is gone.
func usage(pid int) (threads, memory int64) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(status)) {
		name, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			continue
		}
		n, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			continue
		}
		switch name {
		case "Threads":
			threads = n
		case "RssAnon", "RssShmem":
			memory += n << 10
		}
	}
	return threads, memory
}
