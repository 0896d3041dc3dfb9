package content

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

var (
	modified = time.Date(2026, 3, 1, 12, 30, 15, 500, time.UTC)
	etag     = strings.Repeat("ab", 32)
)

func sample(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

// store counts what a response does with it.
type store struct {
	data    []byte
	opens   atomic.Int64
	open    atomic.Int64
	damage  int64 // reads fail from this offset on, when > 0
	refuses error
}

type handle struct {
	io.Reader
	s *store
}

func (h handle) Close() error { h.s.open.Add(-1); return nil }

func (s *store) Open(_ context.Context, offset, length int64) (io.ReadCloser, error) {
	if s.refuses != nil {
		return nil, s.refuses
	}
	s.opens.Add(1)
	s.open.Add(1)
	end := offset + length
	if s.damage > 0 {
		end = min(end, s.damage)
	}
	return handle{bytes.NewReader(s.data[offset:max(offset, end)]), s}, nil
}

// serve starts a server whose every path serves the object as change makes it, and gives its address.
func serve(t *testing.T, s *store, change func(*Object)) string {
	t.Helper()
	app := fiber.New(fiber.Config{
		DisableStartupMessage: true, ReadBufferSize: 64 << 10,
		ErrorHandler: func(c *fiber.Ctx, err error) error {
			if e, ok := errors.AsType[*fiber.Error](err); ok {
				return c.SendStatus(e.Code)
			}
			if storage.CodeOf(err) == storage.CodeRangeNotSatisfiable {
				return c.SendStatus(416)
			}
			return c.SendStatus(500)
		},
	})
	app.All("/", func(c *fiber.Ctx) error {
		o := Object{
			Size: int64(len(s.data)), ETag: etag, MediaType: "image/png", Name: "a.png", LastModified: modified, Open: s.Open,
		}
		if change != nil {
			change(&o)
		}
		return Serve(c, o)
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- app.Listener(ln) }()
	t.Cleanup(func() {
		require.NoError(t, app.ShutdownWithTimeout(10*time.Second))
		require.NoError(t, <-done)
		require.Zero(t, s.open.Load(), "readers left open")
	})
	return "http://" + ln.Addr().String() + "/"
}

// answer is a response with the parts of a multipart body taken apart, so that boundaries do not matter.
type answer struct {
	status                                  int
	length                                  int64
	contentRange, acceptRanges, etag, mtype string
	lastModified                            string
	parts                                   []string
}

func ask(t *testing.T, url, method string, header map[string]string) answer {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	require.NoError(t, err)
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if method != http.MethodHead && resp.StatusCode != 304 {
		require.EqualValues(t, len(body), resp.ContentLength, "announced length")
	}
	a := answer{
		status: resp.StatusCode, length: resp.ContentLength,
		contentRange: resp.Header.Get("Content-Range"), acceptRanges: resp.Header.Get("Accept-Ranges"),
		etag: resp.Header.Get("Etag"), mtype: resp.Header.Get("Content-Type"), lastModified: resp.Header.Get("Last-Modified"),
	}
	if a.status >= 400 { // bodies and types of errors are each server's own
		a.length, a.mtype, a.acceptRanges, a.etag, a.lastModified = 0, "", "", "", ""
		return a
	}
	if a.status == 304 {
		a.length, a.mtype, a.acceptRanges, a.lastModified = 0, "", "", ""
		return a
	}
	kind, boundary, multi := strings.Cut(a.mtype, "; boundary=")
	if !multi {
		a.parts = []string{string(body)}
		return a
	}
	a.mtype = kind
	a.length = 0 // the boundaries differ in length
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return a
		}
		require.NoError(t, err)
		data, err := io.ReadAll(p)
		require.NoError(t, err)
		a.parts = append(a.parts, p.Header.Get("Content-Range")+" "+p.Header.Get("Content-Type")+" "+string(data))
	}
}

