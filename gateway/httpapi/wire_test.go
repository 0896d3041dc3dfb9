package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"gatehouse/gateway/stream"
	"gatehouse/storage"
)

// The facts that these tests hold are those that were once measured to go wrong on this server library; each names
// what it is about.

// An early refusal reaches clients that are still sending 50 MiB.
func TestEarlyRefusalReachesGoClient(t *testing.T) {
	s := startServer(t, nil)
	payload := make([]byte, 50<<20)
	for i := range 40 {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: i%2 == 0}}
		resp, err := client.Post(s.url("/refuse"), "application/octet-stream", bytes.NewReader(payload))
		require.NoError(t, err, "request %d", i)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		requireRefusal(t, resp, string(body), 413, storage.CodeFileTooLarge, "")
		client.CloseIdleConnections()
	}
}

func TestEarlyRefusalReachesCurl(t *testing.T) {
	s := startServer(t, nil)
	file := filepath.Join(t.TempDir(), "big.bin")
	require.NoError(t, os.WriteFile(file, make([]byte, 50<<20), 0o600))
	for _, how := range [][]string{{"-F", "file=@" + file}, {"-H", "Expect:", "-F", "file=@" + file}, {"-H", "Expect:", "--data-binary", "@" + file}} {
		for i := range 14 {
			args := append([]string{"-sS", "-o", "-", "-w", "\n%{http_code}", s.url("/refuse")}, how...)
			out, err := exec.Command("curl", args...).CombinedOutput()
			require.NoError(t, err, "%v, request %d: %s", how, i, out)
			require.Contains(t, string(out), `"code":"FILE_TOO_LARGE"`)
			require.True(t, strings.HasSuffix(string(out), "\n413"), "%s", out)
		}
	}
}

