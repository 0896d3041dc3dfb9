// Package trailer looks for what hides behind or inside a picture or a video: archives, programs, scripts and
// pages that another reader would find in the same bytes (polyglots).
//
// It works from structure, not from stray magic numbers: compressed pixels contain every short byte sequence
// sooner or later. Padding, the trailers that phones write and the video of a motion photo are recognised by
// walking them; whatever else stands behind the end is refused.
package trailer

import (
	"errors"
	"io"

	"gatehouse/gateway/intake/window"
)

// Kind is what was found.
type Kind int

// The kinds of finding. Clean is the zero value.
const (
	Clean Kind = iota
	// Archive: ZIP, RAR, 7z and their like.
	Archive
	// Executable: a program or a library of any system.
	Executable
	// Script: script or page source.
	Script
	// Data: bytes behind the end that are none of the file's and of no harmless kind.
	Data
)

// Finding says what was found and where.
type Finding struct {
	Kind Kind
	// What names the format in a word: zip, elf, php, pdf, unknown.
	What string
	// Offset is where in the file it begins.
	Offset int64
}

// Picture looks at a picture of size bytes whose own data ends at end.
func Picture(r io.ReaderAt, size, end int64) (Finding, error) {
	w := window.New(r, size)
	if f, err := zipAtEnd(w); err != nil || f.Kind != Clean {
		return f, notShort(err)
	}
	if f, err := hiddenAnywhere(w); err != nil || f.Kind != Clean {
		return f, notShort(err)
	}
	f, err := behind(w, end)
	return f, notShort(err)
}

// Texts returns a function that looks at runs of bytes in which a file carries text: a comment that holds a script
// is refused whatever its format would do with it. Runs should come in the order of the file: a file may have
// hundreds of thousands of them, and they share one window.
func Texts(r io.ReaderAt, size int64) func(from, to int64) (Finding, error) {
	w := window.New(r, size)
	return func(from, to int64) (Finding, error) {
		f, err := scan(w, from, to, textNeedles)
		return f, notShort(err)
	}
}

// notShort makes the one error that speaks of the file into one of ours: every offset here was checked before.
func notShort(err error) error {
	if errors.Is(err, window.ErrShort) {
		return io.ErrUnexpectedEOF
	}
	return err
}
