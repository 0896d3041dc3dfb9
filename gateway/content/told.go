package content

import "sync"

// toldAtMost bounds the keys that are remembered; when there are more, all may be told again.
const toldAtMost = 10_000

// Told remembers what was said of objects, so that each reader of a lost one does not write a line of the log. The zero value
// is ready.
type Told struct {
	mu   sync.Mutex
	keys map[string]bool
}

// First reports whether the key was not said before.
func (t *Told) First(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.keys[key] {
		return false
	}
	if t.keys == nil || len(t.keys) >= toldAtMost {
		t.keys = map[string]bool{}
	}
	t.keys[key] = true
	return true
}
