package stream

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

// refusal asserts that err is a refusal with this code and reason.
func refusal(t *testing.T, err error, code storage.Code, reason string) *storage.Error {
	t.Helper()
	e, ok := errors.AsType[*storage.Error](err)
	require.True(t, ok, "%v is no refusal", err)
	require.Equal(t, code, e.Code, "%v", err)
	got, _ := e.Details["reason"].(string)
	require.Equal(t, reason, got, "%v", err)
	return e
}

func TestBodyKnowsTruncatedFromComplete(t *testing.T) {
	tests := []struct {
		name     string
		r        io.Reader
		declared int64
		read     int
		reason   string
	}{
		{"complete", strings.NewReader("hello"), 5, 5, ""},
		{"one byte a read", iotest.OneByteReader(strings.NewReader("hello")), 5, 5, ""},
		{"bytes with the end", iotest.DataErrReader(strings.NewReader("hello")), 5, 5, ""},
		{"nothing declared", strings.NewReader("next request"), 0, 0, ""},
		{"next request behind it", strings.NewReader("helloGET / HTTP/1.1"), 5, 5, ""},
		{"short", strings.NewReader("hell"), 5, 4, "truncated"},
		{"nothing came", strings.NewReader(""), 5, 0, "truncated"},
		{"short with unexpected end", io.MultiReader(strings.NewReader("he"), iotest.ErrReader(io.ErrUnexpectedEOF)), 5, 2, "truncated"},
		{"timeout", io.MultiReader(strings.NewReader("he"), iotest.ErrReader(os.ErrDeadlineExceeded)), 5, 2, "too_slow"},
		{"reset", io.MultiReader(strings.NewReader("he"), iotest.ErrReader(net.ErrClosed)), 5, 2, "connection_lost"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBody(tt.r, nil, tt.declared, DefaultPace())
			data, err := io.ReadAll(b)
			require.Len(t, data, tt.read)
			require.EqualValues(t, tt.read, b.Consumed())
			if tt.reason == "" {
				require.NoError(t, err)
				require.True(t, b.Ended())
				return
			}
			refusal(t, err, storage.CodeUploadIncomplete, tt.reason)
			require.False(t, b.Ended())
			_, again := b.Read(make([]byte, 1))
			require.Equal(t, err, again, "errors are final")
		})
	}
}

// trickle gives n bytes a Read and pretends that each took d.
func trickle(b *Body, n int, d time.Duration) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		b.waited += d
		return min(n, len(p)), nil
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestBodyMinimumRate(t *testing.T) {
	pace := Pace{MinBytesPerSecond: 1000, Window: 10 * time.Second}
	tests := []struct {
		name string
		n    int
		d    time.Duration
		slow bool
	}{
		{"steady above the minimum for ten minutes", 1100, time.Second, false},
		{"bursts with pauses under the window", 9000, 8 * time.Second, false},
		{"just below", 900, time.Second, true},
		{"a byte now and then", 1, 5 * time.Second, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			total := int64(tt.n) * int64(10*time.Minute/tt.d)
			b := newBody(nil, nil, total, pace)
			b.r = trickle(b, tt.n, tt.d)
			_, err := io.Copy(io.Discard, struct{ io.Reader }{b})
			if tt.slow {
				refusal(t, err, storage.CodeUploadIncomplete, "too_slow")
				require.Less(t, b.Consumed(), 30*pace.MinBytesPerSecond, "cut after a few windows")
				return
			}
			require.NoError(t, err)
			require.True(t, b.Ended())
		})
	}
}

func TestBodyFastStartBuysNoStall(t *testing.T) {
	b := newBody(nil, nil, 1<<30, Pace{MinBytesPerSecond: 1000, Window: 10 * time.Second})
	b.r = trickle(b, 1<<20, time.Millisecond)
	buf := make([]byte, 1<<20)
	for range 500 {
		_, err := b.Read(buf)
		require.NoError(t, err)
	}
	b.waited = b.pace.Window // the fast cycle ends
	_, err := b.Read(buf)
	require.NoError(t, err)
	b.r = trickle(b, 1, time.Second)
	_, err = io.Copy(io.Discard, struct{ io.Reader }{b})
	refusal(t, err, storage.CodeUploadIncomplete, "too_slow")
	require.Less(t, b.waited, 12*time.Second)
}

func TestBodyLimit(t *testing.T) {
	b := newBody(strings.NewReader(""), nil, 11, Pace{})
	require.NoError(t, b.Limit(11))
	e := refusal(t, b.Limit(10), storage.CodeFileTooLarge, "")
	require.Equal(t, int64(10), e.Details["limit"])
}
