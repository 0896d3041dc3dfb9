package blob_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/services"
	"gatehouse/storage"
	"gatehouse/storage/blob"
)

// fault spoils the n-th request: it returns true when it has dealt with it, or the writer to answer through.
type fault func(n int64, w http.ResponseWriter, r *http.Request) (http.ResponseWriter, bool)

// line is a bad line to the real MinIO: it counts requests and spoils those that its fault picks.
type line struct {
	requests atomic.Int64
	fault    atomic.Pointer[fault]
}

func (l *line) reset(f fault) {
	l.requests.Store(0)
	l.fault.Store(&f)
}

// openLine opens a store through a line that is good until told otherwise.
func openLine(t *testing.T, adjust func(*blob.Config)) (*line, *blob.Zones, blob.Config) {
	t.Helper()
	l := &line{}
	target := &url.URL{Scheme: "http", Host: services.MinIO(t).Endpoint}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is signed
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, done := l.requests.Add(1), false
		if f := l.fault.Load(); f != nil && *f != nil {
			w, done = (*f)(n, w, r)
		}
		if !done {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	c := s3Config(services.MinIO(t))
	direct := c
	c.Endpoint = strings.TrimPrefix(server.URL, "http://")
	if adjust != nil {
		adjust(&c)
	}
	zones, err := blob.Open(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, zones.Close())
		dropBuckets(t, direct)
	})
	return l, zones, direct
}

// busy answers 503 without looking at the body.
func busy(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, "<Error><Code>SlowDown</Code><Message>please</Message></Error>")
}

// shortWriter lets n bytes of an answer pass, then calls then.
type shortWriter struct {
	http.ResponseWriter
	n    int
	then func()
}

func (s *shortWriter) Write(p []byte) (int, error) {
	if len(p) <= s.n {
		s.n -= len(p)
		return s.ResponseWriter.Write(p)
	}
	_, _ = s.ResponseWriter.Write(p[:s.n])
	_ = http.NewResponseController(s.ResponseWriter).Flush()
	s.then()
	return 0, io.ErrShortWrite
}

func cut() { panic(http.ErrAbortHandler) }

// impatient is for the faults that only a timeout ends. It is long enough that a busy machine's honest answers
// do not run into it.
func impatient(c *blob.Config) { c.Timeout = 5 * time.Second }

func TestS3OneRequestEach(t *testing.T) {
	t.Parallel()
	l, zones, _ := openLine(t, nil)
	ctx, b, data := t.Context(), zones.Clean, make([]byte, 70<<10)
	read := func(offset, length int64) func() error {
		return func() error {
			body, _, err := b.Open(ctx, "t/k", offset, length)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, body)
			return errors.Join(err, body.Close())
		}
	}
	for _, c := range []struct {
		name     string
		requests int64
		call     func() error
	}{
		{"put", 1, func() error { return b.Put(ctx, "t/k", bytes.NewReader(data), int64(len(data)), blob.PutOptions{}) }},
		{"put a stream", 1, func() error {
			return b.Put(ctx, "t/k", io.MultiReader(bytes.NewReader(data)), int64(len(data)), blob.PutOptions{})
		}},
		{"open", 1, read(0, -1)},
		{"open a range", 1, read(5, 100)},
		{"open the end", 1, read(5, -1)},
		{"stat", 1, func() error { _, err := b.Stat(ctx, "t/k"); return err }},
		{"list", 1, func() error {
			for _, err := range b.List(ctx, "t/", "") {
				return err
			}
			return errors.New("nothing listed")
		}},
		{"copy", 2, func() error { return zones.Copy(ctx, storage.ZoneClean, storage.ZoneQuarantine, "t/k") }},
		{"delete", 1, func() error { return b.Delete(ctx, "t/k") }},
	} {
		l.reset(nil)
		require.NoError(t, c.call(), c.name)
		require.Equal(t, c.requests, l.requests.Load(), c.name)
	}
}