// Python's http.client, under requests and urllib3, looks at the socket only after it has sent everything.
func TestEarlyRefusalReachesPython(t *testing.T) {
	s := startServer(t, nil)
	script := `
import http.client, sys
for i in range(10):
    c = http.client.HTTPConnection(sys.argv[1], timeout=30)
    c.request("POST", "/refuse", body=bytes(50 << 20))
    r = c.getresponse(); assert r.status == 413, r.status; assert b"FILE_TOO_LARGE" in r.read()
`
	out, err := exec.Command("python3", "-c", script, s.addr).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// Unread bodies never become a second request.
func TestNoSmuggling(t *testing.T) {
	const hidden = "GET /secret HTTP/1.1\r\nHost: x\r\n\r\n"
	pad := strings.Repeat("x", 8<<10)
	far := strings.Repeat("x", 80<<10)
	chunk := func(body string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body) }
	form := formHead + "data" + formTail
	tests := []struct {
		name, raw string
		status    int
		code      storage.Code
	}{
		{"fixed length, near", "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: " + itoa(len(pad+hidden)) + "\r\n\r\n" + pad + hidden, 413, storage.CodeFileTooLarge},
		{"fixed length, far", "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: " + itoa(len(far+hidden)) + "\r\n\r\n" + far + hidden, 413, storage.CodeFileTooLarge},
		{"no such route", "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: " + itoa(len(pad+hidden)) + "\r\n\r\n" + pad + hidden, 404, storage.CodeNotFound},
		{"wrong method", "DELETE /ok HTTP/1.1\r\nHost: x\r\nContent-Length: " + itoa(len(far+hidden)) + "\r\n\r\n" + far + hidden, 405, storage.CodeMethodNotAllowed},
		{"unknown method", "BREW /ok HTTP/1.1\r\nHost: x\r\nContent-Length: " + itoa(len(pad+hidden)) + "\r\n\r\n" + pad + hidden, 405, storage.CodeMethodNotAllowed},
		{"GET with a body", "GET /panic HTTP/1.1\r\nHost: x\r\nContent-Length: " + itoa(len(far+hidden)) + "\r\n\r\n" + far + hidden, 500, storage.CodeInternal},
		{"JSON too large", "POST /json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " + itoa(2<<20) + "\r\n\r\n" + far + hidden, 400, storage.CodeMalformedRequest},
		{"chunked", "POST /refuse HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(pad+hidden) + hidden, 411, storage.CodeLengthRequired},
		{"chunked to JSON", "POST /json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("{}") + hidden, 411, storage.CodeLengthRequired},
		{"length and chunked", "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(hidden) + hidden, 400, storage.CodeMalformedRequest},
		{"chunked and length", "POST /refuse HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + chunk(hidden) + hidden, 400, storage.CodeMalformedRequest},
		{"other encoding", "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: identity\r\n\r\nabcd" + hidden, 400, storage.CodeMalformedRequest},
		{"gzip, chunked", "POST /refuse HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + chunk(hidden) + hidden, 400, storage.CodeMalformedRequest},
		{"two lengths", "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\nabcd" + hidden, 400, storage.CodeMalformedRequest},
		{"length list", "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 4, 4\r\n\r\nabcd" + hidden, 400, storage.CodeMalformedRequest},
		{"signed length", "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: +4\r\n\r\nabcd" + hidden, 400, storage.CodeMalformedRequest},
		{"space before the colon", "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length : 4\r\n\r\nabcd" + hidden, 400, storage.CodeMalformedRequest},
		{"chunked in HTTP/1.0", "POST /refuse HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(hidden) + hidden, 400, storage.CodeMalformedRequest},
		{"epilogue", formRequest("/upload", len(form)+len(far)+len(hidden)) + "\r\n" + form + far + hidden, 400, storage.CodeMalformedRequest},
		{"epilogue nobody reads", formRequest("/unfinished", len(form)+70<<10) + "\r\n" + form + far + hidden, 400, storage.CodeMalformedRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := startServer(t, func(o *Options) { o.Linger.Idle = 100 * time.Millisecond })
			conn := s.dial()
			_, err := io.WriteString(conn, tt.raw)
			require.NoError(t, err)
			r := bufio.NewReader(conn)
			resp, body := answerOf(t, r)
			requireRefusal(t, resp, body, tt.status, tt.code, "")
			// The next request of a client that pipelines.
			_, _ = io.WriteString(conn, "GET /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			rest, _ := io.ReadAll(r) // a reset is as good as an end here
			require.NotContains(t, string(rest), "secret")
			require.Zero(t, s.secrets.Load(), "the body ran as a request")
		})
	}
}

// A small epilogue behind a form that its handler never finished reading is drained: the connection goes on.
func TestSmallRestIsDrained(t *testing.T) {
	s := startServer(t, nil)
	form := formHead + "data" + formTail
	conn := s.dial()
	const hidden = "GET /secret HTTP/1.1\r\nHost: x\r\n\r\n"
	r := bufio.NewReader(conn)
	_, err := io.WriteString(conn, formRequest("/unfinished", len(form)+len(hidden))+"\r\n"+form+hidden)
	require.NoError(t, err)
	resp, body := answerOf(t, r)
	require.Equal(t, 200, resp.StatusCode, body)
	_, err = io.WriteString(conn, "GET /ok HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	resp, body = answerOf(t, r)
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "ok", body)
	require.Zero(t, s.secrets.Load())
}

// A refused request with a small body keeps its connection: clients with a pool depend on it.
func TestSmallRefusalKeepsConnection(t *testing.T) {
	s := startServer(t, nil)
	conn := s.dial()
	r := bufio.NewReader(conn)
	for range 5 {
		_, err := io.WriteString(conn, "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"+strings.Repeat("x", 1000))
		require.NoError(t, err)
		resp, body := answerOf(t, r)
		requireRefusal(t, resp, body, 413, storage.CodeFileTooLarge, "")
		require.False(t, resp.Close)
	}
}

// A truncated body is never complete.
func TestTruncatedBody(t *testing.T) {
	s := startServer(t, nil)
	conn := s.dial()
	_, err := io.WriteString(conn, formRequest("/upload", 1_000_000)+"\r\n"+formHead+strings.Repeat("x", 50_000))
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	resp, body := answerOf(t, bufio.NewReader(conn))
	requireRefusal(t, resp, body, 400, storage.CodeUploadIncomplete, "truncated")
}

// That the client has gone shows as a failed read.
func TestClientLeaves(t *testing.T) {
	s := startServer(t, nil)
	conn := s.dial()
	_, err := io.WriteString(conn, formRequest("/upload", 1_000_000)+"\r\n"+formHead+"some")
	require.NoError(t, err)
	require.Equal(t, "a.txt", <-s.began)
	require.NoError(t, conn.(*net.TCPConn).SetLinger(0)) // a reset
	require.NoError(t, conn.Close())
	require.Equal(t, storage.CodeUploadIncomplete, storage.CodeOf(<-s.ended))
}

// The handler runs as soon as the file's name is there, not when the file is.
func TestHandlerRunsBeforeTheBodyIsThere(t *testing.T) {
	s := startServer(t, nil)
	conn := s.dial()
	const size = 9 << 20
	_, err := io.WriteString(conn, formRequest("/upload", len(formHead)+size+len(formTail))+"\r\n"+formHead)
	require.NoError(t, err)
	require.Equal(t, "a.txt", <-s.began)
	_, err = conn.Write(make([]byte, size))
	require.NoError(t, err)
	resp, body := s.send(conn, formTail)
	require.Equal(t, 202, resp.StatusCode, body)
	require.Contains(t, body, fmt.Sprintf(`"size":%d`, size))
}

// A limit answers from the header alone, without a byte of the body.
func TestRefusalNeedsOneByteOnly(t *testing.T) {
	s := startServer(t, nil)
	conn := s.dial()
	resp, body := s.send(conn, "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\nx")
	requireRefusal(t, resp, body, 413, storage.CodeFileTooLarge, "")
}

// Uploads are cut by their rate, not by a fixed deadline.
func TestSteadyUploadOutlivesTheHeaderTimeout(t *testing.T) {
	s := startServer(t, func(o *Options) {
		o.HeaderTimeout = 200 * time.Millisecond
		o.IdleTimeout = 200 * time.Millisecond
		o.Pace = stream.Pace{MinBytesPerSecond: 10, Window: 200 * time.Millisecond, Stall: 5 * time.Second}
	})
	conn := s.dial()
	const pieces, piece = 20, 1000
	_, err := io.WriteString(conn, formRequest("/upload", len(formHead)+pieces*piece+len(formTail))+"\r\n"+formHead)
	require.NoError(t, err)
	for range pieces {
		time.Sleep(50 * time.Millisecond) // a second in all: five times each deadline
		_, err := conn.Write(make([]byte, piece))
		require.NoError(t, err)
	}
	resp, body := s.send(conn, formTail)
	require.Equal(t, 202, resp.StatusCode, body)
}

func TestSlowUploadIsCut(t *testing.T) {
	tests := []struct {
		name string
		pace stream.Pace
		more bool // keeps sending, too little
	}{
		{"stalled", stream.Pace{MinBytesPerSecond: 1, Window: time.Hour, Stall: 200 * time.Millisecond}, false},
		{"too little", stream.Pace{MinBytesPerSecond: 1 << 40, Window: 200 * time.Millisecond, Stall: time.Hour}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := startServer(t, func(o *Options) {
				o.Pace = tt.pace
				o.Linger.Idle = 100 * time.Millisecond
			})
			conn := s.dial()
			_, err := io.WriteString(conn, formRequest("/upload", 1<<30)+"\r\n"+formHead)
			require.NoError(t, err)
			stop := make(chan struct{})
			defer close(stop)
			go func() {
				for tt.more {
					select {
					case <-stop:
						return
					case <-time.After(20 * time.Millisecond):
						_, _ = conn.Write([]byte("x"))
					}
				}
			}()
			resp, body := answerOf(t, bufio.NewReader(conn))
			requireRefusal(t, resp, body, 400, storage.CodeUploadIncomplete, "too_slow")
		})
	}
}

// Headers have a deadline (slowloris).
func TestSlowHeadersAreCut(t *testing.T) {
	s := startServer(t, func(o *Options) { o.HeaderTimeout = 200 * time.Millisecond })
	conn := s.dial()
	_, err := io.WriteString(conn, "GET /ok HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	require.NoError(t, err)
	r := bufio.NewReader(conn)
	resp, body := answerOf(t, r)
	requireRefusal(t, resp, body, 408, storage.CodeMalformedRequest, "request_timeout")
	requireClosed(t, r)
}

// Expect: 100-continue is refused before any byte of the body, with the whole envelope.
func TestExpect(t *testing.T) {
	precheck := func(o *Options) {
		o.Precheck = func(ctx *fasthttp.RequestCtx) error {
			if ctx.Request.Header.ContentLength() > 1000 {
				return storage.Refuse(storage.CodeFileTooLarge, storage.Details{"limit": int64(1000)})
			}
			if string(ctx.Request.Header.Peek("Authorization")) == "panic" {
				panic("in the precheck")
			}
			return nil
		}
	}
	form := formHead + "data" + formTail
	t.Run("accepted", func(t *testing.T) {
		s := startServer(t, precheck)
		conn := s.dial()
		r := bufio.NewReader(conn)
		_, err := io.WriteString(conn, formRequest("/upload", len(form))+"Expect: 100-Continue\r\n\r\n")
		require.NoError(t, err)
		line, err := r.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
		_, err = r.ReadString('\n')
		require.NoError(t, err)
		_, err = io.WriteString(conn, form)
		require.NoError(t, err)
		resp, body := answerOf(t, r)
		require.Equal(t, 202, resp.StatusCode, body)
		require.Len(t, s.lines(1), 1)
	})
	refused := []struct {
		name, headers string
		length        int
		status        int
		code          storage.Code
	}{
		{"too large", "", 5000, 413, storage.CodeFileTooLarge},
		{"panic", "Authorization: panic\r\n", 10, 500, storage.CodeInternal},
	}
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			s := startServer(t, precheck)
			conn := s.dial()
			r := bufio.NewReader(conn)
			_, err := io.WriteString(conn, formRequest("/upload", tt.length)+tt.headers+"Expect: 100-continue\r\n\r\n")
			require.NoError(t, err)
			resp, body := answerOf(t, r)
			requireRefusal(t, resp, body, tt.status, tt.code, "")
			require.True(t, resp.Close)
			require.NoError(t, conn.(*net.TCPConn).CloseWrite())
			requireClosed(t, r)
			lines := s.lines(1)
			require.Equal(t, string(tt.code), lines[0]["code"])
			require.Empty(t, s.began)
		})
	}
	t.Run("chunked", func(t *testing.T) {
		s := startServer(t, precheck)
		resp, body := s.send(s.dial(), "POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
		requireRefusal(t, resp, body, 411, storage.CodeLengthRequired, "")
	})
	t.Run("client that does not wait", func(t *testing.T) {
		s := startServer(t, precheck)
		for range 10 {
			conn := s.dial()
			go func() { // errors show as a missing answer below
				_, _ = io.WriteString(conn, formRequest("/upload", 20<<20)+"Expect: 100-continue\r\n\r\n")
				_, _ = conn.Write(make([]byte, 20<<20))
			}()
			resp, body := answerOf(t, bufio.NewReader(conn))
			requireRefusal(t, resp, body, 413, storage.CodeFileTooLarge, "")
		}
	})
	t.Run("curl and Go", func(t *testing.T) {
		s := startServer(t, precheck)
		file := filepath.Join(t.TempDir(), "big.bin")
		require.NoError(t, os.WriteFile(file, make([]byte, 20<<20), 0o600))
		out, err := exec.Command("curl", "-sS", "-H", "Expect: 100-continue", "-w", "%{size_upload}", "-F", "file=@"+file, s.url("/upload")).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "FILE_TOO_LARGE")
		require.True(t, strings.HasSuffix(string(out), "}0"), "bytes were sent: %s", out)
		req, err := http.NewRequest("POST", s.url("/upload"), bytes.NewReader(make([]byte, 20<<20)))
		require.NoError(t, err)
		req.Header.Set("Expect", "100-continue")
		client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: 10 * time.Second}}
		resp, err := client.Do(req)
		require.NoError(t, err)
		require.Equal(t, 413, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
	})
}

// Memory stays constant, whatever the size.
func TestUploadMemoryIsConstant(t *testing.T) {
	s := startServer(t, nil)
	const size = 64 << 20
	var peak uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
		}
	}()
	conn := s.dial()
	_, err := io.WriteString(conn, formRequest("/upload", len(formHead)+size+len(formTail))+"\r\n"+formHead)
	require.NoError(t, err)
	block := make([]byte, 1<<20)
	for range size >> 20 {
		_, err := conn.Write(block)
		require.NoError(t, err)
	}
	resp, body := s.send(conn, formTail)
	close(stop)
	<-stopped
	require.Equal(t, 202, resp.StatusCode, body)
	require.Less(t, int64(peak)-int64(before.HeapAlloc), int64(12<<20))
}