// The standard library's answers are the reference.
func TestAnswersLikeServeContent(t *testing.T) {
	data := sample(100_000)
	s := &store{data: data}
	ours := serve(t, s, nil)
	reference := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		w.Header().Set("Etag", `"`+etag+`"`)
		http.ServeContent(w, r, "a.png", modified, bytes.NewReader(data))
	}))
	defer reference.Close()
	tag, other := `"`+etag+`"`, `"other"`
	date, before, after := modified.Format(http.TimeFormat), modified.Add(-time.Hour).Format(http.TimeFormat), modified.Add(time.Hour).Format(http.TimeFormat)
	tests := []map[string]string{
		{},
		{"Range": "bytes=0-0"},
		{"Range": "bytes=0-99"},
		{"Range": "bytes=5-"},
		{"Range": "bytes=-5"},
		{"Range": "bytes=-200000"},
		{"Range": "bytes=0-99999"},
		{"Range": "bytes=0-100000"},
		{"Range": "bytes=99999-"},
		{"Range": "bytes=100000-"},
		{"Range": "bytes=100000-100001"},
		{"Range": "bytes=0-4,10-14"},
		{"Range": "bytes=0-4, 10-14 , -5"},
		{"Range": "bytes=0-4,,10-14"},
		{"Range": "bytes=10-14,0-4"},
		{"Range": "bytes=0-10,5-15"},
		{"Range": "bytes=0-4,200000-"},
		{"Range": "bytes=200000-,300000-"},
		{"Range": "bytes=0-99999,0-99999"},
		{"Range": "bytes=0-4,90000-90010"},
		{"Range": "bytes= 0-4"},
		{"Range": "bytes=0-4", "If-Range": tag},
		{"Range": "bytes=0-4", "If-Range": "W/" + tag},
		{"Range": "bytes=0-4", "If-Range": other},
		{"Range": "bytes=0-4", "If-Range": date},
		{"Range": "bytes=0-4", "If-Range": after},
		{"Range": "bytes=0-4", "If-Range": before},
		{"Range": "bytes=0-4", "If-Range": "nonsense"},
		{"If-None-Match": tag},
		{"If-None-Match": "W/" + tag},
		{"If-None-Match": "*"},
		{"If-None-Match": other + ", " + tag},
		{"If-None-Match": other},
		{"If-None-Match": "nonsense"},
		{"If-None-Match": tag, "Range": "bytes=0-4"},
		{"If-Match": tag},
		{"If-Match": "W/" + tag},
		{"If-Match": "*"},
		{"If-Match": other},
		{"If-Match": other + "," + tag, "Range": "bytes=1-2"},
		{"If-Modified-Since": date},
		{"If-Modified-Since": before},
		{"If-Modified-Since": after},
		{"If-Modified-Since": "nonsense"},
		{"If-Modified-Since": date, "If-None-Match": other},
		{"If-Unmodified-Since": date},
		{"If-Unmodified-Since": before},
		{"If-Unmodified-Since": before, "If-Match": tag},
	}
	for _, header := range tests {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if _, ranged := header["Range"]; ranged && method == http.MethodHead {
				continue // RFC 9110 defines Range for GET only; net/http goes on
			}
			t.Run(fmt.Sprint(method, header), func(t *testing.T) {
				require.Equal(t, ask(t, reference.URL, method, header), ask(t, ours, method, header))
			})
		}
	}
}

// Where the standard library is stricter or kinder, RFC 9110 decides.
func TestRangesThatServeContentTakesOtherwise(t *testing.T) {
	ours := serve(t, &store{data: sample(1000)}, nil)
	for _, header := range []string{
		"bytes", "bytes=", "bytes=a-b", "bytes=5-2", "bytes=--5", "bytes=+1-2", "bytes=1-+2", "bytes=0x1-2", "chunks=0-4", "bytes=0-4;5-6",
		"bytes=99999999999999999999-", "bytes=0-4,junk",
	} {
		a := ask(t, ours, http.MethodGet, map[string]string{"Range": header})
		require.Equal(t, 200, a.status, header)
		require.Len(t, a.parts[0], 1000)
	}
	// net/http answers 206 with the impossible range 1000-999.
	require.Equal(t, 416, ask(t, ours, http.MethodGet, map[string]string{"Range": "bytes=-0"}).status)
	a := ask(t, ours, http.MethodHead, map[string]string{"Range": "bytes=0-4"})
	require.Equal(t, 200, a.status)
	require.EqualValues(t, 1000, a.length)
}

