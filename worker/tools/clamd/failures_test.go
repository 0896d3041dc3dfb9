package clamd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

var content = bytes.Repeat([]byte("some file "), 30_000)

// both runs a test against the Unix and the TCP side of a fake.
func both(t *testing.T, f *fakeClamd, test func(t *testing.T, s *Scanner)) {
	t.Helper()
	unix, tcp := f.serve(t)
	t.Run("unix", func(t *testing.T) { test(t, unix) })
	t.Run("tcp", func(t *testing.T) { test(t, tcp) })
}

func scan(s *Scanner, data []byte) (storage.Verdict, error) {
	return s.Scan(context.Background(), bytes.NewReader(data), int64(len(data)))
}

// A scan answer that is not exactly one well-formed record is an error and never a verdict. Since the
// canary meets the same answer, the scanner counts as unavailable.
func TestDoubtfulAnswers(t *testing.T) {
	for name, reply := range map[string]string{
		"two answers":             "%[1]s: OK%[2]s%[1]s: OK%[2]s",
		"OK after a finding":      "%[1]s: Eicar FOUND%[2]s%[1]s: OK%[2]s",
		"garbage":                 "%[1]s: MAYBE%[2]s",
		"only OK":                 "OK%[2]s",
		"PONG":                    "PONG%[2]s",
		"a finding without name":  "%[1]s:  FOUND%[2]s",
		"an error":                "%[1]s: Can't allocate memory ERROR%[2]s",
		"an idle timeout":         "COMMAND READ TIMED OUT\n",
		"another subject":         "/etc/passwd: OK%[2]s",
		"control characters":      "%[1]s: Ei\x1bcar FOUND%[2]s",
		"something before the OK": "x%[1]s: OK%[2]s",
		"something after the OK":  "%[1]s: OK %[2]sx%[2]s",
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeClamd{scan: func(conn net.Conn, _ int) {
				subject, end := "stream", "\n"
				if conn.LocalAddr().Network() == "unix" {
					subject, end = "fd[9]", "\x00"
				}
				_, _ = io.WriteString(conn, strings.NewReplacer("%[1]s", subject, "%[2]s", end).Replace(reply))
			}}
			both(t, f, func(t *testing.T, s *Scanner) {
				v, err := scan(s, content)
				require.ErrorIs(t, err, ErrUnavailable)
				require.Zero(t, v)
				require.Error(t, s.Ready(context.Background()))
			})
		})
	}
}

// go-clamd 4: clamd closes without a reply. A loop over the results would see nothing wrong. It counts against
// the file, which may be what kills clamd.
func TestClosesWithoutReply(t *testing.T) {
	both(t, &fakeClamd{scan: answer("")}, func(t *testing.T, s *Scanner) {
		v, err := scan(s, content)
		require.ErrorIs(t, err, errCut)
		require.NotErrorIs(t, err, ErrUnavailable)
		require.Zero(t, v)
	})
}

// An answer without its end is no answer.
func TestHalfAnAnswer(t *testing.T) {
	both(t, &fakeClamd{scan: func(conn net.Conn, _ int) { _, _ = io.WriteString(conn, "stream: OK") }},
		func(t *testing.T, s *Scanner) {
			_, err := scan(s, content)
			require.Error(t, err)
		})
}

// go-clamd 1: reader errors are swallowed and the end of the stream is sent, so clamd says OK.
func TestReaderFailsMidway(t *testing.T) {
	broken := errors.New("the disk is on fire")
	f := &fakeClamd{scan: func(conn net.Conn, _ int) {
		_, _ = io.WriteString(conn, map[string]string{"tcp": "stream: OK\n", "unix": "fd[9]: OK\x00"}[conn.LocalAddr().Network()])
	}}
	both(t, f, func(t *testing.T, s *Scanner) {
		for name, r := range map[string]io.Reader{
			"error":        io.MultiReader(bytes.NewReader(content[:len(content)/2]), iotest.ErrReader(broken)),
			"at the start": iotest.ErrReader(broken),
			"with data":    iotest.DataErrReader(io.MultiReader(bytes.NewReader(content[:10]), iotest.ErrReader(broken))),
		} {
			v, err := s.Scan(context.Background(), r, int64(len(content)))
			require.ErrorIs(t, err, broken, name)
			require.NotErrorIs(t, err, ErrUnavailable, name)
			require.Zero(t, v, name)
		}
		_, err := s.Scan(context.Background(), bytes.NewReader(content), int64(len(content))+1)
		require.ErrorIs(t, err, errSize, "too short")
		_, err = s.Scan(context.Background(), bytes.NewReader(content), int64(len(content))-1)
		require.ErrorIs(t, err, errSize, "too long")
	})
}

