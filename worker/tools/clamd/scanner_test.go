package clamd

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/storage"
)

func print(name string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return name, nil }
}

// realScanners leads to the test services' clamd both ways.
func realScanners(t testing.TB) map[string]*Scanner {
	t.Helper()
	out := map[string]*Scanner{}
	for name, address := range map[string]string{
		"unix": "unix://" + services.ClamdSocket(t), "tcp": "tcp://" + services.ClamdTCP(t),
	} {
		s, err := New(Config{Address: address, Fingerprint: print("local:1"), TempDir: t.TempDir()})
		require.NoError(t, err)
		out[name] = s
	}
	return out
}

func zipped(t testing.TB, members map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, text := range members {
		m, err := w.Create(name)
		require.NoError(t, err)
		_, err = io.WriteString(m, text)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func noise(n int) []byte {
	out := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(out)
	return out
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func TestRealVerdicts(t *testing.T) {
	encrypted, err := storedZip([]byte(eicar), 0x1)
	require.NoError(t, err)
	nested, err := nest([]byte(eicar), nestedZips)
	require.NoError(t, err)
	const found = "Eicar-Test-Signature.UNOFFICIAL"
	docx := map[string]string{
		"[Content_Types].xml": `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`,
		"word/document.xml":   "<w:document/>", "word/media/image1.png": eicar,
	}
	table := []struct {
		name      string
		data      []byte
		status    storage.ScanStatus
		signature string
	}{
		{"text", []byte("hello, this is an ordinary text"), storage.ScanClean, ""},
		{"empty", nil, storage.ScanClean, ""},
		{"five bytes, at which clamd does not look", []byte("12345"), storage.ScanClean, ""},
		{"just over what is spooled in memory", noise(spoolInMemory + 1), storage.ScanClean, ""},
		{"large", noise(20 << 20), storage.ScanClean, ""},
		{"EICAR", []byte(eicar), storage.ScanInfected, found},
		{"EICAR in a zip", zipped(t, map[string]string{"a.txt": eicar}), storage.ScanInfected, found},
		{"EICAR in a docx", zipped(t, docx), storage.ScanInfected, found},
		{"another signature", append(noise(2<<20), "GATEHOUSE-TEST-SIGNATURE"...), storage.ScanInfected, "Gatehouse-Test-Signature.UNOFFICIAL"},
		{"encrypted zip", encrypted, storage.ScanUnscannable, "Heuristics.Encrypted.Zip"},
		{"nested too deeply", nested, storage.ScanUnscannable, "Heuristics.Limits.Exceeded.MaxRecursion"},
	}
	for way, s := range realScanners(t) {
		for _, row := range table {
			t.Run(way+" "+row.name, func(t *testing.T) {
				noLeaks(t)
				start := time.Now()
				file := filepath.Join(t.TempDir(), "f")
				require.NoError(t, os.WriteFile(file, row.data, 0o600))
				f, err := os.Open(file)
				require.NoError(t, err)
				defer f.Close()
				for _, r := range []io.Reader{bytes.NewReader(row.data), f} {
					v, err := s.Scan(context.Background(), r, int64(len(row.data)))
					require.NoError(t, err)
					require.True(t, v.Holds(int64(len(row.data)), sum(row.data)))
					require.Equal(t, row.status, v.Status)
					require.Equal(t, row.signature, v.Signature)
					require.Regexp(t, `^ClamAV \d+\.\d+`, v.Engine)
					require.Equal(t, "local:1", v.Database)
					require.False(t, v.ScannedAt.Before(start.Truncate(time.Second)))
				}
			})
		}
	}
}

func TestRealReadiness(t *testing.T) {
	for way, s := range realScanners(t) {
		status, err := s.Check(context.Background())
		require.NoError(t, err, way)
		require.Equal(t, "local:1", status.Database)
		require.False(t, status.TestSignaturesOnly)
	}
	tcp := realScanners(t)["tcp"]
	tcp.maxFileBytes = 1 << 31
	require.ErrorContains(t, tcp.Ready(context.Background()), "StreamMaxLength")
	tcp.fingerprint = nil
	require.ErrorIs(t, tcp.Ready(context.Background()), ErrUnavailable, "a verdict without a database is none")
	_, err := scan(tcp, content)
	require.ErrorIs(t, err, ErrUnavailable)
	tcp.fingerprint = print("")
	_, err = scan(tcp, content)
	require.ErrorIs(t, err, ErrUnavailable)
}

// A file that stands in its middle is read from there, like any reader.
func TestFileNotAtItsBeginning(t *testing.T) {
	s := realScanners(t)["unix"]
	file := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(file, []byte("12345"+eicar), 0o600))
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.Seek(5, io.SeekStart)
	require.NoError(t, err)
	v, err := s.Scan(context.Background(), f, int64(len(eicar)))
	require.NoError(t, err)
	require.Equal(t, storage.ScanInfected, v.Status)
	require.True(t, v.Holds(int64(len(eicar)), sum([]byte(eicar))))
	_, err = f.Seek(0, io.SeekStart)
	require.NoError(t, err)
	_, err = s.Scan(context.Background(), f, int64(len(eicar)))
	require.ErrorIs(t, err, errSize, "the declared size is not the file's")
}

func TestManyAtOnce(t *testing.T) {
	noLeaks(t)
	data := noise(300 << 10)
	for _, s := range realScanners(t) {
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				mine, want := append(data[:len(data):len(data)], fmt.Sprint(i)...), storage.ScanClean
				if i%2 == 0 {
					mine, want = append([]byte(eicar), fmt.Sprintf("%*s", i%3, "")...), storage.ScanInfected
				}
				v, err := scan(s, mine)
				if err != nil || v.Status != want || !v.Holds(int64(len(mine)), sum(mine)) {
					t.Errorf("scan %d: %+v, %v", i, v, err)
				}
			})
		}
		wg.Wait()
	}
}

