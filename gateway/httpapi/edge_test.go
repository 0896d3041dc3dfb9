package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

// call makes one request with a real client.
func (s *testServer) call(method, path string, header map[string]string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url(path), nil)
	require.NoError(s.t, err)
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	require.NoError(s.t, resp.Body.Close())
	return resp, string(body)
}

func TestEveryRefusalUsesTheEnvelope(t *testing.T) {
	s := startServer(t, nil)
	resp, body := s.call("GET", "/nowhere", nil)
	requireRefusal(t, resp, body, 404, storage.CodeNotFound, "")
	require.NotContains(t, body, "nowhere", "what the caller sent is not repeated")

	resp, body = s.call("DELETE", "/ok", nil)
	requireRefusal(t, resp, body, 405, storage.CodeMethodNotAllowed, "")
	require.Equal(t, "GET, HEAD", resp.Header.Get("Allow"))

	resp, body = s.call("BREW", "/ok", nil)
	requireRefusal(t, resp, body, 405, storage.CodeMethodNotAllowed, "")

	resp, body = s.call("POST", "/guarded", nil)
	requireRefusal(t, resp, body, 401, storage.CodeUnauthenticated, "")
	require.Equal(t, "Bearer", resp.Header.Get("WWW-Authenticate"))

	resp, body = s.call("GET", "/content", map[string]string{"Range": "bytes=9999999-"})
	requireRefusal(t, resp, body, 416, storage.CodeRangeNotSatisfiable, "")
	require.Equal(t, "bytes */1048576", resp.Header.Get("Content-Range"))

	resp, body = s.call("GET", "/content", map[string]string{"If-Match": `"other"`})
	requireRefusal(t, resp, body, 412, storage.CodeConflict, "precondition_failed")

	for _, raw := range []string{"nonsense\r\n\r\n", "GET / FTP/1.1\r\nHost: x\r\n\r\n", "GET /ok HTTP/1.1\r\n\r\n", "GET /ok HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"} {
		conn := s.dial()
		r := bufio.NewReader(conn)
		_, err := io.WriteString(conn, raw)
		require.NoError(t, err)
		resp, body := answerOf(t, r)
		requireRefusal(t, resp, body, 400, storage.CodeMalformedRequest, "bad_http")
		require.True(t, resp.Close)
		require.NoError(t, conn.Close())
	}
}

func TestRefusalInChinese(t *testing.T) {
	s := startServer(t, nil)
	resp, body := s.call("POST", "/refuse", map[string]string{"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"})
	requireRefusal(t, resp, body, 413, storage.CodeFileTooLarge, "")
	require.Contains(t, body, "文件过大，最大允许 5 MiB。")
	require.Contains(t, body, `"limit":5242880`)
	require.Equal(t, "zh-Hans", resp.Header.Get("Content-Language"))
	require.Contains(t, resp.Header.Get("Vary"), "Accept-Language")
}

func TestPanicIsAnInternalError(t *testing.T) {
	s := startServer(t, nil)
	resp, body := s.call("GET", "/panic", nil)
	requireRefusal(t, resp, body, 500, storage.CodeInternal, "")
	require.NotContains(t, body, "a bug of ours")
	line := s.lines(1)[0]
	require.Equal(t, "ERROR", line["level"])
	require.Contains(t, line["error"], "a bug of ours")
	require.Contains(t, line["error"], "harness_test.go", "with its stack")
	resp, _ = s.call("GET", "/ok", nil)
	require.Equal(t, 200, resp.StatusCode)
}

func TestRequestIDs(t *testing.T) {
	s := startServer(t, nil)
	uuid7 := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for id, kept := range map[string]bool{
		"abc-123": true, "trace:1.2_3": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "a b": false, "a\"b": false, "<script>": false, "日本": false, "a%0ab": false,
	} {
		resp, _ := s.call("GET", "/ok", map[string]string{"X-Request-Id": id})
		got := resp.Header.Get("X-Request-Id")
		if kept {
			require.Equal(t, id, got)
		} else {
			require.Regexp(t, uuid7, got, id)
		}
	}
}