// go-clamd 5: write errors are ignored. Here clamd claims OK without having read the stream.
func TestClaimsOKWithoutReading(t *testing.T) {
	f := &fakeClamd{scan: answer("stream: OK\n"), early: answer2("stream: OK\n")}
	_, tcp := f.serve(t)
	large := make([]byte, 32<<20) // more than the socket buffers take
	v, err := scan(tcp, large)
	require.Error(t, err)
	require.Zero(t, v)
}

func answer2(s string) func(net.Conn) {
	return func(conn net.Conn) { _, _ = io.WriteString(conn, s) }
}

// go-clamd 2, 3 and 5: no deadline, and goroutines left behind (noLeaks in serve looks for them).
func TestHangingClamd(t *testing.T) {
	release := make(chan struct{})
	reached := make(chan struct{}, 10)
	hang := func(net.Conn, int) {
		reached <- struct{}{}
		<-release
	}
	both(t, &fakeClamd{scan: hang}, func(t *testing.T, s *Scanner) {
		gaveUp := errors.New("the caller gave up")
		ctx, cancel := context.WithCancelCause(context.Background())
		go func() {
			<-reached
			cancel(gaveUp)
		}()
		_, err := s.Scan(ctx, bytes.NewReader(content), int64(len(content)))
		require.ErrorIs(t, err, gaveUp)
		require.NotErrorIs(t, err, ErrUnavailable)
	})
	close(release)
}

// A clamd that stops reading midway blocks the writer; the deadline must wake it.
func TestStopsReading(t *testing.T) {
	release := make(chan struct{})
	f := &fakeClamd{early: func(net.Conn) { <-release }}
	_, tcp := f.serve(t)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_, err := tcp.Scan(ctx, bytes.NewReader(make([]byte, 32<<20)), 32<<20)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	close(release)
}

// The scanner's own time limit is not the caller's and says so.
func TestOwnTimeout(t *testing.T) {
	release := make(chan struct{})
	unix, _ := (&fakeClamd{scan: func(net.Conn, int) { <-release }}).serve(t)
	unix.timeout = 50 * time.Millisecond
	_, err := scan(unix, content)
	require.ErrorContains(t, err, "no verdict within 50ms")
	close(release)
}