func TestS3PutTriesAgain(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	for _, c := range []struct {
		name   string
		adjust func(*blob.Config)
		fault  func(w http.ResponseWriter, r *http.Request)
	}{
		{"busy", nil, func(w http.ResponseWriter, _ *http.Request) { busy(w) }},
		{"busy at the end", nil, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); busy(w) }},
		{"cut", nil, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.CopyN(io.Discard, r.Body, 100_000); cut() }},
		{"no answer", impatient, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}},
	} {
		name := c.name
		l, zones, _ := openLine(t, c.adjust)
		l.reset(func(n int64, w http.ResponseWriter, r *http.Request) (http.ResponseWriter, bool) {
			if n == 1 && r.Method == http.MethodPut {
				c.fault(w, r)
				return w, true
			}
			return w, false
		})
		for _, r := range []io.Reader{bytes.NewReader(data), struct{ io.ReadSeeker }{bytes.NewReader(data)}} {
			l.requests.Store(0)
			require.NoError(t, zones.Clean.Put(t.Context(), "t/k", r, int64(len(data)), blob.PutOptions{}), name)
			require.EqualValues(t, 2, l.requests.Load(), name)
			body, _, err := zones.Clean.Open(t.Context(), "t/k", 0, -1)
			require.NoError(t, err)
			got, err := io.ReadAll(body)
			require.NoError(t, errors.Join(err, body.Close()))
			require.True(t, bytes.Equal(data, got), name)
		}
		l.requests.Store(0)
		err := zones.Clean.Put(t.Context(), "t/stream", io.MultiReader(bytes.NewReader(data)), int64(len(data)), blob.PutOptions{})
		require.ErrorIs(t, err, blob.ErrUnavailable, "%s: a stream cannot be sent twice", name)
		require.EqualValues(t, 1, l.requests.Load(), name)
		_, err = zones.Clean.Stat(t.Context(), "t/stream")
		require.ErrorIs(t, err, blob.ErrNotExist)
	}
}

func TestS3GivesUp(t *testing.T) {
	t.Parallel()
	for retries, requests := range map[int]int64{2: 3, -1: 1} {
		l, zones, _ := openLine(t, func(c *blob.Config) { c.Retries = retries })
		always := func(_ int64, w http.ResponseWriter, _ *http.Request) (http.ResponseWriter, bool) {
			busy(w)
			return w, true
		}
		calls := map[string]func(context.Context) error{
			"put": func(ctx context.Context) error {
				return zones.Clean.Put(ctx, "k", strings.NewReader("x"), 1, blob.PutOptions{})
			},
			"open":   func(ctx context.Context) error { _, _, err := zones.Clean.Open(ctx, "k", 0, -1); return err },
			"stat":   func(ctx context.Context) error { _, err := zones.Clean.Stat(ctx, "k"); return err },
			"delete": func(ctx context.Context) error { return zones.Clean.Delete(ctx, "k") },
			"copy":   func(ctx context.Context) error { return zones.Promote(ctx, "k") },
			"list": func(ctx context.Context) (last error) {
				for _, last = range zones.Clean.List(ctx, "", "") {
				}
				return last
			},
		}
		for name, call := range calls {
			l.reset(always)
			err := call(t.Context())
			require.ErrorIs(t, err, blob.ErrUnavailable, name)
			require.Equal(t, storage.CodeUnavailable, storage.CodeOf(err), name)
			require.Equal(t, requests, l.requests.Load(), name)
		}
		ctx, cancel := context.WithCancel(t.Context())
		l.reset(func(_ int64, w http.ResponseWriter, _ *http.Request) (http.ResponseWriter, bool) {
			cancel()
			busy(w)
			return w, true
		})
		require.ErrorIs(t, calls["put"](ctx), context.Canceled, "cancelled while waiting for the next attempt")
		l.reset(always)
		require.ErrorIs(t, zones.Ready(t.Context()), blob.ErrUnavailable)
		l.reset(nil)
		require.NoError(t, zones.Ready(t.Context()))
	}
}