func TestClientBehindProxies(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	tests := []struct {
		name      string
		trusted   []netip.Prefix
		forwarded []string
		want      string
	}{
		{"no proxy", nil, nil, "127.0.0.1"},
		{"header of a stranger", nil, []string{"1.2.3.4"}, "127.0.0.1"},
		{"one proxy", trusted, []string{"1.2.3.4"}, "1.2.3.4"},
		{"client wrote the header too", trusted, []string{"6.6.6.6, 1.2.3.4"}, "1.2.3.4"},
		{"two proxies", trusted, []string{"6.6.6.6, 1.2.3.4, 10.0.0.7"}, "1.2.3.4"},
		{"two header lines", trusted, []string{"6.6.6.6", "1.2.3.4, 10.0.0.7"}, "1.2.3.4"},
		{"with a port", trusted, []string{"1.2.3.4:5678"}, "1.2.3.4"},
		{"IPv6", trusted, []string{"2001:db8::1, fd00::1"}, "2001:db8::1"},
		{"IPv6 with a port", trusted, []string{"[2001:db8::1]:80"}, "2001:db8::1"},
		{"IPv4 in IPv6", trusted, []string{"::ffff:1.2.3.4, ::ffff:10.0.0.1"}, "1.2.3.4"},
		{"nonsense", trusted, []string{"1.2.3.4, nonsense"}, "127.0.0.1"},
		{"nonsense further left", trusted, []string{"nonsense, 10.0.0.7"}, "10.0.0.7"},
		{"empty", trusted, []string{""}, "127.0.0.1"},
		{"only proxies", trusted, []string{"10.1.1.1, 10.0.0.7"}, "10.1.1.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := startServer(t, func(o *Options) { o.TrustedProxies = tt.trusted })
			raw := "GET /who HTTP/1.1\r\nHost: x\r\n"
			for _, v := range tt.forwarded {
				raw += "X-Forwarded-For: " + v + "\r\n"
			}
			_, body := s.send(s.dial(), raw+"\r\n")
			require.Equal(t, tt.want, body)
		})
	}
}

func TestAccessLog(t *testing.T) {
	s := startServer(t, nil)
	s.call("GET", "/items/42?token=hush", map[string]string{"Authorization": "Bearer hush"})
	s.call("GET", "/nowhere/hush", nil)
	s.call("GET", "/content", nil)
	form := formHead + "data" + formTail
	resp, _ := s.send(s.dial(), formRequest("/guarded", len(form))+"Authorization: Bearer good\r\n\r\n"+form)
	require.Equal(t, 202, resp.StatusCode)
	lines := s.lines(4)
	require.Len(t, lines, 4)
	require.Equal(t, "/items/:id", lines[0]["route"])
	require.Equal(t, "GET", lines[0]["method"])
	require.EqualValues(t, 200, lines[0]["status"])
	require.EqualValues(t, 2, lines[0]["bytes_out"])
	require.Equal(t, "127.0.0.1", lines[0]["client"])
	require.NotEmpty(t, lines[0]["request_id"])
	require.Equal(t, "", lines[1]["route"])
	require.Equal(t, "NOT_FOUND", lines[1]["code"])
	require.EqualValues(t, len(object), lines[2]["bytes_out"], "counted as they were sent")
	require.Equal(t, "tenant-1", lines[3]["tenant"])
	require.EqualValues(t, len(form), lines[3]["bytes_in"])
	require.NotContains(t, s.log.String(), "hush")
}

