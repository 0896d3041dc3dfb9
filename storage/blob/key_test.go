package blob

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckKey(t *testing.T) {
	for _, k := range []string{"a", "A/b/C", "0", "-", "_", "a.b", "a..b", "a.", KeyChars[:len(KeyChars)-3], strings.Repeat("a/", MaxSegments-1) + "a"} {
		require.NoError(t, CheckKey(k), k)
	}
	for _, k := range []string{"", ".", "..", "a//b", "a/", "/a", ".a", "a/.b", "a b", "a\\b", "é", strings.Repeat("a/", MaxSegments) + "a"} {
		require.ErrorIs(t, CheckKey(k), ErrKey, k)
	}
	for i := range 256 {
		legal := strings.IndexByte(KeyChars, byte(i)) >= 0
		require.Equal(t, legal, CheckKey("x"+string([]byte{byte(i)})) == nil, "%q", byte(i))
	}
	require.NotContains(t, CheckKey(strings.Repeat("x", 100_000)).Error(), strings.Repeat("x", 300), "hostile keys stay out of the log")
}

func TestCheckPrefix(t *testing.T) {
	for _, p := range []string{"", "a/", "a/b/"} {
		require.NoError(t, checkPrefix(p), p)
	}
	for _, p := range []string{"a", "/", "//", "a//", "../", "a/../", ".tmp/", "a/b"} {
		require.ErrorIs(t, checkPrefix(p), ErrKey, p)
	}
}

// FuzzKey: whatever CheckKey lets through is a plain relative path, made of nothing but KeyChars and slashes.
func FuzzKey(f *testing.F) {
	for _, k := range []string{
		"", "a", "tenant/ab/0123", "../x", "a/../b", "a//b", ".tmp/x", "a/.b", "/etc/passwd", "a\x00b", "a\\..\\b", "C:x", "a/b.thumb.webp",
		"\u202e", "%2e%2e/x", strings.Repeat("a/", 20), strings.Repeat("n", 300), "-rf", "~", "a\n",
	} {
		f.Add(k)
	}
	f.Fuzz(func(t *testing.T, k string) {
		if CheckKey(k) != nil {
			return
		}
		require.True(t, filepath.IsLocal(k))
		require.Equal(t, k, filepath.ToSlash(filepath.Clean(k)), "one name, one file")
		require.LessOrEqual(t, len(k), MaxKeyBytes)
		require.Empty(t, strings.Trim(k, KeyChars+"/"))
		for segment := range strings.SplitSeq(k, "/") {
			require.NotEmpty(t, segment)
			require.LessOrEqual(t, len(segment), MaxSegmentBytes)
			require.NotEqual(t, byte('.'), segment[0])
		}
		require.NoError(t, checkPrefix(k+"/"))
	})
}
