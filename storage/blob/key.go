package blob

import (
	"fmt"
	"strings"
)

// Limits of a key. S3 allows 1024 bytes; half of it leaves room for the folders of a disk store. 255 is NAME_MAX
// of the common file systems, also of those behind S3 servers. The depth bounds the folders a listing holds open.
const (
	MaxKeyBytes     = 512
	MaxSegmentBytes = 255
	MaxSegments     = 16
)

// KeyChars are the characters a segment of a key is made of. A segment does not begin with a dot: such names
// belong to the drivers (temporary files, probes), and "." and ".." fall under it too.
const KeyChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

// CheckKey returns an error wrapping ErrKey unless key is legal: 1 to MaxSegments segments joined by "/", each
// of 1 to MaxSegmentBytes characters of KeyChars and not beginning with a dot, MaxKeyBytes in all.
func CheckKey(key string) error {
	if len(key) > MaxKeyBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrKey, len(key), MaxKeyBytes)
	}
	segments := 0
	for segment := range strings.SplitSeq(key, "/") {
		if segments++; segments > MaxSegments {
			return fmt.Errorf("%w: more than %d segments", ErrKey, MaxSegments)
		}
		if !legalSegment(segment) {
			return fmt.Errorf("%w: segment %q", ErrKey, clip(segment))
		}
	}
	return nil
}

// checkPrefix accepts "" and whole folders: a legal key followed by "/".
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	folder, ok := strings.CutSuffix(prefix, "/")
	if !ok {
		return fmt.Errorf("%w: prefix %q does not end with a slash", ErrKey, clip(prefix))
	}
	return CheckKey(folder)
}

// checkCopy checks what CopyFrom is given. S3 servers refuse a copy onto itself, so every driver does.
func checkCopy(sameBucket bool, fromKey, key string) error {
	if err := CheckKey(fromKey); err != nil {
		return err
	}
	if err := CheckKey(key); err != nil {
		return err
	}
	if sameBucket && fromKey == key {
		return fmt.Errorf("%w: a copy onto itself", ErrKey)
	}
	return nil
}

// checkList checks what List is given.
func checkList(prefix, after string) error {
	if err := checkPrefix(prefix); err != nil || after == "" {
		return err
	}
	return CheckKey(after)
}

func legalSegment(s string) bool {
	if s == "" || len(s) > MaxSegmentBytes || s[0] == '.' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// clip keeps hostile keys from flooding the log.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}
