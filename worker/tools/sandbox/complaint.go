package sandbox

import "sync"

// Of the child's error output its first and its last bytes are kept: what it began to complain about, and what
// ended it.
const (
	keptHead = 16 << 10
	keptTail = 48 << 10
)

// complaint takes error output and keeps both ends of it.
type complaint struct {
	mu      sync.Mutex
	head    []byte
	tail    []byte // a ring once it is full; next is its oldest byte
	next    int
	dropped int64
}

func (c *complaint) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(p)
	take := min(len(p), keptHead-len(c.head))
	c.head, p = append(c.head, p[:take]...), p[take:]
	if over := len(p) - keptTail; over > 0 {
		c.dropped, p = c.dropped+int64(over), p[over:]
	}
	take = min(len(p), keptTail-len(c.tail))
	c.tail, p = append(c.tail, p[:take]...), p[take:]
	for len(p) > 0 {
		k := copy(c.tail[c.next:], p)
		c.dropped, p = c.dropped+int64(k), p[k:]
		c.next = (c.next + k) % keptTail
	}
	return n, nil
}

func (c *complaint) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := string(c.head)
	if c.dropped > 0 {
		text += "\n[...]\n"
	}
	return text + string(c.tail[c.next:]) + string(c.tail[:c.next])
}