func TestS3ReadGoesOn(t *testing.T) {
	t.Parallel()
	l, zones, _ := openLine(t, nil)
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(i >> 8)
	}
	put := func(t *testing.T, zones *blob.Zones, data []byte) {
		require.NoError(t, zones.Clean.Put(t.Context(), "t/k", bytes.NewReader(data), int64(len(data)), blob.PutOptions{}))
	}
	// check reads over a line that breaks twice, and returns how many requests that took.
	check := func(t *testing.T, l *line, zones *blob.Zones, offset, length int64, then func(*http.Request)) int64 {
		l.reset(func(n int64, w http.ResponseWriter, r *http.Request) (http.ResponseWriter, bool) {
			if n <= 2 {
				return &shortWriter{w, 150_000, func() { then(r) }}, false
			}
			return w, false
		})
		body, info, err := zones.Clean.Open(t.Context(), "t/k", offset, length)
		require.NoError(t, err)
		got, err := io.ReadAll(body)
		require.NoError(t, err)
		require.NoError(t, body.Close())
		want := data[offset:]
		if length > 0 {
			want = want[:length]
		}
		require.True(t, bytes.Equal(want, got))
		require.EqualValues(t, len(data), info.Size)
		return l.requests.Load()
	}
	put(t, zones, data)
	t.Run("after a cut", func(t *testing.T) {
		for _, c := range []struct{ offset, length int64 }{{0, -1}, {1000, -1}, {1000, 1 << 19}} {
			require.EqualValues(t, 3, check(t, l, zones, c.offset, c.length, func(*http.Request) { cut() }), "%+v", c)
		}
	})
	t.Run("after a stall", func(t *testing.T) {
		t.Parallel()
		l, zones, _ := openLine(t, impatient)
		put(t, zones, data)
		n := check(t, l, zones, 1000, -1, func(r *http.Request) { <-r.Context().Done(); cut() })
		require.GreaterOrEqual(t, n, int64(3)) // more where the machine is slower than the timeout
	})
	t.Run("never with another version", func(t *testing.T) {
		l.reset(func(n int64, w http.ResponseWriter, r *http.Request) (http.ResponseWriter, bool) {
			if n == 1 {
				return &shortWriter{w, 150_000, cut}, false
			}
			return w, false
		})
		body, _, err := zones.Clean.Open(t.Context(), "t/k", 0, -1)
		require.NoError(t, err)
		put(t, zones, bytes.ToUpper(append(data[1:len(data):len(data)], 'x')))
		_, err = io.Copy(io.Discard, body)
		require.Error(t, err)
		require.NoError(t, body.Close())
	})
	t.Run("until it is hopeless", func(t *testing.T) {
		l.reset(func(n int64, w http.ResponseWriter, r *http.Request) (http.ResponseWriter, bool) {
			if n == 1 {
				return &shortWriter{w, 150_000, cut}, false
			}
			busy(w)
			return w, true
		})
		body, _, err := zones.Clean.Open(t.Context(), "t/k", 0, -1)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, body)
		require.ErrorIs(t, err, blob.ErrUnavailable)
		_, err = body.Read(make([]byte, 1))
		require.ErrorIs(t, err, blob.ErrUnavailable, "an error stays")
		require.NoError(t, body.Close())
	})
	t.Run("until it is cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		l.reset(nil)
		body, _, err := zones.Clean.Open(ctx, "t/k", 0, -1)
		require.NoError(t, err)
		cancel()
		_, err = io.Copy(io.Discard, body)
		require.ErrorIs(t, err, context.Canceled)
		require.NoError(t, body.Close())
	})
}

// TestS3LostBucket: were a lost bucket taken for lost objects, reconciling would mark every asset as gone.
func TestS3LostBucket(t *testing.T) {
	t.Parallel()
	c := s3Config(services.MinIO(t))
	zones, err := blob.Open(t.Context(), c)
	require.NoError(t, err)
	require.NoError(t, client(t, c).RemoveBucket(t.Context(), c.CleanBucket))
	t.Cleanup(func() {
		_, err := blob.Open(context.Background(), c) // makes it again
		require.NoError(t, err)
		dropBuckets(t, c)
		require.NoError(t, zones.Close())
	})
	require.NoError(t, zones.Quarantine.Put(t.Context(), "k", strings.NewReader("x"), 1, blob.PutOptions{}))
	_, serr := zones.Clean.Stat(t.Context(), "k")
	_, _, oerr := zones.Clean.Open(t.Context(), "k", 0, -1)
	var lerr error
	for _, lerr = range zones.Clean.List(t.Context(), "", "") {
	}
	for name, err := range map[string]error{
		"stat": serr, "open": oerr, "list": lerr, "ready": zones.Ready(t.Context()), "delete": zones.Clean.Delete(t.Context(), "k"),
		"promote": zones.Promote(t.Context(), "k"),
		"put":     zones.Clean.Put(t.Context(), "k", strings.NewReader("x"), 1, blob.PutOptions{}),
	} {
		require.Error(t, err, name)
		require.NotErrorIs(t, err, blob.ErrNotExist, name)
	}
}

func TestS3Config(t *testing.T) {
	good := s3Config(services.MinIO(t))
	for name, spoil := range map[string]func(*blob.Config){
		"driver":        func(c *blob.Config) { c.Driver = "tape" },
		"no endpoint":   func(c *blob.Config) { c.Endpoint = "" },
		"a scheme":      func(c *blob.Config) { c.Endpoint = "http://" + c.Endpoint },
		"one bucket":    func(c *blob.Config) { c.CleanBucket = c.QuarantineBucket },
		"no bucket":     func(c *blob.Config) { c.CleanBucket = "" },
		"shared bucket": func(c *blob.Config) { c.SnapshotBucket = c.CleanBucket },
		"wrong secret":  func(c *blob.Config) { c.SecretKey = "wrong-secret" },
		"wrong account": func(c *blob.Config) { c.AccessKey = "nobody" },
		"timeout":       func(c *blob.Config) { c.Timeout = -1 },
	} {
		c := good
		spoil(&c)
		_, err := blob.Open(t.Context(), c)
		require.Error(t, err, name)
		require.NotErrorIs(t, err, blob.ErrUnavailable, "%s: waiting does not help", name)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	good.Endpoint, good.Retries = strings.TrimPrefix(gone.URL, "http://"), -1
	_, err := blob.Open(t.Context(), good)
	require.ErrorIs(t, err, blob.ErrUnavailable)
}
