package window_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/intake/window"
)

func TestView(t *testing.T) {
	data := make([]byte, 3*window.Block+7)
	for i := range data {
		data[i] = byte(i * 31)
	}
	w := window.New(bytes.NewReader(data), int64(len(data)))
	for _, off := range []int64{0, 1, window.Block - 1, window.Block, 2*window.Block + 5, 3, int64(len(data)) - 9} {
		b, err := w.View(off, 9)
		require.NoError(t, err)
		require.Equal(t, data[off:off+9], b)
	}
	for _, bad := range []struct {
		off int64
		n   int
	}{{-1, 1}, {0, -1}, {int64(len(data)), 1}, {int64(len(data)) - 1, 2}, {1 << 62, 8}} {
		_, err := w.View(bad.off, bad.n)
		require.ErrorIs(t, err, window.ErrShort)
	}
}

func TestChunkWalksEverythingOnce(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), window.Block/3)
	w := window.New(bytes.NewReader(data), int64(len(data)))
	var got []byte
	for off, end := int64(5), int64(len(data)-3); off < end; {
		b, err := w.Chunk(off, end)
		require.NoError(t, err)
		require.NotEmpty(t, b)
		got = append(got, b...)
		off += int64(len(b))
	}
	require.Equal(t, data[5:len(data)-3], got)
}

type brokenDisk struct{}

func (brokenDisk) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

func TestDiskTroubleIsNotTheFilesFault(t *testing.T) {
	_, err := window.New(brokenDisk{}, 100).View(0, 4)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	require.False(t, errors.Is(err, window.ErrShort))

	_, err = window.New(bytes.NewReader(make([]byte, 10)), 100).View(0, 4)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "a file shorter than we were told")
	require.False(t, errors.Is(err, window.ErrShort))
}
