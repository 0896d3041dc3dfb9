package vips

import (
	"errors"
	"strconv"
	"strings"

	"gatehouse/storage"
)

// ErrUndecodable is in the chain of every error that is the picture's fault. Trying again is useless.
var ErrUndecodable = errors.New("the picture cannot be decoded")

// Undecodable says why a picture has no variants.
type Undecodable struct {
	// Reason is for people.
	Reason storage.Reason
	// Detail is for the log: what the decoder said. It may quote the picture and is not shown.
	Detail string
}

func (u *Undecodable) Error() string {
	s := ErrUndecodable.Error() + " (" + u.Reason.Slug + ")"
	if u.Detail != "" {
		s += ": " + u.Detail
	}
	return s
}

// Is makes every Undecodable an ErrUndecodable.
func (u *Undecodable) Is(target error) bool { return target == ErrUndecodable }

// printable keeps log lines short; the text may quote the picture.
func printable(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.Trim(strconv.QuoteToASCII(line[:min(len(line), 300)]), `"`)
}
