package content

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// span is a range of bytes within an object; length > 0.
type span struct{ start, length int64 }

func (s span) end() int64 { return s.start + s.length }

func (s span) contentRange(size int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", s.start, s.end()-1, size)
}

const (
	// maxRanges is what one request may ask for: electron-updater asks for up to about 1,000.
	maxRanges = 1024
	// maxUnordered is how many ranges may come in any order. Each step backwards costs the store an open, so more
	// must ascend without overlapping, as they do from every client that resumes or patches.
	maxUnordered = 16
)

var errNoOverlap = errors.New("no range overlaps the object")

// parseRanges reads a Range header. No ranges and no error means: send the whole object, which RFC 9110 allows for
// every Range that is malformed, of another unit, or not worth serving in pieces (section 14.2). errNoOverlap
// means 416.
func parseRanges(header string, size int64) ([]span, error) {
	set, ok := strings.CutPrefix(header, "bytes=")
	if !ok {
		return nil, nil
	}
	var out []span
	missed, count, total := false, 0, int64(0)
	for part := range strings.SplitSeq(set, ",") {
		part = strings.Trim(part, " \t")
		if part == "" {
			continue
		}
		if count++; count > maxRanges {
			return nil, nil
		}
		r, state := parseRange(part, size)
		switch state {
		case rangeBroken:
			return nil, nil
		case rangeOutside:
			missed = true
			continue
		}
		out = append(out, r)
		total += r.length
	}
	if len(out) == 0 {
		if missed {
			return nil, errNoOverlap
		}
		return nil, nil
	}
	// More bytes than the object has: an attack or a mistake; the whole is cheaper.
	if total > size || (len(out) > maxUnordered && !ascending(out)) {
		return nil, nil
	}
	return out, nil
}

const (
	rangeGood = iota
	rangeOutside
	rangeBroken
)

// parseRange reads first-last, first- or -suffix.
func parseRange(s string, size int64) (span, int) {
	first, last, ok := strings.Cut(s, "-")
	first, last = strings.Trim(first, " \t"), strings.Trim(last, " \t")
	if !ok {
		return span{}, rangeBroken
	}
	if first == "" {
		n, ok := position(last)
		if !ok {
			return span{}, rangeBroken
		}
		if n = min(n, size); n == 0 {
			return span{}, rangeOutside
		}
		return span{size - n, n}, rangeGood
	}
	start, ok := position(first)
	if !ok {
		return span{}, rangeBroken
	}
	end := size - 1
	if last != "" {
		n, ok := position(last)
		if !ok || n < start {
			return span{}, rangeBroken
		}
		end = min(end, n)
	}
	if start >= size {
		return span{}, rangeOutside
	}
	return span{start, end - start + 1}, rangeGood
}

func position(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil && s[0] != '+'
}

func ascending(ranges []span) bool {
	for i := 1; i < len(ranges); i++ {
		if ranges[i].start < ranges[i-1].end() {
			return false
		}
	}
	return true
}

// plan is a response: literal text and spans of the object, in order.
type plan struct {
	status       int
	contentType  string
	contentRange string
	// length of the body in bytes, exact.
	length int64
	pieces []piece
}

// piece is text to write and then a span, which may be empty at the end.
type piece struct {
	text string
	span span
}

func planOf(o Object, ranges []span) plan {
	switch len(ranges) {
	case 0:
		return plan{
			status: http.StatusOK, contentType: o.MediaType, length: o.Size,
			pieces: []piece{{span: span{0, o.Size}}},
		}
	case 1:
		return plan{
			status: http.StatusPartialContent, contentType: o.MediaType, contentRange: ranges[0].contentRange(o.Size),
			length: ranges[0].length, pieces: []piece{{span: ranges[0]}},
		}
	}
	boundary := rand.Text()
	p := plan{status: http.StatusPartialContent, contentType: "multipart/byteranges; boundary=" + boundary}
	line := "" // the first boundary follows no line break: electron-updater counts on it
	for _, r := range ranges {
		p.add(piece{
			text: line + "--" + boundary + "\r\nContent-Type: " + o.MediaType + "\r\nContent-Range: " + r.contentRange(o.Size) + "\r\n\r\n",
			span: r,
		})
		line = "\r\n"
	}
	p.add(piece{text: "\r\n--" + boundary + "--\r\n"})
	return p
}

func (p *plan) add(x piece) {
	p.pieces = append(p.pieces, x)
	p.length += int64(len(x.text)) + x.span.length
}
