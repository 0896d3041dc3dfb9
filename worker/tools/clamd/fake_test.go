package clamd

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeClamd speaks as much of the protocol as it takes to misbehave in ways a real clamd cannot be made to.
type fakeClamd struct {
	// version answers VERSION, given how often it was asked before.
	version func(asked int) string
	// scan is called with the connection after the whole file or stream has arrived, and how many scans were
	// asked for before. What it writes is the answer; the connection closes when it returns.
	scan func(conn net.Conn, asked int)
	// early, when set, is called instead of reading an INSTREAM body.
	early           func(conn net.Conn)
	versions, scans atomic.Int64
}

const fakeVersion = "ClamAV 9.9.9/123/Sat Nov 21 00:00:00 2026\x00"

func answer(s string) func(net.Conn, int) {
	return func(conn net.Conn, _ int) { _, _ = io.WriteString(conn, s) }
}

// serve starts the fake on both kinds of socket and returns a scanner for each.
func (f *fakeClamd) serve(t *testing.T) (unix, tcp *Scanner) {
	t.Helper()
	noLeaks(t)
	at := func(network, address, prefix string) *Scanner {
		l, err := net.Listen(network, address)
		require.NoError(t, err)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go f.talk(conn)
			}
		}()
		t.Cleanup(func() {
			_ = l.Close()
			<-done
		})
		s, err := New(Config{Address: prefix + l.Addr().String(), Timeout: time.Minute})
		require.NoError(t, err)
		return s
	}
	return at("unix", filepath.Join(t.TempDir(), "s"), "unix://"), at("tcp", "127.0.0.1:0", "tcp://")
}

func (f *fakeClamd) talk(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	first, err := r.ReadByte()
	if err != nil {
		return
	}
	end := byte(0)
	if first == 'n' {
		end = '\n'
	}
	command, err := r.ReadString(end)
	if err != nil {
		return
	}
	switch command = strings.TrimRight(command, "\x00\n"); command {
	case "VERSION":
		asked := int(f.versions.Add(1)) - 1
		reply := fakeVersion
		if f.version != nil {
			reply = f.version(asked)
		}
		_, _ = io.WriteString(conn, reply)
	case "FILDES":
		if _, err := r.ReadByte(); err == nil { // the byte that carries the descriptor
			f.scan(conn, int(f.scans.Add(1))-1)
		}
	case "INSTREAM":
		if f.early != nil {
			f.early(conn)
			return
		}
		if readStream(r) == nil {
			f.scan(conn, int(f.scans.Add(1))-1)
		}
	}
}

// readStream reads the chunks of an INSTREAM up to the closing empty one.
func readStream(r io.Reader) error {
	for {
		var size uint32
		if err := binary.Read(r, binary.BigEndian, &size); err != nil {
			return err
		}
		if size == 0 {
			return nil
		}
		if _, err := io.CopyN(io.Discard, r, int64(size)); err != nil {
			return err
		}
	}
}

// noLeaks fails the test when a goroutine of this package or of go-clamd outlives it.
func noLeaks(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		var left string
		for range 500 { // up to ten seconds for those that are on their way out
			if left = strayGoroutine(t); left == "" {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		require.Empty(t, left, "goroutines were left behind")
	})
}

// strayGoroutine is the stack of one goroutine that is neither a test nor the fake, or "".
func strayGoroutine(t *testing.T) string {
	var all strings.Builder
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&all, 2))
	for stack := range strings.SplitSeq(all.String(), "\n\n") {
		ours := strings.Contains(stack, "go-clamd") || strings.Contains(stack, "worker/tools/clamd.")
		if ours && !strings.Contains(stack, "testing.tRunner") && !strings.Contains(stack, "fakeClamd") {
			return stack
		}
	}
	return ""
}
