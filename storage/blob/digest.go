package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
)

// Digest reads an object to its end and gives its SHA-256 in hex.
func Digest(ctx context.Context, b Bucket, key string) (digest string, err error) {
	body, _, err := b.Open(ctx, key, 0, -1)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	return DigestOf(body)
}

// DigestOf reads r to its end and gives the SHA-256 of its bytes in hex.
func DigestOf(r io.Reader) (string, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
