package clamd

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

// helperDir, when set, makes the test binary a worker that runs a Daemon there, prints its pid and hangs.
const helperDir = "GATEHOUSE_TEST_CLAMD_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(helperDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	d, err := StartDaemon(context.Background(), DaemonConfig{Dir: dir, Databases: filepath.Join(dir, "none")})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for d.loaded.Load() == nil {
		time.Sleep(time.Millisecond)
	}
	fmt.Println(d.loaded.Load().pid)
	select {}
}

// logged collects log lines.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func daemon(t *testing.T, cfg DaemonConfig) (*Daemon, *Scanner, *logged) {
	t.Helper()
	noLeaks(t)
	out := &logged{}
	cfg.Log = slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "clamd")
	}
	if cfg.Databases == "" {
		cfg.Databases = filepath.Join(t.TempDir(), "none")
	}
	d, err := startDaemon(context.Background(), cfg, 50*time.Millisecond)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	s, err := New(Config{Address: d.Address(), Fingerprint: d.Fingerprint})
	require.NoError(t, err)
	return d, s, out
}

func awaitReady(t *testing.T, s *Scanner, out *logged) Status {
	t.Helper()
	var status Status
	var err error
	for range 600 {
		if status, err = s.Check(context.Background()); err == nil {
			return status
		}
		time.Sleep(50 * time.Millisecond)
	}
	require.NoError(t, err, out.String())
	return status
}

func TestDaemonWithTestSignatures(t *testing.T) {
	d, s, out := daemon(t, DaemonConfig{})
	status := awaitReady(t, s, out)
	require.True(t, status.TestSignaturesOnly)
	require.True(t, d.TestSignaturesOnly())
	require.True(t, strings.HasPrefix(status.Database, TestSignaturesPrefix), status.Database)
	require.Contains(t, out.String(), "NO VIRUS SIGNATURES")
	require.NotContains(t, out.String(), "level=ERROR")

	v, err := scan(s, []byte("so GATEHOUSE-TEST-SIGNATURE it is"))
	require.NoError(t, err)
	require.Equal(t, storage.ScanInfected, v.Status)
	require.Equal(t, status.Database, v.Database)

	folder, err := os.Stat(d.places.private)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), folder.Mode().Perm())
	if as := d.places.credential; as != nil {
		require.EqualValues(t, as.Uid, folder.Sys().(*syscall.Stat_t).Uid)
		uids, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.loaded.Load().pid))
		require.NoError(t, err)
		require.Contains(t, string(uids), fmt.Sprintf("Uid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d", as.Uid))
	}

	_, err = StartDaemon(context.Background(), DaemonConfig{Dir: d.cfg.Dir})
	require.ErrorContains(t, err, "in use by another worker")

	pid := d.loaded.Load().pid
	require.NoError(t, d.Close())
	require.False(t, alive(pid))
	require.NoDirExists(t, d.places.private)
	require.ErrorIs(t, s.Ready(context.Background()), ErrUnavailable)
}

// A worker started from a shell that keeps its files to itself still has a clamd that can read what it needs.
func TestDaemonOfAStrictShell(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	_, s, out := daemon(t, DaemonConfig{})
	awaitReady(t, s, out)
}

// Files at the cap are looked at to their last byte; what is beyond is unscannable, and so is what unpacks to
// more than may be.
func TestDaemonLimits(t *testing.T) {
	const mark = "GATEHOUSE-TEST-SIGNATURE"
	_, s, out := daemon(t, DaemonConfig{MaxFileBytes: 3 << 20, MaxUnpackedBytes: 4 << 20})
	awaitReady(t, s, out)
	atCap := append(noise(3<<20-len(mark)), mark...)
	v, err := scan(s, atCap)
	require.NoError(t, err)
	require.Equal(t, storage.ScanInfected, v.Status)
	v, err = scan(s, append(noise(1), atCap...))
	require.NoError(t, err)
	require.Equal(t, storage.ScanUnscannable, v.Status)
	require.Equal(t, "Heuristics.Limits.Exceeded.MaxFileSize", v.Signature)
	large := string(make([]byte, 3<<20-10))
	v, err = scan(s, zipped(t, map[string]string{"a": large, "b": large}))
	require.NoError(t, err)
	require.Equal(t, storage.ScanUnscannable, v.Status)
}

// clamd dies under a scan: the scan is an error, not a verdict; the daemon brings it back.
func TestDaemonSurvivesKill(t *testing.T) {
	d, s, out := daemon(t, DaemonConfig{MaxFileBytes: 1 << 30})
	awaitReady(t, s, out)
	pid := d.loaded.Load().pid
	f, err := os.Create(filepath.Join(t.TempDir(), "large"))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Truncate(1<<30)) // long enough to scan
	killed := make(chan error, 1)
	go func() {
		for !holdsOpen(pid, f.Name()) {
			time.Sleep(time.Millisecond)
		}
		killed <- syscall.Kill(pid, syscall.SIGKILL)
	}()
	v, err := s.Scan(context.Background(), f, 1<<30)
	require.NoError(t, <-killed)
	require.ErrorIs(t, err, errCut)
	require.Zero(t, v)
	awaitReady(t, s, out)
	require.NotEqual(t, pid, d.loaded.Load().pid)
	require.Contains(t, out.String(), "clamd ended, starting it again")
}