// What a handler keeps of a request stays what it was.
func TestParametersAreCopies(t *testing.T) {
	s := startServer(t, nil)
	conn := s.dial()
	r := bufio.NewReader(conn)
	for _, id := range []string{"first-id", "secondid"} {
		_, err := io.WriteString(conn, "GET /items/"+id+" HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		_, _ = answerOf(t, r)
	}
	require.Equal(t, "first-id", <-s.began)
	require.Equal(t, "secondid", <-s.began)
}

// Requests with many ranges fit into the headers.
func TestThousandRanges(t *testing.T) {
	s := startServer(t, nil)
	var ranges []string
	for i := range 1000 {
		ranges = append(ranges, fmt.Sprintf("%d-%d", 100_000+i*900, 100_000+i*900+99))
	}
	header := "bytes=" + strings.Join(ranges, ", ")
	require.Greater(t, len(header), 12_700)
	req, err := http.NewRequest("GET", s.url("/content"), nil)
	require.NoError(t, err)
	req.Header.Set("Range", header)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, 206, resp.StatusCode)
	require.Positive(t, resp.ContentLength)
	boundary := strings.TrimPrefix(resp.Header.Get("Content-Type"), "multipart/byteranges; boundary=")
	parts := multipart.NewReader(resp.Body, boundary)
	for i := range 1000 {
		p, err := parts.NextPart()
		require.NoError(t, err)
		data, err := io.ReadAll(p)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("bytes %s/%d", ranges[i], len(object)), p.Header.Get("Content-Range"))
		require.Equal(t, string(object[100_000+i*900:][:100]), string(data))
	}
	_, err = parts.NextPart()
	require.Equal(t, io.EOF, err)
}

