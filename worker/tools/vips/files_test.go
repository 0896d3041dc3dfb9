package vips

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A worker may be killed at any time: a picture never has a name where the file system allows that, as tmpfs does.
func TestSpoolHasNoName(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "vips-test-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.Remove(dir)) })
	events, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	require.NoError(t, err)
	defer unix.Close(events)
	_, err = unix.InotifyAddWatch(events, dir, unix.IN_CREATE)
	require.NoError(t, err)

	webps(t, runner(t, Config{TempDir: dir}), asPNG(t, corners(40, 30)), small...)
	f, err := spool(context.Background(), bytes.NewReader([]byte("a picture")), Config{TempDir: dir, MaxBytes: 5})
	require.NoError(t, err)
	defer f.Close()
	read, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, "a pict", string(read), "one byte more than allowed tells that it is too large")
	_, err = f.Write([]byte("x"))
	require.ErrorIs(t, err, unix.EBADF, "the child may only read")

	_, err = unix.Read(events, make([]byte, 1000))
	require.ErrorIs(t, err, unix.EAGAIN, "a name was made")
}

// Elsewhere it has one for a moment.
func TestSpoolLosesItsName(t *testing.T) {
	dir := t.TempDir()
	f, err := unnamed(dir)
	require.NoError(t, err)
	defer f.Close()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	_, err = f.WriteString("a picture")
	require.NoError(t, err)
	_, err = unnamed(dir + "/missing")
	require.ErrorIs(t, err, os.ErrNotExist)
}

// The bound of descriptors has room for the largest job, and for as many as Go and libvips have open between jobs.
func TestDescriptors(t *testing.T) {
	var most []Preset
	for i := range maxPresets {
		most = append(most, Preset{fmt.Sprint("w", i), 20 + i, 85, 2, FormatWebP})
	}
	r := runner(t, Config{})
	for range 2 {
		webps(t, r, asPNG(t, corners(400, 300)), most...)
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.pool.idle[0].process.Pid()))
	require.NoError(t, err)
	require.LessOrEqual(t, 2*(len(open)-4)+5+maxPresets, maxFiles)
}
