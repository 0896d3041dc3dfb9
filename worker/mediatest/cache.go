package mediatest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// unusedAge is how long a made file may lie unused.
const unusedAge = 14 * 24 * time.Hour

// cached returns the path of a file of that name, made by create unless it is there; create must not ask for another.
// recipe must name everything that the file depends on: the file is kept under its digest.
func cached(t testing.TB, name string, recipe []string, create func(out string)) string {
	t.Helper()
	folder := cacheFolder(t)
	sum := sha256.New()
	for _, part := range recipe {
		_, err := fmt.Fprintf(sum, "%d:%s", len(part), part)
		require.NoError(t, err)
	}
	// The name stays the last part: programs tell the format by it.
	path := filepath.Join(folder, hex.EncodeToString(sum.Sum(nil)[:12])+"-"+name)
	defer lock(t, folder)()
	now := time.Now()
	if os.Chtimes(path, now, now) == nil {
		return path
	}
	dropUnused(t, folder)
	unfinished := filepath.Join(folder, "unfinished-"+name)
	create(unfinished)
	require.NoError(t, os.Rename(unfinished, path))
	return path
}

func cacheFolder(t testing.TB) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil { // no home
		base = os.TempDir()
	}
	folder := filepath.Join(base, "gatehouse-mediatest")
	require.NoError(t, os.MkdirAll(folder, 0o700))
	return folder
}

// lock keeps other tests, of this and of other programs, from making files at the same time.
func lock(t testing.TB, folder string) (unlock func()) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	require.NoError(t, err)
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	require.NoError(t, err)
	return func() { require.NoError(t, f.Close()) }
}

func dropUnused(t testing.TB, folder string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && e.Name() != "lock" && time.Since(info.ModTime()) > unusedAge {
			require.NoError(t, os.Remove(filepath.Join(folder, e.Name())))
		}
	}
}

// tool is a program's path, and what changes when another version is installed.
func tool(t testing.TB, name string) (path, version string) {
	t.Helper()
	path, err := exec.LookPath(name)
	require.NoError(t, err, "the media tests need ffmpeg and libvips-tools")
	info, err := os.Stat(path)
	require.NoError(t, err)
	return path, fmt.Sprint(info.Size(), info.ModTime().Unix())
}

// run runs a program to its end and returns what it writes to its standard output.
func run(t testing.TB, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	path, _ := tool(t, name)
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin = strings.NewReader(string(stdin))
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	require.NoError(t, err, "%s %q: %s", name, args, said.String())
	return out
}

// vips has the vips program turn bytes into a file of another format and returns it. The operation's two files go
// behind its name, as in: vips operation IN OUT[options] args.
func vips(t testing.TB, in []byte, operation, outName, options string, args ...string) []byte {
	t.Helper()
	_, version := tool(t, "vips")
	recipe := append([]string{"vips", version, operation, outName, options, string(in)}, args...)
	return readFile(t, cached(t, outName, recipe, func(out string) { runVips(t, in, operation, out, options, args...) }))
}

func runVips(t testing.TB, in []byte, operation, out, options string, args ...string) {
	t.Helper()
	source := filepath.Join(t.TempDir(), "in")
	require.NoError(t, os.WriteFile(source, in, 0o600))
	run(t, nil, "vips", append([]string{operation, source, out + options}, args...)...)
}

// ffmpeg has ffmpeg make a file and returns its path. args are all but the output.
func ffmpeg(t testing.TB, outName string, args ...string) string {
	t.Helper()
	_, version := tool(t, "ffmpeg")
	recipe := append([]string{"ffmpeg", version, outName}, args...)
	return cached(t, outName, recipe, func(out string) {
		full := append([]string{"-nostdin", "-hide_banner", "-loglevel", "error", "-y"}, args...)
		run(t, nil, "ffmpeg", append(full, out)...)
	})
}

// patched keeps a changed copy of a file. version is to be raised when change does something else.
func patched(t testing.TB, outName, from, version string, change func(b []byte) []byte) string {
	t.Helper()
	return cached(t, outName, []string{"patched", from, version}, func(out string) {
		require.NoError(t, os.WriteFile(out, change(readFile(t, from)), 0o600))
	})
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}