func TestEmptyObject(t *testing.T) {
	s := &store{}
	ours := serve(t, s, nil)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		a := ask(t, ours, method, nil)
		require.Equal(t, 200, a.status)
		require.Zero(t, a.length)
	}
	require.Equal(t, 416, ask(t, ours, http.MethodGet, map[string]string{"Range": "bytes=0-0"}).status)
	require.Zero(t, s.opens.Load())
}

func TestRangesAreBounded(t *testing.T) {
	data := sample(4 << 20)
	list := func(n int, at func(i int) int) string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf("%d-%d", at(i), at(i)+9))
		}
		return "bytes=" + strings.Join(out, ",")
	}
	tests := []struct {
		name   string
		ranges string
		status int
		opens  int64
	}{
		{"a thousand near each other", list(1000, func(i int) int { return i * 100 }), 206, 1},
		{"thirty far apart", list(30, func(i int) int { return i * 130_000 }), 206, 30},
		{"too many", list(1025, func(i int) int { return i * 100 }), 200, 1},
		{"many backwards", list(17, func(i int) int { return 1_000_000 - i*100 }), 200, 1},
		{"few backwards", list(16, func(i int) int { return 1_000_000 - i*100 }), 206, 16},
		{"many overlapping", list(17, func(i int) int { return i }), 200, 1},
		{"all bytes twice", "bytes=0-,0-", 200, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &store{data: data}
			a := ask(t, serve(t, s, nil), http.MethodGet, map[string]string{"Range": tt.ranges})
			require.Equal(t, tt.status, a.status)
			require.Equal(t, tt.opens, s.opens.Load())
		})
	}
}

// electron-updater takes a multipart answer apart by itself: no line break before the first boundary, CRLF after.
func TestMultipartLayout(t *testing.T) {
	url := serve(t, &store{data: []byte("0123456789")}, nil)
	req, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Header.Set("Range", "bytes=0-1, 4-5")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	b := strings.TrimPrefix(resp.Header.Get("Content-Type"), "multipart/byteranges; boundary=")
	require.Equal(t, "--"+b+"\r\nContent-Type: image/png\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n"+
		"--"+b+"\r\nContent-Type: image/png\r\nContent-Range: bytes 4-5/10\r\n\r\n45\r\n--"+b+"--\r\n", string(body))
}

// A store that fails midway cuts the connection.
func TestStoreFailureCutsTheConnection(t *testing.T) {
	for _, ranges := range []string{"", "bytes=10-2999999", "bytes=10-19,2000000-2999999"} {
		t.Run(ranges, func(t *testing.T) {
			s := &store{data: sample(3 << 20), damage: 1 << 20}
			req, err := http.NewRequest(http.MethodGet, serve(t, s, nil), nil)
			require.NoError(t, err)
			if ranges != "" {
				req.Header.Set("Range", ranges)
			}
			resp, err := http.DefaultClient.Do(req)
			if err == nil { // a response whose first bytes were still buffered never goes out
				_, err = io.ReadAll(resp.Body)
				require.NoError(t, resp.Body.Close())
			}
			require.Error(t, err)
			require.True(t, errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF), "%v", err)
		})
	}
}

func TestStoreFailureAtTheStartIsAnError(t *testing.T) {
	s := &store{data: sample(10), refuses: errors.New("store is away")}
	a := ask(t, serve(t, s, nil), http.MethodGet, nil)
	require.Equal(t, 500, a.status)
	require.Equal(t, 200, ask(t, serve(t, s, nil), http.MethodHead, nil).status, "HEAD needs no bytes")
}

// A client that leaves gives its reader back.
func TestClientThatLeaves(t *testing.T) {
	s := &store{data: sample(32 << 20)}
	resp, err := http.Get(serve(t, s, nil))
	require.NoError(t, err)
	_, err = io.CopyN(io.Discard, resp.Body, 1000)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Eventually(t, func() bool { return s.open.Load() == 0 }, 10*time.Second, 5*time.Millisecond)
}

