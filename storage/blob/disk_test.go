package blob_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/blob"
	"gatehouse/storage/blob/blobtest"
)

func openDisk(t testing.TB, root string) *blob.Zones {
	t.Helper()
	zones, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: root})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	return zones
}

func TestDisk(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) *blob.Zones { return openDisk(t, t.TempDir()) })
}

// TestDiskRelativeRoot: the default configuration names the folder relative to where the program starts.
func TestDiskRelativeRoot(t *testing.T) {
	t.Chdir(t.TempDir())
	zones := openDisk(t, "data/store")
	t.Chdir(t.TempDir())
	require.NoError(t, zones.Clean.Put(t.Context(), "t/k", strings.NewReader("x"), 1, blob.PutOptions{}))
	_, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk})
	require.Error(t, err)
}

func TestDiskModes(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	root := filepath.Join(t.TempDir(), "store")
	zones := openDisk(t, root)
	require.NoError(t, zones.Quarantine.Put(t.Context(), "t/ab/k", strings.NewReader("x"), 1, blob.PutOptions{}))
	require.NoError(t, zones.Promote(t.Context(), "t/ab/k"))
	require.NoError(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := e.Info()
		require.NoError(t, err)
		want := fs.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		require.Equal(t, want, info.Mode().Perm(), path)
		return nil
	}))
}

// TestDiskFile: the scanner takes a file by its descriptor.
func TestDiskFile(t *testing.T) {
	zones := openDisk(t, t.TempDir())
	require.NoError(t, zones.Clean.Put(t.Context(), "t/k", strings.NewReader("content"), 7, blob.PutOptions{}))
	body, _, err := zones.Clean.Open(t.Context(), "t/k", 0, -1)
	require.NoError(t, err)
	require.IsType(t, &os.File{}, body)
	require.NoError(t, body.Close())
	body, _, err = zones.Clean.Open(t.Context(), "t/k", 1, -1)
	require.NoError(t, err)
	_, isFile := body.(*os.File)
	require.False(t, isFile, "whoever takes the descriptor must not see more than was asked for")
	_, seekable := body.(io.ReaderAt)
	require.True(t, seekable)
	require.NoError(t, body.Close())
}

// plant puts a file outside of the store and returns its folder and that of the store.
func plant(t *testing.T) (outside, root string) {
	t.Helper()
	base := t.TempDir()
	outside, root = filepath.Join(base, "outside"), filepath.Join(base, "store")
	require.NoError(t, os.MkdirAll(filepath.Join(outside, "ab"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(outside, "ab", "secret"), []byte("secret"), 0o600))
	return outside, root
}

func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		require.NoError(t, err)
		if e.Type().IsRegular() {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			files[path] = string(data)
		} else {
			files[path] = e.Type().String()
		}
		return nil
	}))
	return files
}

func TestDiskTraversal(t *testing.T) {
	outside, root := plant(t)
	zones := openDisk(t, root)
	before := snapshot(t, outside)
	keys := slices.Concat(blobtest.Illegal, []string{
		"../../outside/secret", "../outside/secret", "t/../../../outside/secret", outside + "/secret",
		"../clean/t/k", ".tmp/../../outside/secret", "t/..", "t/../..", `..\outside\secret`,
		"%2e%2e/outside/secret", "..%2foutside", "t/\x00/../../outside/secret", "t/ab/../../../../outside/secret",
	})
	for _, k := range keys {
		for _, b := range []blob.Bucket{zones.Quarantine, zones.Clean} {
			_, _, err := b.Open(t.Context(), k, 0, -1)
			require.ErrorIs(t, err, blob.ErrKey, "%q", k)
			require.ErrorIs(t, b.Put(t.Context(), k, strings.NewReader("x"), 1, blob.PutOptions{}), blob.ErrKey, "%q", k)
			require.ErrorIs(t, b.Delete(t.Context(), k), blob.ErrKey, "%q", k)
		}
		require.ErrorIs(t, zones.Promote(t.Context(), k), blob.ErrKey, "%q", k)
	}
	require.Equal(t, before, snapshot(t, outside))
}