func TestHeadersTooLarge(t *testing.T) {
	s := startServer(t, nil)
	resp, body := s.send(s.dial(), "GET /ok HTTP/1.1\r\nHost: x\r\nX-Pad: "+strings.Repeat("x", 40<<10)+"\r\n\r\n")
	requireRefusal(t, resp, body, 431, storage.CodeMalformedRequest, "headers_too_large")
}

// Shutdown waits for a running upload, refuses nothing it has begun, and takes no new connection.
func TestShutdownWaitsForUploads(t *testing.T) {
	s := startServer(t, nil)
	conn := s.dial()
	_, err := io.WriteString(conn, formRequest("/upload", len(formHead)+4+len(formTail))+"\r\n"+formHead)
	require.NoError(t, err)
	require.Equal(t, "a.txt", <-s.began)
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}, 10*time.Second, 5*time.Millisecond)
	require.Zero(t, len(done), "shutdown did not wait")
	resp, body := s.send(conn, "data"+formTail)
	require.Equal(t, 202, resp.StatusCode, body)
	require.True(t, resp.Close)
	require.NoError(t, <-done)
}

// The number of lingering connections is bounded, and a stop does not wait for them.
func TestLingeringIsBounded(t *testing.T) {
	s := startServer(t, func(o *Options) {
		o.Linger = stream.Linger{Total: time.Hour, Idle: time.Hour, Bytes: 1 << 40, Conns: 3}
	})
	for range 6 {
		resp, _ := s.send(s.dial(), "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\nx")
		require.Equal(t, 413, resp.StatusCode)
	}
	require.Eventually(t, func() bool { return s.lingering() == 3 }, 10*time.Second, 5*time.Millisecond)
}
