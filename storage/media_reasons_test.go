package storage

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// maxMediaError and maxMediaReason are the widths of the columns.
const (
	maxMediaError  = 500
	maxMediaReason = 64
)

func TestMediaReasons(t *testing.T) {
	slug := regexp.MustCompile(`^[a-z]+(_[a-z]+)+$`)
	seen := map[string]bool{}
	for _, r := range MediaReasons() {
		require.Regexp(t, slug, r.Slug)
		for _, text := range []string{r.Slug, r.English, r.Chinese} {
			require.False(t, seen[text], "twice: %s", text)
			seen[text] = true
		}
		require.True(t, strings.HasSuffix(r.English, "."), r.Slug)
		require.True(t, strings.HasSuffix(r.Chinese, "。"), r.Slug)
		require.True(t, strings.ContainsFunc(r.Chinese, func(c rune) bool { return unicode.Is(unicode.Han, c) }), r.Slug)
		require.LessOrEqual(t, len(r.English), maxMediaError)
		require.LessOrEqual(t, len(r.Slug), maxMediaReason)
		found, ok := MediaReason(r.Slug)
		require.True(t, ok)
		require.Equal(t, r, found)
		require.Equal(t, r.English, r.In(LocaleEnglish))
		require.Equal(t, r.Chinese, r.In(LocaleChinese))
	}
	_, ok := MediaReason("of_tomorrow")
	require.False(t, ok)
	_, ok = MediaReason("")
	require.False(t, ok)
}

// Only what is no fault of the file is worth another try.
func TestMediaReasonsMayRetry(t *testing.T) {
	var ours []string
	for _, r := range MediaReasons() {
		if MediaMayRetry(r.Slug) {
			ours = append(ours, r.Slug)
		}
	}
	require.Equal(t, []string{"quota_exceeded", "variants_failed"}, ours)
	require.False(t, MediaMayRetry(""))
	require.False(t, MediaMayRetry("of_tomorrow"))
}

// A reason that is declared and left out of the table would never be shown in Chinese.
func TestMediaReasonsAreAllInTheTable(t *testing.T) {
	source, err := os.ReadFile("media_reasons.go")
	require.NoError(t, err)
	declared := regexp.MustCompile(`(?m)^\tReason\w+ = Reason\{$`).FindAll(source, -1)
	require.Len(t, MediaReasons(), len(declared))
}

// The table of docs/media.md tells people what to do about each.
func TestMediaReasonsAreInTheManual(t *testing.T) {
	manual, err := os.ReadFile("../docs/media.md")
	require.NoError(t, err)
	for _, r := range MediaReasons() {
		require.Contains(t, string(manual), "| `"+r.Slug+"` |")
	}
}
