package blob

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
)

// Pauses between attempts: doubled each time from the first to the longest, with jitter.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

// timeFor is how long one attempt that moves n bytes may take.
func (s *s3Store) timeFor(n int64) time.Duration {
	return s.timeout + time.Duration(n/slowestRate)*time.Second
}

// try gives op attempts of the given length until it succeeds, fails for good or the retries are used up.
func (s *s3Store) try(ctx context.Context, limit time.Duration, op func(context.Context) error) error {
	return s.repeat(ctx, func() error {
		attempt, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return s3Error(ctx, op(attempt))
	})
}

// final marks an error that must not be tried again, temporary or not: the reader failed or is used up.
type final struct{ error }

// repeat runs op again after a pause while it fails with ErrUnavailable.
func (s *s3Store) repeat(ctx context.Context, op func() error) error {
	for n := 0; ; n++ {
		err := op()
		if f, ok := errors.AsType[final](err); ok {
			return f.error
		}
		if err == nil || n >= s.retries || !errors.Is(err, ErrUnavailable) {
			return err
		}
		if perr := pause(ctx, n); perr != nil {
			return fmt.Errorf("%w (while %w)", perr, err)
		}
	}
}

func pause(ctx context.Context, n int) error {
	d := min(firstPause<<min(n, 8), longestPause)
	t := time.NewTimer(d/2 + rand.N(d/2))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// s3Error sorts what a request ended with into the errors of this package. ctx is the caller's, not the attempt's.
func s3Error(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	r, ok := errors.AsType[minio.ErrorResponse](err)
	if !ok { // no answer: dialling, sending, waiting or reading failed
		return fmt.Errorf("%w (%w)", ErrUnavailable, err)
	}
	switch {
	case r.Code == minio.NoSuchKey:
		return fmt.Errorf("%w (%w)", ErrNotExist, err)
	case r.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("%w (%w)", ErrRange, err)
	case temporaryAnswer(r):
		return fmt.Errorf("%w (%w)", ErrUnavailable, err)
	}
	return fmt.Errorf("%w (code %s, status %d)", err, r.Code, r.StatusCode)
}

func temporaryAnswer(r minio.ErrorResponse) bool {
	switch r.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented:
		return false
	}
	switch r.Code {
	case "SlowDown", "RequestTimeout", "InternalError", "OperationAborted", // the server's troubles
		"BadDigest", "IncompleteBody", "XAmzContentChecksumMismatch": // bytes lost or changed on the way
		return true
	}
	return r.StatusCode >= http.StatusInternalServerError
}
