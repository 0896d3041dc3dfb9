package ffmpeg

import (
	"errors"

	"gatehouse/storage"
)

// ErrUnplayable is in the chain of every error that is the video's fault. Trying again is useless.
var ErrUnplayable = errors.New("the video cannot be made web-ready")

// Unplayable says why a video has no web-ready version.
type Unplayable struct {
	// Reason is for people.
	Reason storage.Reason
	// Detail is for the log: what the decoder said. It may quote the video and is not shown.
	Detail string
}

func (e *Unplayable) Error() string {
	return ErrUnplayable.Error() + " (" + e.Reason.Slug + "): " + e.Detail
}

func (e *Unplayable) Unwrap() error { return ErrUnplayable }