func TestHook(t *testing.T) {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	type end struct {
		sent int64
		err  error
	}
	ends := make(chan end, 1)
	s := &store{data: sample(100_000)}
	app.Get("/", func(c *fiber.Ctx) error {
		h := OnSent(c.Context(), func(sent int64, err error) { ends <- end{sent, err} })
		err := Serve(c, Object{Size: 100_000, ETag: etag, MediaType: "image/png", Name: "a", Open: s.Open})
		require.True(t, h.Claimed())
		return err
	})
	for _, damage := range []int64{0, 70_000} {
		s.damage = damage
		_, err := app.Test(httptest.NewRequest(http.MethodGet, "/", nil))
		e := <-ends
		if damage == 0 {
			require.NoError(t, err)
			require.Equal(t, end{100_000, nil}, e)
			continue
		}
		require.Equal(t, damage, e.sent)
		require.ErrorIs(t, e.err, io.ErrUnexpectedEOF)
	}
	require.Zero(t, s.open.Load())
}

func TestHeaders(t *testing.T) {
	url := serve(t, &store{data: sample(10)}, nil)
	resp, err := http.Get(url)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
	require.Equal(t, "sandbox; default-src 'none'", resp.Header.Get("Content-Security-Policy"))
	require.Equal(t, "private, no-cache", resp.Header.Get("Cache-Control"))
	require.Equal(t, "same-origin", resp.Header.Get("Cross-Origin-Resource-Policy"))
	require.Equal(t, `attachment; filename="a.png"`, resp.Header.Get("Content-Disposition"))

	url = serve(t, &store{data: sample(10)}, func(o *Object) { o.Inline, o.CrossOrigin, o.CacheControl = true, true, "private, max-age=60" })
	resp, err = http.Get(url)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Contains(t, resp.Header.Get("Content-Security-Policy"), "sandbox; default-src 'none'")
	require.NotContains(t, resp.Header.Get("Content-Security-Policy"), "script")
	require.Equal(t, "private, max-age=60", resp.Header.Get("Cache-Control"))
	require.Equal(t, "cross-origin", resp.Header.Get("Cross-Origin-Resource-Policy"))
	require.Equal(t, `inline; filename="a.png"`, resp.Header.Get("Content-Disposition"))
}

func TestDisposition(t *testing.T) {
	tests := []struct{ name, want string }{
		{"a.txt", `attachment; filename="a.txt"`},
		{"two words;x=y.txt", `attachment; filename="two words;x=y.txt"`},
		{"报告.pdf", `attachment; filename="__.pdf"; filename*=UTF-8''%E6%8A%A5%E5%91%8A.pdf`},
		{`a"b\c.txt`, `attachment; filename="a_b_c.txt"; filename*=UTF-8''a%22b%5Cc.txt`},
		{"100%25.txt", `attachment; filename="100_25.txt"; filename*=UTF-8''100%2525.txt`},
		{"a\r\nSet-Cookie: x=y", `attachment; filename="a__Set-Cookie: x=y"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x%3Dy`},
		{"a\x00b\x7f", `attachment; filename="a_b_"; filename*=UTF-8''a%00b%7F`},
		{"../../etc/passwd", `attachment; filename=".._.._etc_passwd"; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd`},
		{"bad\xffbytes", `attachment; filename="bad_bytes"`},
		{"", "attachment"},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, Disposition(tt.name, false))
	}
	require.LessOrEqual(t, len(Disposition(strings.Repeat("报", 1000), true)), 1200)
}

func FuzzDisposition(f *testing.F) {
	f.Add("a.txt")
	f.Add("报告 \"v1\"\r\n.pdf")
	f.Fuzz(func(t *testing.T, name string) {
		for i, b := range []byte(Disposition(name, true)) {
			if b < 0x20 || b > 0x7e {
				t.Fatalf("byte %#x at %d", b, i)
			}
		}
	})
}

// FuzzRanges: no header panics, and what is accepted lies within the object and its bounds.
func FuzzRanges(f *testing.F) {
	f.Add("bytes=0-4,10-,-5", int64(100))
	f.Add("bytes=-0", int64(0))
	f.Add("bytes=9223372036854775807-9223372036854775807", int64(1))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		size = max(0, size)
		ranges, err := parseRanges(header, size)
		if err != nil && len(ranges) > 0 {
			t.Fatal("both")
		}
		total := int64(0)
		for _, r := range ranges {
			if r.start < 0 || r.length <= 0 || r.start > size-r.length {
				t.Fatalf("%+v of %d", r, size)
			}
			total += r.length
		}
		if total > size || total < 0 || len(ranges) > maxRanges {
			t.Fatalf("%d ranges, %d bytes of %d", len(ranges), total, size)
		}
	})
}
