package release_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/stretchr/testify/require"

	"gatehouse/storage/meta/metatest"
)

// asked sends one request after another on connections of its own, and takes the answers as bytes.
func asked(b *testing.B, url, header string) {
	b.Helper()
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	request := []byte("GET /" + path + " HTTP/1.1\r\nHost: x\r\n" + header + "\r\n")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		for pb.Next() {
			if _, err := conn.Write(request); err != nil {
				b.Error(err)
				return
			}
			resp, err := http.ReadResponse(in, nil)
			if err != nil || resp.StatusCode != http.StatusOK {
				b.Error(resp, err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
		}
	})
}

// BenchmarkQuestions compares the questions of clients with a bare fiber handler that returns the same bytes.
func BenchmarkQuestions(b *testing.B) {
	r := newRig(b, metatest.SQLite(b))
	row := r.publish(win, "1.1.0", nil)
	latest := r.get("updates/latest/?platform=win32&arch=x64&current_version=1.0.0").body
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/latest.yml", func(c *fiber.Ctx) error { return c.SendString(row.Manifest) })
	app.Get("/latest", func(c *fiber.Ctx) error { return c.Send(latest) })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	go func() { _ = app.Listener(ln) }()
	b.Cleanup(func() { _ = app.Shutdown() })
	bare := "http://" + ln.Addr().String()
	staging := "x-user-staging-id: " + early + "\r\n"
	b.Run("latest.yml", func(b *testing.B) { asked(b, r.url+"feed/stable/win32/x64/latest.yml", staging) })
	b.Run("latest.yml, bare", func(b *testing.B) { asked(b, bare+"/latest.yml", staging) })
	b.Run("latest", func(b *testing.B) {
		asked(b, r.url+"updates/latest/?platform=win32&arch=x64&current_version=1.0.0", "")
	})
	b.Run("latest, bare", func(b *testing.B) { asked(b, bare+"/latest", "") })
}

// BenchmarkFile is a whole file, checked piece by piece, through the server.
func BenchmarkFile(b *testing.B) {
	r := newRig(b, metatest.SQLite(b))
	content := r.file(64 << 20)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		resp, err := http.Get(r.url + setup)
		require.NoError(b, err)
		n, err := io.Copy(io.Discard, resp.Body)
		require.NoError(b, err)
		require.EqualValues(b, len(content), n)
		resp.Body.Close()
	}
}