// TestDiskLinks: whoever gets a symbolic link into the store gains nothing by it, wherever it points.
func TestDiskLinks(t *testing.T) {
	for _, target := range []string{"outside", "sibling"} {
		t.Run(target, func(t *testing.T) {
			outside, root := plant(t)
			zones := openDisk(t, root)
			b := zones.Clean
			require.NoError(t, b.Put(t.Context(), "victim/ab/secret", strings.NewReader("secret"), 6, blob.PutOptions{}))
			require.NoError(t, b.Put(t.Context(), "t/ab/own", strings.NewReader("own"), 3, blob.PutOptions{}))
			zone := filepath.Join(root, "clean")
			to := outside
			if target == "sibling" {
				to = "../../victim" // within the zone, relative: os.Root would follow it
			}
			require.NoError(t, os.Symlink(filepath.Join(to, "ab", "secret"), filepath.Join(zone, "t", "ab", "file")))
			require.NoError(t, os.Symlink(filepath.Join(to, "ab", "nothing"), filepath.Join(zone, "t", "ab", "dangling")))
			before := snapshot(t, outside)
			for _, k := range []string{"t/ab/file", "t/ab/dangling"} {
				_, _, err := b.Open(t.Context(), k, 0, -1)
				require.ErrorIs(t, err, blob.ErrNotExist)
				_, err = b.Stat(t.Context(), k)
				require.ErrorIs(t, err, blob.ErrNotExist)
				require.ErrorIs(t, zones.Quarantine.CopyFrom(t.Context(), b, k, k), blob.ErrNotExist)
				require.NoError(t, b.Delete(t.Context(), k))
			}
			require.Equal(t, []string{"t/ab/own", "victim/ab/secret"}, keysOf(t, b, ""))
			require.NoError(t, b.Put(t.Context(), "t/ab/file", strings.NewReader("mine"), 4, blob.PutOptions{}), "the link is replaced")
			require.Equal(t, before, snapshot(t, outside))

			if target == "outside" { // folders: os.Root refuses those that lead out
				require.NoError(t, os.Symlink(filepath.Join(outside, "ab"), filepath.Join(zone, "t", "cd")))
				_, _, err := b.Open(t.Context(), "t/cd/secret", 0, -1)
				require.Error(t, err)
				require.Error(t, b.Put(t.Context(), "t/cd/new", strings.NewReader("x"), 1, blob.PutOptions{}))
				require.Error(t, b.Delete(t.Context(), "t/cd/secret"))
				require.Error(t, zones.Quarantine.CopyFrom(t.Context(), b, "t/cd/secret", "t/cd/secret"))
				require.Empty(t, keysOf(t, b, "t/cd/"))
			}
			require.Equal(t, []string{"t/ab/file", "t/ab/own"}, keysOf(t, b, "t/"))
			require.Equal(t, before, snapshot(t, outside))
			data, err := os.ReadFile(filepath.Join(zone, "victim", "ab", "secret"))
			require.NoError(t, err)
			require.Equal(t, "secret", string(data))
		})
	}
}

func keysOf(t *testing.T, b blob.Bucket, prefix string) []string {
	t.Helper()
	var keys []string
	for info, err := range b.List(t.Context(), prefix, "") {
		require.NoError(t, err)
		keys = append(keys, info.Key)
	}
	return keys
}

// TestDiskStrangers: devices, pipes and foreign names are neither objects nor in the way.
func TestDiskStrangers(t *testing.T) {
	root := t.TempDir()
	zones := openDisk(t, root)
	zone := filepath.Join(root, "clean")
	require.NoError(t, zones.Clean.Put(t.Context(), "t/k", strings.NewReader("x"), 1, blob.PutOptions{}))
	require.NoError(t, syscall.Mkfifo(filepath.Join(zone, "t", "pipe"), 0o600))
	for _, name := range []string{".hidden", "with space", "grüße", "a+b"} {
		require.NoError(t, os.WriteFile(filepath.Join(zone, "t", name), nil, 0o600))
	}
	require.Equal(t, []string{"t/k"}, keysOf(t, zones.Clean, ""))
	_, _, err := zones.Clean.Open(t.Context(), "t/pipe", 0, -1)
	require.ErrorIs(t, err, blob.ErrNotExist)
}