func TestDownloadThatBreaksOffIsLogged(t *testing.T) {
	s := startServer(t, func(o *Options) { o.WriteStall = 100 * time.Millisecond })
	conn := s.dial()
	for range 40 { // more than the sockets buffer
		_, err := io.WriteString(conn, "GET /content HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return strings.Contains(s.log.String(), "send_error") }, 10*time.Second, 10*time.Millisecond)
}

func TestSecurityHeaders(t *testing.T) {
	s := startServer(t, func(o *Options) { o.HSTS = true })
	for _, path := range []string{"/ok", "/nowhere", "/panic"} {
		resp, _ := s.call("GET", path, nil)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
			"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
			"Cross-Origin-Resource-Policy": "same-origin", "Server": "",
		} {
			require.Equal(t, want, resp.Header.Get(name), "%s of %s", name, path)
		}
	}
	resp, _ := s.call("GET", "/content", nil)
	require.Equal(t, "private, no-cache", resp.Header.Get("Cache-Control"), "a handler's own headers win")
	require.Len(t, resp.Header.Values("Content-Security-Policy"), 1)
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := startServer(t, func(o *Options) { o.Metrics = reg })
	s.call("GET", "/items/1", nil)
	s.call("GET", "/items/2", nil)
	s.call("BREW", "/made-up", nil)
	s.call("HEAD", "/content", nil)
	s.lines(4)
	families, err := reg.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "gatehouse_http_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			got[strings.Join(labels, " ")] = m.GetCounter().GetValue()
		}
	}
	require.Equal(t, map[string]float64{"GET /items/:id 200": 2, "HEAD /content 200": 1, "other none 405": 1}, got)
	_, err = New(Options{Log: s.options.Log, Metrics: reg})
	require.Error(t, err, "the same registry twice")
	_, err = New(Options{Log: s.options.Log, Metrics: prometheus.NewRegistry()})
	require.Error(t, err)
}

func TestUploadsAreBounded(t *testing.T) {
	s := startServer(t, nil)
	s.proceed = make(chan struct{})
	form := formHead + "data" + formTail
	for range 32 {
		_, err := io.WriteString(s.dial(), formRequest("/upload", len(form))+"\r\n"+form)
		require.NoError(t, err)
		<-s.began
	}
	resp, body := s.send(s.dial(), formRequest("/upload", len(form))+"\r\n"+form)
	requireRefusal(t, resp, body, 503, storage.CodeUnavailable, "too_many_uploads")
	require.Equal(t, "5", resp.Header.Get("Retry-After"))
	close(s.proceed)
	for range 32 {
		require.NoError(t, <-s.ended)
	}
	require.Eventually(t, func() bool {
		resp, _ := s.send(s.dial(), formRequest("/upload", len(form))+"\r\n"+form)
		return resp.StatusCode == 202
	}, 10*time.Second, 10*time.Millisecond, "the slots come back")
}

func TestHeadHasTheLengthAndNoBody(t *testing.T) {
	s := startServer(t, nil)
	for path, length := range map[string]int64{"/ok": 2, "/content": int64(len(object))} {
		resp, body := s.call("HEAD", path, nil)
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, length, resp.ContentLength)
		require.Empty(t, body)
	}
}

// Clients with a pool send many requests over one connection, uploads among them.
func TestKeepAliveAcrossUploads(t *testing.T) {
	s := startServer(t, nil)
	conn := s.dial()
	r := bufio.NewReader(conn)
	form := formHead + strings.Repeat("data", 10_000) + formTail
	for range 5 {
		_, err := io.WriteString(conn, formRequest("/upload", len(form))+"\r\n"+form+"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		resp, body := answerOf(t, r)
		require.Equal(t, 202, resp.StatusCode, body)
		resp, body = answerOf(t, r)
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, "ok", body)
	}
}

// What many clients ask again and again fills no log; trouble with it does.
func TestQuietRoutes(t *testing.T) {
	s := startServer(t, nil)
	for _, path := range []string{"/asked/1", "/asked/none", "/ok"} {
		s.call("GET", path, nil)
	}
	levels := map[any]any{}
	for _, line := range s.lines(3) {
		levels[fmt.Sprint(line["route"], " ", line["status"])] = line["level"]
	}
	require.Equal(t, map[any]any{"/asked/:id 200": "DEBUG", "/asked/:id 404": "INFO", "/ok 200": "INFO"}, levels)
}
