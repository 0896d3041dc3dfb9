package clamd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"gatehouse/storage"
)

// defaultTimeout bounds one scan. It is well above clamd's MaxScanTime (2 minutes), because a scan may first
// wait for a free clamd thread or for a database reload.
const defaultTimeout = 5 * time.Minute

// lookAgain is how often one Scan starts over because the database was reloaded under it.
const lookAgain = 3

// Config says where clamd is and what is known about it.
type Config struct {
	// Address is "unix:///path/to/socket" or "tcp://host:port".
	Address string
	// Fingerprint names the signature database when clamd's VERSION does not (local signatures only). Nil: a
	// clamd that does not name its database counts as unavailable.
	Fingerprint func(context.Context) (string, error)
	// TempDir is where streams over 1 MiB are spooled for a Unix socket; "" means the system's.
	TempDir string
	// Timeout bounds one scan, waiting included; 0 means 5 minutes.
	Timeout time.Duration
	// MaxFileBytes is the upload cap; readiness checks that a TCP clamd takes streams of that size. 0 checks nothing.
	MaxFileBytes int64
}

// Scanner scans with one clamd. It is safe for concurrent use and holds no connection between scans.
type Scanner struct {
	network, address string
	fingerprint      func(context.Context) (string, error)
	tempDir          string
	timeout          time.Duration
	maxFileBytes     int64
}

// New checks the address; it does not connect.
func New(c Config) (*Scanner, error) {
	u, err := url.Parse(c.Address)
	if err != nil {
		return nil, fmt.Errorf("clamd address: %w", err)
	}
	s := &Scanner{
		network: u.Scheme, address: u.Host, fingerprint: c.Fingerprint, tempDir: c.TempDir,
		timeout: cmp.Or(c.Timeout, defaultTimeout), maxFileBytes: c.MaxFileBytes,
	}
	switch {
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
		s.address = u.Path
	case u.Scheme == "tcp" && u.Hostname() != "" && u.Port() != "":
	default:
		return nil, fmt.Errorf("clamd address %q is neither unix:///path nor tcp://host:port", c.Address)
	}
	return s, nil
}

// Scan scans r, which must hold exactly size bytes, and returns the verdict with its evidence; doc.go says
// what an error means. An *os.File that stands at its beginning is scanned in place when clamd is on a Unix
// socket: it must be open for reading and must not change meanwhile. Scan does not use r after it returned;
// over TCP it waits for a Read in progress, so r must end when ctx does.
func (s *Scanner) Scan(ctx context.Context, r io.Reader, size int64) (storage.Verdict, error) {
	if size < 0 {
		return storage.Verdict{}, fmt.Errorf("scan: negative size %d", size)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("no verdict within %s", s.timeout))
	defer cancel()
	verdict, err := s.scan(ctx, r, size)
	if err != nil {
		return storage.Verdict{}, fmt.Errorf("scan: %w", s.blame(ctx, err))
	}
	return verdict, nil
}

func (s *Scanner) scan(ctx context.Context, r io.Reader, size int64) (storage.Verdict, error) {
	if s.network == "tcp" {
		return s.between(ctx, func() (look, error) { return s.lookAtStream(ctx, r, size) }, 1)
	}
	f, ours, err := s.asFile(ctx, r, size)
	if err != nil {
		return storage.Verdict{}, err
	}
	verdict, err := s.between(ctx, func() (look, error) { return s.lookAtFile(ctx, f, size) }, lookAgain)
	if ours {
		err = errors.Join(err, f.Close())
	}
	return verdict, err
}

// asFile returns r itself when clamd can scan it in place, else a spooled copy that the caller closes (ours).
func (s *Scanner) asFile(ctx context.Context, r io.Reader, size int64) (f *os.File, ours bool, err error) {
	if f, ok := r.(*os.File); ok {
		info, err := f.Stat()
		if err != nil {
			return nil, false, fmt.Errorf("look at the file to scan: %w", err)
		}
		if info.Mode().IsRegular() {
			if at, err := f.Seek(0, io.SeekCurrent); err == nil && at == 0 {
				return f, false, nil
			}
		}
	}
	f, err = spool(newMeter(ctx, r, size), s.tempDir)
	return f, true, err
}

// between reads the database's fingerprint before and after a look, and believes the look only when both are
// the same: else clamd reloaded meanwhile and nobody can say which database it used.
func (s *Scanner) between(ctx context.Context, pass func() (look, error), tries int) (storage.Verdict, error) {
	before, err := s.version(ctx)
	for range tries {
		if err != nil {
			return storage.Verdict{}, err
		}
		seen, err := pass()
		if err != nil {
			return storage.Verdict{}, err
		}
		after, err := s.version(ctx)
		if err != nil {
			return storage.Verdict{}, err
		}
		if after == before {
			return storage.Verdict{
				Status: seen.status, Signature: seen.signature,
				Engine: after.engine, Database: after.database,
				BytesScanned: seen.bytes, Digest: seen.digest, ScannedAt: time.Now().UTC(),
			}, nil
		}
		before = after
	}
	return storage.Verdict{}, fmt.Errorf("%w: its signature database changed during the scan", ErrUnavailable)
}

// blame decides whether a failed scan tells of the file or of the scanner: when clamd cannot scan the known
// good sample either, it is the scanner. A cut connection always counts against the file, because a file that
// kills clamd looks exactly so.
func (s *Scanner) blame(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, ErrUnavailable) || errors.Is(err, errCut) || errors.Is(err, errSize) {
		return err
	}
	if canary := s.canary(ctx, knownGood, storage.ScanClean); canary != nil {
		return fmt.Errorf("%w: %w (%w)", ErrUnavailable, err, canary)
	}
	return err
}