// TestDiskKeyInKey: the same name cannot be an object and a folder.
func TestDiskKeyInKey(t *testing.T) {
	b := openDisk(t, t.TempDir()).Clean
	require.NoError(t, b.Put(t.Context(), "t/ab/k", strings.NewReader("x"), 1, blob.PutOptions{}))
	for _, k := range []string{"t/ab", "t", "t/ab/k/deeper", "t/ab/k/much/deeper"} {
		err := b.Put(t.Context(), k, strings.NewReader("x"), 1, blob.PutOptions{})
		require.ErrorIs(t, err, blob.ErrKey, k)
		require.NotErrorIs(t, err, blob.ErrNotExist)
	}
	require.Equal(t, []string{"t/ab/k"}, keysOf(t, b, ""))
}

func temps(t *testing.T, root string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, "*", ".tmp", "*"))
	require.NoError(t, err)
	return found
}

// TestDiskCrash: what a killed process left behind is not listed, and goes when it is old.
func TestDiskCrash(t *testing.T) {
	root := t.TempDir()
	first := openDisk(t, root)
	require.NoError(t, first.Clean.Put(t.Context(), "t/k", strings.NewReader("x"), 1, blob.PutOptions{}))
	var old []string
	for _, zone := range []string{"quarantine", "clean"} {
		fresh := filepath.Join(root, zone, ".tmp", "FRESH")
		stale := filepath.Join(root, zone, ".tmp", "STALE")
		require.NoError(t, os.WriteFile(fresh, []byte("half"), 0o600))
		require.NoError(t, os.WriteFile(stale, []byte("half"), 0o600))
		require.NoError(t, os.Chtimes(stale, time.Now().Add(-3*time.Hour), time.Now().Add(-3*time.Hour)))
		old = append(old, fresh)
	}
	zones := openDisk(t, root)
	require.ElementsMatch(t, old, temps(t, root), "another process may be writing the fresh ones")
	require.Equal(t, []string{"t/k"}, keysOf(t, zones.Clean, ""))
	require.Empty(t, keysOf(t, zones.Quarantine, ""))
}

// TestDiskNoTemps: nothing stays behind, whatever happens to a put or a copy.
func TestDiskNoTemps(t *testing.T) {
	root := t.TempDir()
	zones := openDisk(t, root)
	ctx := t.Context()
	gone, cancel := context.WithCancel(ctx)
	cancel()
	b := zones.Quarantine
	require.NoError(t, b.Put(ctx, "t/k", strings.NewReader("x"), 1, blob.PutOptions{}))
	require.Error(t, b.Put(ctx, "t/k", io.MultiReader(strings.NewReader("x")), 2, blob.PutOptions{}))
	require.Error(t, b.Put(ctx, "t/k/x", strings.NewReader("x"), 1, blob.PutOptions{}))
	require.Error(t, b.Put(ctx, "t", strings.NewReader("x"), 1, blob.PutOptions{}))
	require.Error(t, b.Put(gone, "t/k", strings.NewReader("x"), 1, blob.PutOptions{}))
	for range 3 { // rename does nothing when both names are one file, and leaves the first
		require.NoError(t, zones.Promote(ctx, "t/k"))
	}
	require.Error(t, zones.Promote(ctx, "t/none"))
	require.NoError(t, zones.Ready(ctx))
	require.Empty(t, temps(t, root))
}

