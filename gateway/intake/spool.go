package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"gatehouse/storage"
)

// Spool holds the bytes of an upload while it is checked: in memory up to MemoryBytes, beyond that in a file
// that has no name, so that a crash leaves nothing.
type Spool struct {
	// Dir is where the files are; it must exist.
	Dir         string
	MemoryBytes int64
}

// Spooled is a whole upload, readable at any offset. Its owner closes it.
type Spooled struct {
	memory *bytes.Reader
	file   *os.File
	size   int64
}

// errOverLimit says that the body goes on behind the limit.
var errOverLimit = errors.New("the body is larger than the limit")

// copyBuffers are what bytes go through on their way into a file.
var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// Fill reads head and then r to the end, at most limit bytes in all. declared (-1: unknown) only decides where
// the bytes go first.
func (s Spool) Fill(head []byte, r io.Reader, declared, limit int64) (*Spooled, error) {
	if declared > s.MemoryBytes {
		return s.fillFile(head, r, limit)
	}
	size := declared
	if size < 0 {
		size = min(s.MemoryBytes, 64<<10)
	}
	buf := bytes.NewBuffer(make([]byte, 0, max(size, int64(len(head)))+bytes.MinRead))
	buf.Write(head)
	room := min(s.MemoryBytes, limit) - int64(len(head))
	if _, err := io.Copy(buf, io.LimitReader(r, room+1)); err != nil {
		return nil, err
	}
	switch n := int64(buf.Len()); {
	case n <= min(s.MemoryBytes, limit):
		return &Spooled{memory: bytes.NewReader(buf.Bytes()), size: n}, nil
	case n > limit:
		return nil, errOverLimit
	}
	return s.fillFile(buf.Bytes(), r, limit)
}

func (s Spool) fillFile(start []byte, r io.Reader, limit int64) (_ *Spooled, err error) {
	f, err := s.nameless()
	if err != nil {
		return nil, noSpace(fmt.Errorf("open spool file: %w", err))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if _, err := f.Write(start); err != nil {
		return nil, noSpace(fmt.Errorf("write spool file: %w", err))
	}
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	n, err := copyCapped(f, r, *buf, limit-int64(len(start)))
	if err != nil {
		return nil, err
	}
	return &Spooled{file: f, size: int64(len(start)) + n}, nil
}

// nameless opens a file that no crash can leave behind. File systems that know no O_TMPFILE (overlayfs before Linux
// 6.3) get a name that is taken away at once.
func (s Spool) nameless() (*os.File, error) {
	f, err := os.OpenFile(s.Dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err == nil || errors.Is(err, syscall.ENOSPC) {
		return f, err
	}
	if f, err = os.CreateTemp(s.Dir, "upload-*"); err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// copyCapped copies at most limit bytes; it tells trouble of our disk from trouble of the sender.
func copyCapped(w io.Writer, r io.Reader, buf []byte, limit int64) (int64, error) {
	var total int64
	for {
		n, rerr := r.Read(buf)
		total += int64(n)
		if total > limit {
			return total, errOverLimit
		}
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return total, noSpace(fmt.Errorf("write spool file: %w", err))
			}
		}
		if errors.Is(rerr, io.EOF) {
			return total, nil
		}
		if rerr != nil {
			return total, rerr
		}
	}
}

// noSpace makes a full disk an UNAVAILABLE: the client may try again, the operator must act.
func noSpace(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return storage.Refuse(storage.CodeUnavailable, nil).Because(reasonSpoolShort).CausedBy(err)
	}
	return err
}

// Size is the number of bytes.
func (s *Spooled) Size() int64 { return s.size }

// ReadAt reads as io.ReaderAt.
func (s *Spooled) ReadAt(p []byte, off int64) (int, error) {
	if s.file != nil {
		return s.file.ReadAt(p, off)
	}
	return s.memory.ReadAt(p, off)
}

// Reader reads all bytes from the start; it can seek, so that a store may try again.
func (s *Spooled) Reader() io.ReadSeeker { return io.NewSectionReader(s, 0, s.size) }

// Close frees the bytes.
func (s *Spooled) Close() {
	if s.file != nil {
		// The file has no name and was only read since: there is nothing a failing close could lose.
		_ = s.file.Close()
	}
	s.memory, s.file = nil, nil
}
