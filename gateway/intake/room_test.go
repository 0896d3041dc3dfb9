package intake

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/disk"
	"gatehouse/storage/meta/metatest"
)

// fakeDisk is a disk that only counts.
type fakeDisk struct {
	free  int64
	asked int
	at    time.Time
	err   error
}

func (f *fakeDisk) room(minFree int64) *Room {
	f.at = time.Now()
	r := NewRoom("/spool", minFree, 10)
	r.free = func(string) (int64, error) { f.asked++; return f.free, f.err }
	r.now = func() time.Time { return f.at }
	return r
}

func requireShort(t *testing.T, err error) {
	t.Helper()
	require.Equal(t, storage.CodeUnavailable, storage.CodeOf(err))
	refusal, _ := errors.AsType[*storage.Error](err)
	require.Equal(t, "spool_short", refusal.Reason.Slug)
}

func TestRoomCoversWhatRunsAndWhatComes(t *testing.T) {
	f := &fakeDisk{free: 1000}
	r := f.room(400)
	a, err := r.enter(300, 5000)
	require.NoError(t, err)
	_, err = r.enter(301, 5000)
	requireShort(t, err)
	b, err := r.enter(300, 5000)
	require.NoError(t, err)
	_, err = r.enter(11, 5000)
	requireShort(t, err)
	requireShort(t, r.Fits(11))
	require.NoError(t, r.Fits(10))
	require.NoError(t, r.Fits(-1), "whose size nobody knows")
	small, err := r.enter(10, 5000)
	require.NoError(t, err, "what stays in memory needs no room")
	small.leave()
	require.NoError(t, r.Ready())
	require.Equal(t, 1, f.asked, "at most once a second")

	// a has written all of it, b a third.
	_, err = io.Copy(io.Discard, a.counts(bytes.NewReader(make([]byte, 300))))
	require.NoError(t, err)
	buf := make([]byte, 100)
	body := b.counts(bytes.NewReader(make([]byte, 300)))
	_, err = io.ReadFull(body, buf)
	require.NoError(t, err)
	f.free, f.at = 600, f.at.Add(time.Second)
	_, err = r.enter(11, 5000)
	requireShort(t, err)
	require.EqualError(t, r.Ready(), "UNAVAILABLE (spool_short): /spool: less than intake.spool_min_free (400 bytes) is free beside the running uploads")
	require.Equal(t, 2, f.asked)

	a.leave() // its file is gone
	f.free, f.at = 900, f.at.Add(time.Second)
	_, err = r.enter(300, 5000)
	requireShort(t, err)
	_, err = r.enter(200, 5000)
	require.NoError(t, err, "900 - 400 - 300 that b may still write: a read counts when the next one is asked for")
}

func TestRoomOfUnknownSizes(t *testing.T) {
	r := (&fakeDisk{free: 1000}).room(0)
	_, err := r.enter(-1, 1001)
	requireShort(t, err)
	_, err = r.enter(5000, 600)
	require.NoError(t, err, "more than the limit is never written")
	_, err = r.enter(-1, 400)
	require.NoError(t, err)
	_, err = r.enter(-1, 400)
	requireShort(t, err)
}

func TestRoomThatCannotBeMeasured(t *testing.T) {
	f := &fakeDisk{err: syscall.EIO}
	r := f.room(0)
	_, err := r.enter(1, 10)
	requireShort(t, err)
	require.ErrorIs(t, err, syscall.EIO)
	requireShort(t, r.Ready())
	f.err, f.at = nil, f.at.Add(time.Second)
	require.NoError(t, r.Ready())
	var none *Room
	require.NoError(t, none.Ready())
}

// smallDisk is a file system of its own, of 4 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "spool")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"), "tests run as root")
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	return dir
}

// paused is a body whose middle waits for the test.
type paused struct {
	io.Reader
	after   int
	reached chan struct{}
	goOn    chan struct{}
	read    int
	once    sync.Once
}

func (p *paused) Read(b []byte) (int, error) {
	if p.read >= p.after {
		p.once.Do(func() { close(p.reached); <-p.goOn })
	}
	n, err := p.Reader.Read(b[:min(len(b), 32<<10)])
	p.read += n
	return n, err
}

// When the disk gets short, what runs ends well, and what is new is refused and leaves nothing.
func TestShortDiskLetsRunningUploadsFinish(t *testing.T) {
	h := newHouse(t, metatest.SQLite(t), 1<<30)
	h.spool = smallDisk(t)
	h.Spool.Dir = h.spool
	h.Room = NewRoom(h.spool, 1<<20, h.Spool.MemoryBytes)
	large := func(name string, content []byte) Upload {
		up := h.upload(name, content)
		up.Policy.Categories[storage.CategoryDocument] = storage.CategoryPolicy{Extensions: []string{"txt"}, MaxBytes: 8 << 20}
		return up
	}
	content := note(1 << 20)
	up := large("runs.txt", content)
	body := &paused{Reader: bytes.NewReader(content), after: 300_000, reached: make(chan struct{}), goOn: make(chan struct{})}
	up.Body = body
	ended := make(chan error, 1)
	go func() {
		_, err := h.Receive(context.Background(), up)
		ended <- err
	}()
	<-body.reached

	// Somebody else fills the disk: less than min_free stays, but enough for what runs.
	filler := filepath.Join(h.spool, "filler")
	require.NoError(t, os.WriteFile(filler, make([]byte, 2300<<10), 0o600))
	h.Room.mu.Lock()
	h.Room.measured = time.Time{} // a second later
	h.Room.mu.Unlock()
	_, err := h.Receive(context.Background(), h.upload("new.txt", note(5)))
	requireShort(t, err)
	requireShort(t, h.Room.Ready())
	close(body.goOn)
	require.NoError(t, <-ended)

	require.NoError(t, os.Remove(filler))
	h.Room = NewRoom(h.spool, 1<<20, h.Spool.MemoryBytes)
	_, err = h.Receive(context.Background(), large("new.txt", note(2<<20)))
	require.NoError(t, err)
	_, err = h.Receive(context.Background(), large("newer.txt", note(3<<20+10)))
	requireShort(t, err)
}

// A disk that is full in the middle is no fault of the client, and nothing is left of the upload.
func TestDiskThatIsFullInTheMiddle(t *testing.T) {
	h := newHouse(t, metatest.SQLite(t), 1<<30)
	h.spool = smallDisk(t)
	h.Spool.Dir = h.spool
	before, err := disk.Free(h.spool)
	require.NoError(t, err)
	up := h.upload("a.txt", note(6<<20))
	up.Policy.Categories[storage.CategoryDocument] = storage.CategoryPolicy{Extensions: []string{"txt"}, MaxBytes: 8 << 20}
	_, err = h.Receive(t.Context(), up)
	require.Equal(t, storage.CodeUnavailable, storage.CodeOf(err))
	require.ErrorIs(t, err, syscall.ENOSPC)
	h.nothingLeft(t)
	after, err := disk.Free(h.spool)
	require.NoError(t, err)
	require.Equal(t, before, after)
}