// TestDiskSharesBytes: promoting a large file moves nothing.
func TestDiskSharesBytes(t *testing.T) {
	root := t.TempDir()
	zones := openDisk(t, root)
	require.NoError(t, zones.Quarantine.Put(t.Context(), "t/k", strings.NewReader("x"), 1, blob.PutOptions{}))
	require.NoError(t, zones.Promote(t.Context(), "t/k"))
	a, err := os.Stat(filepath.Join(root, "quarantine", "t", "k"))
	require.NoError(t, err)
	b, err := os.Stat(filepath.Join(root, "clean", "t", "k"))
	require.NoError(t, err)
	require.True(t, os.SameFile(a, b))
	other := openDisk(t, t.TempDir())
	require.Error(t, other.Clean.CopyFrom(t.Context(), zones.Quarantine, "t/k", "t/k"), "another store")
}

// TestDiskFolderCleared: folders that an operator removes are made again.
func TestDiskFolderCleared(t *testing.T) {
	root := t.TempDir()
	zones := openDisk(t, root)
	for range 2 {
		require.NoError(t, zones.Clean.Put(t.Context(), "t/ab/k", strings.NewReader("x"), 1, blob.PutOptions{}))
		require.NoError(t, os.RemoveAll(filepath.Join(root, "clean", "t")))
		_, err := zones.Clean.Stat(t.Context(), "t/ab/k")
		require.ErrorIs(t, err, blob.ErrNotExist)
	}
	require.NoError(t, os.RemoveAll(filepath.Join(root, "clean", ".tmp")))
	err := zones.Clean.Put(t.Context(), "t/ab/k", strings.NewReader("x"), 1, blob.PutOptions{})
	require.ErrorIs(t, err, blob.ErrUnavailable)
	require.ErrorIs(t, zones.Ready(t.Context()), blob.ErrUnavailable)
}

// TestDiskTwoProcesses: gateway and worker share the store of the embedded mode.
func TestDiskTwoProcesses(t *testing.T) {
	root := t.TempDir()
	a, b := openDisk(t, root), openDisk(t, root)
	require.NoError(t, a.Quarantine.Put(t.Context(), "t/ab/k", strings.NewReader("x"), 1, blob.PutOptions{}))
	require.NoError(t, b.Promote(t.Context(), "t/ab/k"))
	require.NoError(t, b.Quarantine.Delete(t.Context(), "t/ab/k"))
	body, _, err := a.Clean.Open(t.Context(), "t/ab/k", 0, -1)
	require.NoError(t, err)
	got, err := io.ReadAll(body)
	require.NoError(t, errors.Join(err, body.Close()))
	require.Equal(t, "x", string(got))
	require.NoError(t, a.Quarantine.Put(t.Context(), "t/ab/k", bytes.NewReader([]byte("y")), 1, blob.PutOptions{}), "the folder is still there")
}

// TestListSweepsTemp: a process that runs for months must not keep what its killed neighbours left.
func TestListSweepsTemp(t *testing.T) {
	root := t.TempDir()
	zones, err := blob.Open(t.Context(), blob.Config{Driver: blob.DriverDisk, Root: root})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	require.NoError(t, zones.Clean.Put(t.Context(), "t/k", strings.NewReader("x"), 1, blob.PutOptions{}))
	fresh, stale := filepath.Join(root, "clean", ".tmp", "FRESH"), filepath.Join(root, "clean", ".tmp", "STALE")
	for _, name := range []string{fresh, stale} {
		require.NoError(t, os.WriteFile(name, []byte("half"), 0o600))
	}
	long := time.Now().Add(-3 * time.Hour)
	require.NoError(t, os.Chtimes(stale, long, long))

	keys := func(prefix string) (out []string) {
		for info, err := range zones.Clean.List(t.Context(), prefix, "") {
			require.NoError(t, err)
			out = append(out, info.Key)
		}
		return out
	}
	require.Equal(t, []string{"t/k"}, keys("t/"))
	require.FileExists(t, stale, "a tenant's listing is none of the sweeper's")
	require.Equal(t, []string{"t/k"}, keys(""))
	require.NoFileExists(t, stale)
	require.FileExists(t, fresh)
}
