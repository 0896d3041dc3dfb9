package blob

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func openForTest(t *testing.T) (quarantine, clean *disk) {
	t.Helper()
	zones, err := openDisk(Config{Root: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, zones.Close()) })
	return zones.Quarantine.(*disk), zones.Clean.(*disk)
}

// TestListPages lists folders that do not fit into one page.
func TestListPages(t *testing.T) {
	_, d := openForTest(t)
	var want []string
	for i := range 60 {
		want = append(want, fmt.Sprintf("t/%03d", i), fmt.Sprintf("t/f%d/x", i), fmt.Sprintf("t/f%d-x", i))
	}
	for _, k := range want {
		require.NoError(t, d.Put(t.Context(), k, strings.NewReader("x"), 1, PutOptions{}))
	}
	slices.Sort(want)
	for _, page := range []int{1, 2, 7, 59, 60, 180, 1000} {
		var got []string
		w := walk{after: want[3], page: page, yield: func(i Info, err error) bool {
			require.NoError(t, err)
			got = append(got, i.Key)
			return true
		}}
		_, err := w.folder(t.Context(), d.root, "")
		require.NoError(t, err)
		require.Equal(t, want[4:], got, "page %d", page)
	}
}

// TestCopyBytes: where links are refused, the bytes are copied.
func TestCopyBytes(t *testing.T) {
	q, c := openForTest(t)
	require.NoError(t, q.Put(t.Context(), "t/k", strings.NewReader("content"), 7, PutOptions{}))
	require.NoError(t, c.copyBytes(t.Context(), q, "t/k", "t/other"))
	data, err := c.root.ReadFile("t/other")
	require.NoError(t, err)
	require.Equal(t, "content", string(data))
	require.ErrorIs(t, c.copyBytes(t.Context(), q, "t/none", "t/none"), ErrNotExist)
	require.True(t, linkRefused(fmt.Errorf("link: %w", syscall.EXDEV)))
	require.False(t, linkRefused(syscall.ENOENT))
}

// TestFoldersForget: the memory of durable folders is bounded and never believed blindly.
func TestFoldersForget(t *testing.T) {
	_, d := openForTest(t)
	for i := range knownFolders {
		d.folders.known[fmt.Sprint("other", i)] = struct{}{}
	}
	require.NoError(t, d.folders.ensure("a/b"))
	require.Len(t, d.folders.known, 1)
}

func TestDiskErrors(t *testing.T) {
	for err, want := range map[error]error{
		syscall.ENOENT: ErrNotExist, syscall.ENOTDIR: ErrNotExist,
		syscall.ENOSPC: ErrUnavailable, syscall.EDQUOT: ErrUnavailable, syscall.EIO: ErrUnavailable, syscall.EROFS: ErrUnavailable,
	} {
		require.ErrorIs(t, diskError(fmt.Errorf("write: %w", err)), want)
	}
	require.NotErrorIs(t, diskError(syscall.EACCES), ErrUnavailable)
	require.NoError(t, diskError(nil))
}
