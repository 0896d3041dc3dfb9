package blobtest

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/blob"
)

func (s *suite) read(t *testing.T) {
	t.Run("ranges", s.ranges)
	t.Run("empty object", s.empty)
	t.Run("stat", s.stat)
	t.Run("missing", s.missing)
	t.Run("delete", s.delete)
	t.Run("a reader closed early", s.closedEarly)
	t.Run("a reader outlives an overwrite", s.outlives)
	t.Run("cancelled", s.readCancelled)
}

func (s *suite) ranges(t *testing.T) {
	const size = 1<<20 + 7
	data := noise(9, size)
	k := key()
	put(t, s.zones.Clean, k, data)
	cases := []struct {
		name           string
		offset, length int64
		want           []byte
	}{
		{"all", 0, -1, data},
		{"all by length", 0, size, data},
		{"first byte", 0, 1, data[:1]},
		{"last byte", size - 1, 1, data[size-1:]},
		{"last byte to the end", size - 1, -1, data[size-1:]},
		{"middle", 1000, 100_000, data[1000:101_000]},
		{"from the middle to the end", 500_000, -1, data[500_000:]},
		{"reaches past the end", size - 10, 1000, data[size-10:]},
		{"far too long", 5, 1 << 62, data[5:]},
		{"nothing", 10, 0, nil},
	}
	for _, c := range cases {
		body, info, err := s.zones.Clean.Open(t.Context(), k, c.offset, c.length)
		require.NoError(t, err, c.name)
		got, err := io.ReadAll(body)
		require.NoError(t, err, c.name)
		require.NoError(t, body.Close())
		require.True(t, bytes.Equal(c.want, got), c.name)
		require.EqualValues(t, size, info.Size, "%s: the size is the whole object's", c.name)
		require.Equal(t, k, info.Key)
		require.WithinDuration(t, time.Now(), info.ModTime, time.Hour)
	}
	for _, c := range []struct{ offset, length int64 }{{size, 1}, {size, -1}, {size, 0}, {size + 5, 10}, {-1, 5}, {-1, -1}, {0, -2}} {
		_, _, err := s.zones.Clean.Open(t.Context(), k, c.offset, c.length)
		require.ErrorIs(t, err, blob.ErrRange, "%+v", c)
		require.NotErrorIs(t, err, blob.ErrUnavailable)
	}
}

func (s *suite) empty(t *testing.T) {
	k := key()
	put(t, s.zones.Clean, k, nil)
	for _, length := range []int64{-1, 0, 10} {
		body, info, err := s.zones.Clean.Open(t.Context(), k, 0, length)
		require.NoError(t, err)
		got, err := io.ReadAll(body)
		require.NoError(t, err)
		require.NoError(t, body.Close())
		require.Empty(t, got)
		require.Equal(t, k, info.Key)
		require.Zero(t, info.Size)
	}
	_, _, err := s.zones.Clean.Open(t.Context(), k, 1, -1)
	require.ErrorIs(t, err, blob.ErrRange)
}

func (s *suite) stat(t *testing.T) {
	k := key()
	put(t, s.zones.Clean, k, noise(1, 12345))
	info, err := s.zones.Clean.Stat(t.Context(), k)
	require.NoError(t, err)
	require.Equal(t, k, info.Key)
	require.EqualValues(t, 12345, info.Size)
	require.WithinDuration(t, time.Now(), info.ModTime, time.Hour)
	var listed []blob.Info
	for info, err := range s.zones.Clean.List(t.Context(), k[:len(k)-64], "") {
		require.NoError(t, err)
		listed = append(listed, info)
	}
	require.Len(t, listed, 1)
	require.Equal(t, info.Size, listed[0].Size)
	require.WithinDuration(t, info.ModTime, listed[0].ModTime, time.Second, "both tell the same time, HTTP to the second")
}

func (s *suite) missing(t *testing.T) {
	k := key()
	absent(t, s.zones.Clean, k)
	absent(t, s.zones.Clean, k+"/beneath")
	_, _, err := s.zones.Clean.Open(t.Context(), k, 10, 20)
	require.ErrorIs(t, err, blob.ErrNotExist)
	_, _, err = s.zones.Clean.Open(t.Context(), k, 0, 0)
	require.ErrorIs(t, err, blob.ErrNotExist)
	require.ErrorIs(t, err, storage.ErrNotFound)
	require.NotErrorIs(t, err, blob.ErrUnavailable)
	require.Equal(t, storage.CodeNotFound, storage.CodeOf(err))
	put(t, s.zones.Clean, k, []byte("x"))
	folder := k[:len(k)-65]
	_, err = s.zones.Clean.Stat(t.Context(), folder)
	require.ErrorIs(t, err, blob.ErrNotExist, "a folder is no object")
	_, _, err = s.zones.Clean.Open(t.Context(), folder, 0, -1)
	require.ErrorIs(t, err, blob.ErrNotExist)
	require.NoError(t, s.zones.Clean.Delete(t.Context(), folder))
	require.Equal(t, "x", string(get(t, s.zones.Clean, k)), "deleting a folder's name deletes nothing")
	absent(t, s.zones.Quarantine, k)
}

func (s *suite) delete(t *testing.T) {
	k := key()
	neighbour := k + ".thumb.webp"
	put(t, s.zones.Clean, k, []byte("x"))
	put(t, s.zones.Quarantine, k, []byte("y"))
	put(t, s.zones.Clean, neighbour, []byte("z"))
	for range 3 {
		require.NoError(t, s.zones.Clean.Delete(t.Context(), k))
		absent(t, s.zones.Clean, k)
	}
	require.Equal(t, "y", string(get(t, s.zones.Quarantine, k)), "the other zone is untouched")
	require.Equal(t, "z", string(get(t, s.zones.Clean, neighbour)))
	require.NoError(t, s.zones.Clean.Delete(t.Context(), key()), "not even its folder exists")
	put(t, s.zones.Clean, k, []byte("again"))
	require.Equal(t, "again", string(get(t, s.zones.Clean, k)))
}

func (s *suite) closedEarly(t *testing.T) {
	k := key()
	put(t, s.zones.Clean, k, noise(2, 8<<20))
	for range 20 {
		body, _, err := s.zones.Clean.Open(t.Context(), k, 0, -1)
		require.NoError(t, err)
		_, err = io.ReadFull(body, make([]byte, 10))
		require.NoError(t, err)
		require.NoError(t, body.Close())
	}
}

func (s *suite) outlives(t *testing.T) {
	k := key()
	data := noise(3, 256<<10)
	put(t, s.zones.Clean, k, data)
	body, _, err := s.zones.Clean.Open(t.Context(), k, 0, -1)
	require.NoError(t, err)
	put(t, s.zones.Clean, k, noise(4, 256<<10))
	got, err := io.ReadAll(body)
	require.NoError(t, err)
	require.NoError(t, body.Close())
	require.True(t, bytes.Equal(data, got), "one version, the one that was opened")
}

func (s *suite) readCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	k := key()
	put(t, s.zones.Clean, k, []byte("x"))
	_, _, err := s.zones.Clean.Open(ctx, k, 0, -1)
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.zones.Clean.Stat(ctx, k)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.zones.Clean.Delete(ctx, k), context.Canceled)
	require.ErrorIs(t, s.zones.Quarantine.CopyFrom(ctx, s.zones.Clean, k, k), context.Canceled)
	var last error
	for _, err := range s.zones.Clean.List(ctx, "", "") {
		last = err
	}
	require.ErrorIs(t, last, context.Canceled, "a listing that was cut off says so")
	require.Equal(t, "x", string(get(t, s.zones.Clean, k)))
}
