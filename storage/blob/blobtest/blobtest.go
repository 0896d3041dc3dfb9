// Package blobtest is the one conformance suite for stores: what it demands of a blob.Bucket is what the rest of
// the program relies on. Every driver passes it against the real thing.
//
// The files: put.go (all or nothing), read.go (ranges, stat, delete), list.go (order, prefixes, 10,000 keys),
// zones.go (copy, concurrency, readiness).
package blobtest

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	mrand "math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/blob"
)

// Run runs the suite. open returns an empty store; it is called once and cleans up by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) *blob.Zones) {
	s := &suite{zones: open(t)}
	t.Run("put", s.put)
	t.Run("read", s.read)
	t.Run("list", s.list)
	t.Run("zones", s.copyAndReady)
	t.Run("concurrency", s.concurrency)
}

type suite struct{ zones *blob.Zones }

// tenant returns a folder that nobody else uses.
func tenant() string { return "t-" + strings.ToLower(rand.Text()) }

// key returns a fresh key shaped like those of the program.
func key() string {
	digest := sha256.Sum256([]byte(rand.Text()))
	name := hex.EncodeToString(digest[:])
	return tenant() + "/" + name[:2] + "/" + name
}

// noise returns n bytes that do not compress, the same for the same seed.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = mrand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

// plain hides every method but Read, like a network body.
type plain struct{ io.Reader }

// failing gives its bytes, then runs hook and fails with err.
type failing struct {
	io.Reader
	hook func()
	err  error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err == io.EOF {
		if f.hook != nil {
			f.hook()
		}
		return n, f.err
	}
	return n, err
}

func put(t *testing.T, b blob.Bucket, key string, data []byte) {
	t.Helper()
	require.NoError(t, b.Put(t.Context(), key, bytes.NewReader(data), int64(len(data)), blob.PutOptions{}))
}

func get(t *testing.T, b blob.Bucket, key string) []byte {
	t.Helper()
	body, info, err := b.Open(t.Context(), key, 0, -1)
	require.NoError(t, err)
	data, err := io.ReadAll(body)
	require.NoError(t, err)
	require.NoError(t, body.Close())
	require.Equal(t, key, info.Key)
	require.EqualValues(t, len(data), info.Size)
	return data
}

// absent asserts that nothing is under key, by every way of looking.
func absent(t *testing.T, b blob.Bucket, key string) {
	t.Helper()
	_, err := b.Stat(t.Context(), key)
	require.ErrorIs(t, err, blob.ErrNotExist)
	_, _, err = b.Open(t.Context(), key, 0, -1)
	require.ErrorIs(t, err, blob.ErrNotExist)
	folder := key[:strings.LastIndexByte(key, '/')+1]
	for info, err := range b.List(t.Context(), folder, "") {
		require.NoError(t, err)
		require.NotEqual(t, key, info.Key)
	}
}
