package clamd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// errSize means that the reader held more or fewer bytes than were declared: whatever was scanned is not
// the file that was meant.
var errSize = errors.New("the bytes are not as many as declared")

// meter passes a reader's bytes on, counts and hashes them, and remembers how it ended. The reader must hold
// exactly size bytes.
type meter struct {
	r    io.Reader
	size int64
	n    int64
	sum  hash.Hash
	// cancelled is nil while the scan may go on, then why not.
	cancelled func() error
	// err is nil while reading and io.EOF after a complete read; anything else spoils the scan.
	err error
	// ended is set by a complete read only. An error that merely wraps io.EOF ends nothing.
	ended bool
}

func newMeter(ctx context.Context, r io.Reader, size int64) *meter {
	return &meter{cancelled: func() error { return context.Cause(ctx) }, r: r, size: size, sum: sha256.New()}
}

func (m *meter) Read(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	if m.err = m.cancelled(); m.err != nil {
		return 0, m.err
	}
	n, err := m.r.Read(p)
	m.n += int64(n)
	m.sum.Write(p[:n])
	switch {
	case m.n > m.size:
		m.err = fmt.Errorf("%w: more than %d", errSize, m.size)
	case err == io.EOF && m.n < m.size:
		m.err = fmt.Errorf("%w: %d of %d", errSize, m.n, m.size)
	default:
		m.err, m.ended = err, err == io.EOF
	}
	return n, m.err
}

// complete is nil when exactly the declared bytes were read to their end without an error.
func (m *meter) complete() error {
	switch {
	case m.ended:
		return nil
	case m.err == nil:
		return fmt.Errorf("%w: %d of %d", errSize, m.n, m.size)
	}
	return m.err
}

func (m *meter) digest() string { return hex.EncodeToString(m.sum.Sum(nil)) }