// Nobody listens: the scan waits for better times and burns no attempt.
func TestNobodyThere(t *testing.T) {
	noLeaks(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	free := l.Addr().String()
	require.NoError(t, l.Close())
	for _, address := range []string{"unix://" + t.TempDir() + "/none", "tcp://" + free} {
		s, err := New(Config{Address: address})
		require.NoError(t, err)
		_, err = scan(s, content)
		require.ErrorIs(t, err, ErrUnavailable)
		require.ErrorIs(t, s.Ready(context.Background()), ErrUnavailable)
	}
}

// The database is reloaded under a scan: a file is scanned again, a stream has to come again.
func TestDatabaseChangesDuringTheScan(t *testing.T) {
	serve := func(changes int) (*fakeClamd, *Scanner, *Scanner) {
		f := &fakeClamd{
			version: func(asked int) string {
				return fmt.Sprintf("ClamAV 9.9.9/%d/Sat Nov 21 00:00:00 2026\x00", min(asked, changes))
			},
			scan: func(conn net.Conn, _ int) {
				_, _ = io.WriteString(conn, map[string]string{"tcp": "stream: OK\n", "unix": "fd[9]: OK\x00"}[conn.LocalAddr().Network()])
			},
		}
		unix, tcp := f.serve(t)
		return f, unix, tcp
	}
	f, unix, _ := serve(1)
	v, err := scan(unix, content)
	require.NoError(t, err)
	require.Equal(t, "daily:1/Sat Nov 21 00:00:00 2026", v.Database)
	require.EqualValues(t, 2, f.scans.Load())

	_, unix, _ = serve(100)
	_, err = scan(unix, content)
	require.ErrorIs(t, err, ErrUnavailable)

	_, _, tcp := serve(1)
	_, err = scan(tcp, content)
	require.ErrorIs(t, err, ErrUnavailable)
	v, err = scan(tcp, content)
	require.NoError(t, err)
	require.Equal(t, storage.ScanClean, v.Status)
}

// When clamd refuses one file but scans the canary, the trouble is the file's.
func TestErrorAboutOneFile(t *testing.T) {
	unix, _ := (&fakeClamd{scan: func(conn net.Conn, asked int) {
		reply := "fd[9]: OK\x00"
		if asked == 0 {
			reply = "fd[9]: Can't read file ERROR\x00"
		}
		_, _ = io.WriteString(conn, reply)
	}}).serve(t)
	_, err := scan(unix, content)
	require.ErrorContains(t, err, "Can't read file")
	require.NotErrorIs(t, err, ErrUnavailable)
}

func TestReadyWantsEveryCanary(t *testing.T) {
	good := []string{"fd[9]: OK\x00", "fd[9]: Eicar FOUND\x00", "fd[9]: Heuristics.Encrypted.Zip FOUND\x00",
		"fd[9]: Heuristics.Limits.Exceeded.MaxRecursion FOUND\x00"}
	var replies []string
	unix, _ := (&fakeClamd{scan: func(conn net.Conn, asked int) {
		_, _ = io.WriteString(conn, replies[asked%len(replies)])
	}}).serve(t)
	replies = good
	status, err := unix.Check(context.Background())
	require.NoError(t, err)
	require.Equal(t, Status{Engine: "ClamAV 9.9.9", Database: "daily:123/Sat Nov 21 00:00:00 2026"}, status)
	for i, want := range []string{"known good", "EICAR", "AlertEncrypted", "AlertExceedsMax"} {
		fake := &fakeClamd{scan: func(conn net.Conn, asked int) {
			reply := good[asked]
			if asked == i {
				reply = map[bool]string{true: "fd[9]: Eicar FOUND\x00", false: "fd[9]: OK\x00"}[i == 0]
			}
			_, _ = io.WriteString(conn, reply)
		}}
		s, _ := fake.serve(t)
		require.ErrorContains(t, s.Ready(context.Background()), want)
	}
}

func TestParseVersion(t *testing.T) {
	for reply, want := range map[string]version{
		"ClamAV 1.4.6": {engine: "ClamAV 1.4.6"},
		"ClamAV 1.4.6/27800/Mon Nov 16 09:25:31 2026": {"ClamAV 1.4.6", "daily:27800/Mon Nov 16 09:25:31 2026"},
	} {
		got, err := parseVersion(reply)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, reply := range []string{"", "PONG", "UNKNOWN COMMAND", "ClamAV 1.4.6/", "ClamAV 1.4.6/x/y", "ClamAV 1.4.6/12", "ClamAV 1\n2"} {
		_, err := parseVersion(reply)
		require.Error(t, err, reply)
	}
}

func TestDatabaseDate(t *testing.T) {
	made, dated := DatabaseDate("daily:27800/Mon Nov 16 09:25:31 2026")
	require.True(t, dated)
	require.Equal(t, "2026-11-16T09:25:31Z", made.Format(time.RFC3339))
	made, dated = DatabaseDate("daily:27801/Sun Nov  1 09:25:31 2026")
	require.True(t, dated)
	require.Equal(t, 1, made.Day())
	for _, none := range []string{"", "folder:0123", TestSignaturesPrefix + "0123", "daily:27800", "daily:27800/soon"} {
		_, dated := DatabaseDate(none)
		require.False(t, dated, none)
	}
}

func FuzzReply(f *testing.F) {
	for _, seed := range []string{"fd[10]: OK", "stream: OK", "fd[9]: Win.Test.EICAR_HDB-1 FOUND", streamTooLong,
		"fd[9]: Heuristics.Limits.Exceeded.MaxFileSize FOUND", "fd[9]: Heuristics.Encrypted.PDF FOUND", "COMMAND READ TIMED OUT\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, reply string) {
		got, err := parseReply(reply, fildesSubject)
		if err != nil {
			require.Zero(t, got)
			return
		}
		if got.status == storage.ScanClean {
			require.Regexp(t, `^fd\[\d+\]: OK$`, reply)
			require.Empty(t, got.signature)
		} else {
			require.NotEmpty(t, got.signature)
		}
		_, err = parseVersion(reply)
		require.Error(t, err, "no scan answer is a version")
		raw, err := oneRecord([]byte(reply + "\x00"))
		require.NoError(t, err)
		require.Equal(t, reply, raw)
	})
}

func TestAddresses(t *testing.T) {
	for _, good := range []string{"unix:///run/clamd.sock", "tcp://127.0.0.1:3310", "tcp://[::1]:3310", "tcp://clamav:3310"} {
		_, err := New(Config{Address: good})
		require.NoError(t, err)
	}
	for _, bad := range []string{"", "/run/clamd.sock", "unix://run/x", "tcp://host", "tcp://:3310", "http://x:1", "unix://", "tcp://a b:1"} {
		_, err := New(Config{Address: bad})
		require.Error(t, err, bad)
	}
}
