package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"gatehouse/storage"
	"gatehouse/storage/blob"
)

func (s *suite) copyAndReady(t *testing.T) {
	t.Run("copy", s.copy)
	t.Run("copy to another key", s.copyToKey)
	t.Run("a copy is young", s.copyIsYoung)
	t.Run("ready", func(t *testing.T) {
		before := collect(t, s.zones.Clean, "", "")
		require.NoError(t, s.zones.Ready(t.Context()))
		require.Equal(t, before, collect(t, s.zones.Clean, "", ""), "probes are not listed")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.Error(t, s.zones.Ready(ctx))
		require.NotContains(t, []blob.Bucket{s.zones.Of(storage.ZoneQuarantine), s.zones.Of(storage.ZoneClean)}, s.zones.Snapshots)
		require.Nil(t, s.zones.Of("snapshots"), "no zone that a blob could lie in")
	})
}

func (s *suite) copy(t *testing.T) {
	for _, size := range []int{0, 1, 64 << 10, 17 << 20} {
		k, data := key(), noise(10, size)
		put(t, s.zones.Quarantine, k, data)
		for range 2 { // a retried job copies again
			require.NoError(t, s.zones.Promote(t.Context(), k))
			require.True(t, bytes.Equal(data, get(t, s.zones.Clean, k)))
		}
		require.True(t, bytes.Equal(data, get(t, s.zones.Quarantine, k)), "the original stays")
		require.NoError(t, s.zones.Quarantine.Delete(t.Context(), k))
		require.True(t, bytes.Equal(data, get(t, s.zones.Clean, k)), "the copy stands alone")
		require.Equal(t, []string{k}, collect(t, s.zones.Clean, k[:len(k)-64], ""))
	}
	k := key()
	put(t, s.zones.Clean, k, []byte("old"))
	put(t, s.zones.Quarantine, k, []byte("newer"))
	require.NoError(t, s.zones.Copy(t.Context(), storage.ZoneQuarantine, storage.ZoneClean, k))
	require.Equal(t, "newer", string(get(t, s.zones.Clean, k)))
	put(t, s.zones.Quarantine, k, []byte("newest"))
	require.Equal(t, "newer", string(get(t, s.zones.Clean, k)), "a later put does not reach through")
	require.NoError(t, s.zones.Copy(t.Context(), storage.ZoneClean, storage.ZoneQuarantine, k))
	require.Equal(t, "newer", string(get(t, s.zones.Quarantine, k)))

	missing := key()
	require.ErrorIs(t, s.zones.Promote(t.Context(), missing), blob.ErrNotExist)
	absent(t, s.zones.Clean, missing)
	require.Error(t, s.zones.Copy(t.Context(), "attic", storage.ZoneClean, k))
	require.Nil(t, s.zones.Of("attic"))
}

// copyToKey: sources and targets differ in key, in zone, in both, and not at all.
func (s *suite) copyToKey(t *testing.T) {
	ctx := t.Context()
	from, to, data := key(), key(), noise(11, 70<<10)
	put(t, s.zones.Clean, from, data)
	for range 2 { // the second time over what is there
		for _, target := range []blob.Bucket{s.zones.Clean, s.zones.Quarantine, s.zones.Snapshots, s.zones.Audit} {
			require.NoError(t, target.CopyFrom(ctx, s.zones.Clean, from, to))
			require.True(t, bytes.Equal(data, get(t, target, to)))
		}
	}
	absent(t, s.zones.Quarantine, from)
	absent(t, s.zones.Snapshots, from)
	require.NoError(t, s.zones.Clean.Delete(ctx, from))
	require.True(t, bytes.Equal(data, get(t, s.zones.Clean, to)), "the copy stands alone")
	require.Equal(t, []string{to}, collect(t, s.zones.Clean, to[:len(to)-64], ""))

	require.ErrorIs(t, s.zones.Clean.CopyFrom(ctx, s.zones.Clean, to, to), blob.ErrKey, "onto itself")
	require.True(t, bytes.Equal(data, get(t, s.zones.Clean, to)))
	require.ErrorIs(t, s.zones.Clean.CopyFrom(ctx, s.zones.Clean, from, to), blob.ErrNotExist, "a missing source")
	require.True(t, bytes.Equal(data, get(t, s.zones.Clean, to)), "what was there stays")
	fresh := key()
	require.ErrorIs(t, s.zones.Clean.CopyFrom(ctx, s.zones.Clean, from, fresh), blob.ErrNotExist)
	absent(t, s.zones.Clean, fresh)
}

// copyIsYoung: a sweeper that spares the young must spare a copy whose row is not committed yet, however old the
// original is.
func (s *suite) copyIsYoung(t *testing.T) {
	k := key()
	put(t, s.zones.Quarantine, k, []byte("x"))
	original, err := s.zones.Quarantine.Stat(t.Context(), k)
	require.NoError(t, err)
	time.Sleep(1100 * time.Millisecond) // HTTP dates count seconds
	require.NoError(t, s.zones.Promote(t.Context(), k))
	info, err := s.zones.Clean.Stat(t.Context(), k)
	require.NoError(t, err)
	require.True(t, info.ModTime.After(original.ModTime), "%v then %v", original.ModTime, info.ModTime)
}

func (s *suite) concurrency(t *testing.T) {
	t.Run("the same bytes at once", func(t *testing.T) { s.rush(t, [][]byte{noise(1, 300<<10)}) })
	t.Run("different bytes at once", func(t *testing.T) {
		s.rush(t, [][]byte{noise(1, 300<<10), noise(2, 200<<10), noise(3, 10), noise(4, 1<<20)})
	})
}

// rush puts the versions under one key from many goroutines while others read: they see nothing yet or one whole
// version, and in the end one is there.
func (s *suite) rush(t *testing.T, versions [][]byte) {
	k := key()
	known := map[[32]byte]bool{}
	for _, v := range versions {
		known[sha256.Sum256(v)] = true
	}
	writers, ctx := errgroup.WithContext(t.Context())
	readers, rctx := errgroup.WithContext(t.Context())
	var done atomic.Bool
	for i := range 8 {
		writers.Go(func() error {
			for j := range 5 {
				v := versions[(i+j)%len(versions)]
				if err := s.zones.Clean.Put(ctx, k, bytes.NewReader(v), int64(len(v)), blob.PutOptions{}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for range 4 {
		readers.Go(func() error {
			for !done.Load() {
				if err := s.readWhole(rctx, k, known); err != nil && !errors.Is(err, blob.ErrNotExist) {
					return err
				}
			}
			return nil
		})
	}
	werr := writers.Wait()
	done.Store(true)
	require.NoError(t, werr)
	require.NoError(t, readers.Wait())
	require.NoError(t, s.readWhole(t.Context(), k, known))
}

func (s *suite) readWhole(ctx context.Context, k string, known map[[32]byte]bool) error {
	body, info, err := s.zones.Clean.Open(ctx, k, 0, -1)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close()); err != nil {
		return err
	}
	if int64(len(data)) != info.Size || !known[sha256.Sum256(data)] {
		return fmt.Errorf("read %d bytes that nobody put, info says %d", len(data), info.Size)
	}
	return nil
}
