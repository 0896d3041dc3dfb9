package jobs

import (
	"errors"
	"time"
)

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Permanent marks an error that no further attempt will mend.
func Permanent(err error) error { return &permanentError{err} }

// IsPermanent reports whether err was marked by Permanent.
func IsPermanent(err error) bool {
	_, ok := errors.AsType[*permanentError](err)
	return ok
}

type waitError struct {
	err   error
	after time.Duration
}

func (e *waitError) Error() string { return e.err.Error() }
func (e *waitError) Unwrap() error { return e.err }

// Wait marks an error that is not the task's fault: try again after the pause, without counting the attempt.
func Wait(err error, after time.Duration) error { return &waitError{err, after} }

// WaitOf returns the pause of an error that was marked by Wait.
func WaitOf(err error) (time.Duration, bool) {
	if w, ok := errors.AsType[*waitError](err); ok {
		return w.after, true
	}
	return 0, false
}