func holdsOpen(pid int, path string) bool {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && to == path {
			return true
		}
	}
	return false
}

// A worker that is killed takes its clamd along, and its successor starts in the same folder.
func TestDaemonDiesWithTheWorker(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "clamd")
	worker := exec.Command(os.Args[0])
	worker.Env = append(os.Environ(), helperDir+"="+dir)
	said, err := worker.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, worker.Start())
	line := make([]byte, 100)
	n, err := said.Read(line)
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	require.NoError(t, err, string(line[:n]))
	require.NoError(t, worker.Process.Kill())
	_ = worker.Wait()
	require.Eventually(t, func() bool { return !alive(pid) }, 10*time.Second, 10*time.Millisecond)
	_, s, out := daemon(t, DaemonConfig{Dir: dir})
	awaitReady(t, s, out)
}

// alive reports whether the process runs; one that awaits its burial does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

// The official database appears while the test signatures are in use: clamd changes over, and names it.
func TestDaemonTakesUpTheDatabase(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(folder), 0o755)) // clamd's own user must get there
	require.NoError(t, os.Chmod(folder, 0o755))
	d, s, out := daemon(t, DaemonConfig{Databases: folder})
	require.True(t, awaitReady(t, s, out).TestSignaturesOnly)

	local := filepath.Join(folder, "main.cud")
	require.NoError(t, os.WriteFile(local, siteDatabase(t, "main"), 0o644))
	require.Eventually(t, func() bool { return !d.TestSignaturesOnly() && d.loaded.Load() != nil }, 10*time.Second, 5*time.Millisecond)
	first := awaitReady(t, s, out)
	require.Regexp(t, `^folder:[0-9a-f]{32}$`, first.Database)

	require.NoError(t, os.WriteFile(filepath.Join(folder, "daily.cud"), siteDatabase(t, "daily"), 0o644))
	require.Eventually(t, func() bool {
		status, err := s.Check(context.Background())
		return err == nil && strings.HasPrefix(status.Database, "daily:4711/")
	}, 30*time.Second, 50*time.Millisecond, out.String())
	require.NotContains(t, out.String(), "level=ERROR")
}

// siteDatabase makes what `sigtool --build --unsigned` makes: a header of 512 bytes and a tar.gz.
func siteDatabase(t *testing.T, name string) []byte {
	t.Helper()
	head := "ClamAV-VDB:21 Nov 2026 20-41 +0000:4711:2:90:"
	info := head + fmt.Sprintf("X:X:x:1795293706\n%s.ndb:%d:%x\n", name, len(testSignatures), sha256.Sum256(testSignatures))
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	tw := tar.NewWriter(zw)
	for _, member := range []struct{ name, text string }{
		{"COPYING", "x\n"}, {name + ".info", info}, {name + ".ndb", string(testSignatures)},
	} {
		require.NoError(t, tw.WriteHeader(&tar.Header{Name: member.name, Size: int64(len(member.text)), Format: tar.FormatUSTAR}))
		_, err := tw.Write([]byte(member.text))
		require.NoError(t, err)
	}
	require.NoError(t, tw.Close())
	require.NoError(t, zw.Close())
	header := head + fmt.Sprintf("%x:X:x:1795293706", md5.Sum(packed.Bytes()))
	return append(fmt.Appendf(nil, "%-512s", header), packed.Bytes()...)
}

// A clamd that cannot start is tried again with a pause, its complaint is in the log, and nothing is ready.
func TestDaemonThatCannotStart(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "daily.cvd"), []byte("not a database"), 0o644))
	d, s, out := daemon(t, DaemonConfig{Databases: folder})
	require.Eventually(t, func() bool { return strings.Count(out.String(), "clamd ended") > 1 }, 30*time.Second, 20*time.Millisecond)
	require.ErrorIs(t, s.Ready(context.Background()), ErrUnavailable)
	require.False(t, d.TestSignaturesOnly())
}

func TestDaemonConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]DaemonConfig{
		"no folder":       {},
		"a cap too large": {Dir: t.TempDir(), MaxFileBytes: 1 << 31},
		"no clamd":        {Dir: t.TempDir(), Executable: "/nowhere/clamd"},
	} {
		_, err := StartDaemon(context.Background(), cfg)
		require.Error(t, err, name)
	}
	_, err := render([]setting{{"LocalSocket", "/a\nTCPSocket 3310", "a value that would be a second line"}})
	require.Error(t, err)
}

// A path too long for a socket moves to the temporary folder, always the same one.
func TestLongFolder(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	p, err := choosePlaces(long)
	require.NoError(t, err)
	require.LessOrEqual(t, len(p.socket), maxSocketPath)
	again, err := choosePlaces(long)
	require.NoError(t, err)
	require.Equal(t, p, again)
	other, err := choosePlaces(long + "er")
	require.NoError(t, err)
	require.NotEqual(t, p.folder, other.folder)

	// Somebody else's folder in its place is refused.
	require.NoError(t, os.Symlink(t.TempDir(), p.folder))
	defer os.Remove(p.folder)
	require.ErrorContains(t, p.prepare(), "not a folder of the worker's user")
}
