package intake

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/disk"
)

// Room keeps the disk of the spool from running full: it lets an upload in only when its bytes fit beside what the
// running ones may still write and MinFree stays free. Uploads that are in are never touched. A nil Room lets everything
// in. It is safe for concurrent use.
type Room struct {
	dir     string
	minFree int64
	memory  int64
	// free asks the file system; now is the clock.
	free func(dir string) (int64, error)
	now  func() time.Time

	mu     sync.Mutex
	places map[*place]bool
	// left is what uploads may still be promised, as of the measurement and without those let in since.
	left       int64
	measured   time.Time
	measureErr error
}

// roomFor is how long a measurement counts: the file system is asked at most once a second.
const roomFor = time.Second

// NewRoom guards the folder of a spool. Uploads of up to memory bytes never touch the disk.
func NewRoom(dir string, minFree, memory int64) *Room {
	return &Room{dir: dir, minFree: minFree, memory: memory, free: disk.Free, now: time.Now, places: map[*place]bool{}}
}

// place is the room of one upload.
type place struct {
	room *Room
	// size is what it may write, written what it has.
	size    int64
	written atomic.Int64
}

var reasonSpoolShort = storage.Reason{
	Slug:    "spool_short",
	English: "The server is short of disk space and takes no new uploads at the moment; try again later.",
	Chinese: "服务器磁盘空间不足，暂时不接受新的上传；请稍后重试。",
}

// enter lets an upload in whose size was declared (-1: unknown) and is limited, or refuses it with UNAVAILABLE.
func (r *Room) enter(declared, limit int64) (*place, error) {
	if r == nil {
		return nil, nil
	}
	size := declared
	if size < 0 || size > limit {
		size = limit
	}
	if size <= r.memory {
		size = 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.measure(); err != nil {
		return nil, err
	}
	if r.left < size {
		return nil, r.full(size)
	}
	r.left -= size
	p := &place{room: r, size: size}
	r.places[p] = true
	return p, nil
}

// Ready says whether an upload of the smallest size would be let in.
func (r *Room) Ready() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.measure()
}

// Fits is Ready for an upload of at least so many bytes (-1: unknown), which gets no place by it.
func (r *Room) Fits(bytes int64) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.measure(); err != nil {
		return err
	}
	if bytes > r.memory && r.left < bytes {
		return r.full(bytes)
	}
	return nil
}

func (r *Room) full(bytes int64) error {
	return r.short(fmt.Errorf("%s: %d bytes are left for new uploads, and %d are to come", r.dir, max(r.left, 0), bytes))
}

// measure brings left up to date; it fails when not even MinFree is free.
func (r *Room) measure() error {
	if now := r.now(); r.measured.IsZero() || now.Sub(r.measured) >= roomFor {
		// What is written between asking and adding up is counted twice, which errs on the safe side.
		var promised int64
		for p := range r.places {
			promised += max(p.size-p.written.Load(), 0)
		}
		free, err := r.free(r.dir)
		r.left, r.measured, r.measureErr = free-promised-r.minFree, now, err
	}
	if r.measureErr != nil {
		return r.short(fmt.Errorf("measure the spool's disk: %w", r.measureErr))
	}
	if r.left < 0 {
		return r.short(fmt.Errorf("%s: less than intake.spool_min_free (%d bytes) is free beside the running uploads", r.dir, r.minFree))
	}
	return nil
}

func (r *Room) short(cause error) error {
	return storage.Refuse(storage.CodeUnavailable, nil).Because(reasonSpoolShort).CausedBy(cause)
}

// leave gives back what was not written; what was is free again with the next measurement.
func (p *place) leave() {
	if p == nil {
		return
	}
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	delete(p.room.places, p)
}

// counts counts what is read as written once the next read is asked for.
func (p *place) counts(body io.Reader) io.Reader {
	if p == nil {
		return body
	}
	return &placed{p, body, 0}
}

type placed struct {
	place *place
	io.Reader
	last int64
}

func (c *placed) Read(b []byte) (int, error) {
	c.place.written.Add(c.last)
	n, err := c.Reader.Read(b)
	c.last = int64(n)
	return n, err
}
