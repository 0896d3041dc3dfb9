package clamd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// look is what one pass over the bytes brought.
type look struct {
	finding
	bytes  int64
	digest string
}

// lookAtFile has clamd scan the whole of f by its descriptor, and hashes the same bytes meanwhile. f keeps its
// position, and is not used any more when lookAtFile returns.
func (s *Scanner) lookAtFile(ctx context.Context, f *os.File, size int64) (look, error) {
	before, err := f.Stat()
	if err != nil {
		return look{}, fmt.Errorf("look at the file to scan: %w", err)
	}
	if before.Size() != size {
		return look{}, fmt.Errorf("%w: the file has %d, declared %d", errSize, before.Size(), size)
	}
	hashing, stopHashing := context.WithCancel(ctx)
	defer stopHashing()
	m := newMeter(hashing, io.NewSectionReader(f, 0, size), size)
	hashed := make(chan struct{})
	go func() {
		defer close(hashed)
		readAll(m)
	}()

	answer, err := s.passFile(ctx, f)
	if err != nil {
		stopHashing()
	}
	<-hashed
	if err != nil {
		return look{}, err
	}
	if err := m.complete(); err != nil {
		return look{}, fmt.Errorf("hash the scanned file: %w", err)
	}
	after, err := f.Stat()
	if err != nil {
		return look{}, fmt.Errorf("look at the scanned file: %w", err)
	}
	if after.Size() != size || !after.ModTime().Equal(before.ModTime()) {
		return look{}, errors.New("the file changed while it was scanned")
	}
	found, err := parseReply(answer, fildesSubject)
	return look{found, m.n, m.digest()}, err
}

// readAll reads to the end or to the first failure; m knows which it was.
func readAll(m *meter) {
	buf := make([]byte, min(m.size+1, copyBuffer))
	for {
		if _, err := m.Read(buf); err != nil {
			return
		}
	}
}

// passFile sends the FILDES command and the descriptor, and returns clamd's answer.
func (s *Scanner) passFile(ctx context.Context, f *os.File) (string, error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return "", err
	}
	defer conn.end()
	socket, ok := conn.Conn.(*net.UnixConn)
	if !ok {
		return "", fmt.Errorf("FILDES needs a Unix socket, not %T", conn.Conn)
	}
	if _, err := socket.Write([]byte("zFILDES\x00")); err != nil {
		return "", conn.fail("send FILDES", err)
	}
	if err := sendDescriptor(socket, f); err != nil {
		return "", conn.fail("pass the descriptor", err)
	}
	return conn.reply()
}

// sendDescriptor sends f's descriptor along with the one byte that clamd expects as its carrier.
func sendDescriptor(socket *net.UnixConn, f *os.File) error {
	// Fd() would switch f to blocking mode for good; Control only borrows the descriptor.
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Control(func(fd uintptr) {
		_, _, sent = socket.WriteMsgUnix([]byte{0}, unix.UnixRights(int(fd)), nil)
	})
	return errors.Join(err, sent)
}
