// Package picture reads the structure of pictures without decoding them: how large they are, how many frames
// they have, whether they are whole, and where their own data ends.
//
// Every reader walks the real structure from the first byte to the last (JPEG markers, PNG chunks with their
// checksums, GIF blocks, RIFF chunks, HEIF boxes) through a window of a few KiB. Work is bounded by the size of
// the file; numbers in the file are checked before they are multiplied or believed.
package picture

import (
	"errors"
	"fmt"
	"io"

	"gatehouse/gateway/intake/bmff"
	"gatehouse/gateway/intake/window"
)

// Limits bound what a picture may claim to be. All three must be positive.
type Limits struct {
	// Pixels bounds width x height x frames.
	Pixels int64
	// Dimension bounds the width and the height.
	Dimension int64
	// Frames bounds the frames of an animation.
	Frames int64
}

// Info is what a picture says of itself.
type Info struct {
	// Width and Height in pixels as stored, before any orientation is applied.
	Width, Height int64
	// Frames is 1 for a still picture.
	Frames int64
	// End is the offset just behind the picture's own data.
	End int64
}

// Problem is what is wrong with a picture.
type Problem int

// The problems. The last three are about limits and come with the limit that was passed.
const (
	Truncated Problem = iota + 1
	Malformed
	TooManyPixels
	TooLarge
	TooManyFrames
)

// Error is a finding about the picture, never about the disk it lies on.
type Error struct {
	Problem Problem
	// Info holds what was known when the problem was met.
	Info Info
	// Limit is the limit that was passed, 0 for Truncated and Malformed.
	Limit int64
	// Detail says for the log what exactly did not fit.
	Detail string
}

func (e *Error) Error() string {
	name := [...]string{"?", "truncated", "malformed", "too many pixels", "too large", "too many frames"}[e.Problem]
	return fmt.Sprintf("picture %s: %s", name, e.Detail)
}

// TextFunc is called for each run of bytes in which a picture carries text or metadata: comments, EXIF, XMP,
// palettes. An error it returns ends the walk and is returned as it is.
type TextFunc func(from, to int64) error

// Formats lists the media types that Read knows.
var Formats = []string{"image/jpeg", "image/png", "image/gif", "image/webp", "image/heic", "image/heif", "image/avif"}

// Read walks the picture of the given media type in the first size bytes of r. onText may be nil. The error is an
// *Error when the picture is at fault; anything else is trouble reading.
func Read(r io.ReaderAt, size int64, mediaType string, limits Limits, onText TextFunc) (Info, error) {
	s := &reader{Reader: window.New(r, size), limits: limits, onText: onText}
	s.info.Frames = 1
	var err error
	switch mediaType {
	case "image/jpeg":
		err = s.jpeg()
	case "image/png":
		err = s.png()
	case "image/gif":
		err = s.gif()
	case "image/webp":
		err = s.webp()
	case "image/heic", "image/heif", "image/avif":
		err = s.heif()
	default:
		return Info{}, fmt.Errorf("read picture: no reader for %q", mediaType)
	}
	if err == nil {
		err = s.checkLimits()
	}
	switch {
	case err == nil:
		return s.info, nil
	case errors.Is(err, window.ErrShort), errors.Is(err, bmff.ErrTruncated):
		return Info{}, s.fault(Truncated, "%v", err)
	case errors.Is(err, bmff.ErrMalformed), errors.Is(err, bmff.ErrTooMany):
		return Info{}, s.fault(Malformed, "%v", err)
	}
	return Info{}, err
}

// reader is the walk over one picture.
type reader struct {
	*window.Reader
	limits Limits
	onText TextFunc
	info   Info
}

func (s *reader) fault(p Problem, format string, args ...any) *Error {
	return &Error{Problem: p, Info: s.info, Detail: fmt.Sprintf(format, args...)}
}

func (s *reader) malformed(format string, args ...any) error {
	return s.fault(Malformed, format, args...)
}

func (s *reader) text(from, to int64) error {
	if to > s.Size() {
		return window.ErrShort
	}
	if s.onText == nil || from >= to {
		return nil
	}
	return s.onText(from, to)
}

// setSize takes the dimensions of the whole picture and checks them at once, so that a walk ends early.
func (s *reader) setSize(width, height int64) error {
	s.info.Width, s.info.Height = width, height
	if width <= 0 || height <= 0 {
		return s.malformed("size %d x %d", width, height)
	}
	return s.checkLimits()
}

// setFrames takes the number of frames seen so far and checks it at once.
func (s *reader) setFrames(n int64) error {
	s.info.Frames = n
	return s.checkLimits()
}

func (s *reader) checkLimits() error {
	return s.checkLimitsOf(s.info)
}

func (s *reader) checkLimitsOf(i Info) error {
	exceeds := func(p Problem, limit int64) error {
		return &Error{Problem: p, Info: i, Limit: limit, Detail: fmt.Sprintf("%d x %d, %d frames", i.Width, i.Height, i.Frames)}
	}
	switch {
	case i.Width > s.limits.Dimension, i.Height > s.limits.Dimension:
		return exceeds(TooLarge, s.limits.Dimension)
	case i.Frames > s.limits.Frames:
		return exceeds(TooManyFrames, s.limits.Frames)
	case i.Width <= 0 || i.Height <= 0:
		return nil // not known yet; setSize refuses what is wrong
	case i.Height > s.limits.Pixels/i.Width, i.Frames > s.limits.Pixels/(i.Width*i.Height):
		return exceeds(TooManyPixels, s.limits.Pixels)
	}
	return nil
}