// The real clamd's side of go-clamd's first defect: half a file, a failing reader, and no verdict.
func TestRealReaderFailsMidway(t *testing.T) {
	noLeaks(t)
	for _, s := range realScanners(t) {
		_, err := s.Scan(context.Background(), io.MultiReader(bytes.NewReader(content), failing{}), 2*int64(len(content)))
		require.ErrorIs(t, err, errFailing)
	}
}

var errFailing = fmt.Errorf("the network is gone")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errFailing }

// go-clamd 6: over StreamMaxLength the answer is unlike all others, or lost in a broken pipe. Both are
// unscannable; and readiness tells beforehand. The settings of this clamd are also too lax to be ready.
func TestOverStreamMaxLength(t *testing.T) {
	noLeaks(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	dir := t.TempDir()
	require.NoError(t, writeTestSignatures(dir))
	conf := filepath.Join(t.TempDir(), "clamd.conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil,
		"Foreground yes\nTCPSocket %d\nTCPAddr 127.0.0.1\nDatabaseDirectory %s\nStreamMaxLength 1M\n", port, dir), 0o600))
	cmd := exec.Command("/usr/sbin/clamd", "--config-file="+conf)
	require.NoError(t, cmd.Start())
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	s, err := New(Config{Address: fmt.Sprintf("tcp://127.0.0.1:%d", port), Fingerprint: FolderFingerprint(dir)})
	require.NoError(t, err)
	require.Eventually(t, func() bool { _, err := scan(s, content); return err == nil }, time.Minute, 50*time.Millisecond)
	for _, size := range []int{1<<20 + 1, 1<<20 + 5000, 8 << 20} {
		data := noise(size)
		v, err := scan(s, data)
		require.NoError(t, err)
		require.Equal(t, storage.ScanUnscannable, v.Status)
		require.Equal(t, "INSTREAM size limit exceeded", v.Signature)
		require.True(t, v.Holds(int64(size), sum(data)))
	}
	v, err := scan(s, noise(1<<20))
	require.NoError(t, err)
	require.Equal(t, storage.ScanClean, v.Status)
	require.Regexp(t, `^folder:[0-9a-f]{32}$`, v.Database)
	require.ErrorContains(t, s.Ready(context.Background()), "AlertEncrypted")
}

func BenchmarkScanFile(b *testing.B) {
	s := realScanners(b)["unix"]
	file := filepath.Join(b.TempDir(), "f")
	data := noise(16 << 20)
	require.NoError(b, os.WriteFile(file, data, 0o600))
	f, err := os.Open(file)
	require.NoError(b, err)
	defer f.Close()
	for b.Loop() {
		v, err := s.Scan(context.Background(), f, int64(len(data)))
		require.NoError(b, err)
		require.Equal(b, storage.ScanClean, v.Status)
	}
}
