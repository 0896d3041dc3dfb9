package content

import (
	"net/http"
	"strings"
	"time"
)

// preconditions evaluates conditional requests in the order of RFC 9110, section 13.2.2.
type preconditions struct {
	etag     string // quoted
	modified time.Time
	get      bool // GET or HEAD
}

// Known reports whether an If-None-Match header lists the quoted entity tag, so that 304 is the answer to GET and HEAD.
func Known(ifNoneMatch, etag string) bool { return preconditions{etag: etag}.listed(ifNoneMatch, true) }

// check returns 0 to go on, 304 or 412.
func (p preconditions) check(header func(string) string) int {
	if v := header("If-Match"); v != "" {
		if !p.listed(v, false) {
			return http.StatusPreconditionFailed
		}
	} else if t, ok := p.date(header("If-Unmodified-Since")); ok && p.since(t) {
		return http.StatusPreconditionFailed
	}
	if v := header("If-None-Match"); v != "" {
		if p.listed(v, true) {
			if p.get {
				return http.StatusNotModified
			}
			return http.StatusPreconditionFailed
		}
	} else if t, ok := p.date(header("If-Modified-Since")); ok && p.get && !p.since(t) {
		return http.StatusNotModified
	}
	return 0
}

// rangeHolds reports whether a Range header counts: If-Range must name exactly this version (section 13.1.5).
func (p preconditions) rangeHolds(header func(string) string) bool {
	v := header("If-Range")
	if v == "" {
		return true
	}
	if strings.HasPrefix(v, `"`) || strings.HasPrefix(v, "W/") {
		return strings.TrimSpace(v) == p.etag
	}
	t, ok := p.date(v)
	return ok && p.modified.Truncate(time.Second).Equal(t)
}

func (p preconditions) date(v string) (time.Time, bool) {
	if v == "" || p.modified.IsZero() {
		return time.Time{}, false
	}
	t, err := http.ParseTime(v)
	return t, err == nil
}

// since reports whether the object changed after t, in the whole seconds that HTTP dates have.
func (p preconditions) since(t time.Time) bool { return p.modified.Truncate(time.Second).After(t) }

// listed looks for the entity tag in a list. Weak comparison ignores the W/ mark; strong comparison never matches
// a weak tag. Tags may hold commas, so the list is read tag by tag; it ends where it cannot be read.
func (p preconditions) listed(list string, weak bool) bool {
	for {
		list = strings.TrimLeft(list, " \t,")
		if list == "" {
			return false
		}
		if list[0] == '*' {
			return true
		}
		marked := strings.HasPrefix(list, "W/")
		tag := strings.TrimPrefix(list, "W/")
		if !strings.HasPrefix(tag, `"`) {
			return false
		}
		end := strings.IndexByte(tag[1:], '"')
		if end < 0 {
			return false
		}
		if tag[:end+2] == p.etag && (weak || !marked) {
			return true
		}
		list = tag[end+2:]
	}
}
