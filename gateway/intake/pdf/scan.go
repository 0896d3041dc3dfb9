package pdf

import (
	"bufio"
	"bytes"
	"compress/flate"
	"io"
)

// scanner looks through one file.
type scanner struct {
	body        io.ReaderAt
	size        int64
	opt         Options
	inflateLeft int64

	objects    int64
	read       int64 // bytes read as objects, all in all
	encrypted  bool
	unreadable error // the first object stream that could not be read; encryption explains it better
	walk       walker

	// Reused from object to object: a file may have hundreds of thousands.
	lex    lexer
	behind int64  // file offset of what refill reads next
	spare  []byte // for what an object has behind the window, or an object stream unpacks to
	packed *bufio.Reader
	flate  io.ReadCloser
	refill func() ([]byte, error)
}

const (
	windowLen = 256 << 10
	// lookBack is how far before "obj" its two numbers are looked for. Where the window does not decide
	// (white space and comments all the way) it is taken for an object.
	lookBack = 256
)

// run visits every "N G obj" and every "trailer << >>" of the file, wherever they stand.
func (s *scanner) run() error {
	s.walk.allowActive = s.opt.AllowActive
	s.spare = make([]byte, 16<<10)
	s.packed = bufio.NewReaderSize(nil, 8<<10)
	s.flate = flate.NewReader(nil)
	s.refill = s.readBehind
	marks := []mark{{word: []byte("obj"), visit: s.visitObject}, {word: []byte("trailer"), visit: s.visitTrailer}}
	buf := make([]byte, 0, windowLen)
	base := int64(0) // file offset of buf[0]
	for base+int64(len(buf)) < s.size {
		keep := min(len(buf), lookBack+8) // 8: a keyword cut by the end of the window
		base += int64(len(buf) - keep)
		buf = append(buf[:0], buf[len(buf)-keep:]...)
		n, err := s.body.ReadAt(buf[keep:min(int64(cap(buf)), s.size-base)], base+int64(keep))
		buf = buf[:keep+n]
		for i := range marks {
			if err := marks[i].find(buf, base); err != nil {
				return err
			}
		}
		if n == 0 {
			return err // nil or io.EOF would mean a file shorter than announced, which fails just as well
		}
	}
	return s.verdict()
}

func (s *scanner) verdict() error {
	switch {
	case s.encrypted:
		return refuse(encrypted, nil)
	case s.unreadable != nil:
		return s.unreadable
	case s.objects == 0:
		return refuse(damaged, nil)
	}
	return nil
}

// mark is a keyword that is searched for.
type mark struct {
	word  []byte
	visit func(buf []byte, at int, base int64) error // at: behind the keyword
	next  int64                                      // file offset from which it has not been searched yet
}

func (m *mark) find(buf []byte, base int64) error {
	for {
		from := int(max(0, m.next-base))
		if from > len(buf) {
			return nil
		}
		i := bytes.Index(buf[from:], m.word)
		if i < 0 {
			m.next = max(m.next, base+int64(len(buf)-len(m.word)+1))
			return nil
		}
		at := from + i + len(m.word)
		m.next = base + int64(at)
		if err := m.visit(buf, at, base); err != nil {
			return err
		}
	}
}

// enter points the lexer at buf[at:] and what lies behind buf in the file.
func (s *scanner) enter(buf []byte, at int, base int64) *lexer {
	s.behind = base + int64(len(buf))
	s.lex = lexer{buf: buf, i: at, base: base, refill: s.refill}
	s.walk.reset()
	return &s.lex
}

func (s *scanner) readBehind() ([]byte, error) {
	if s.behind >= s.size {
		return nil, io.EOF
	}
	n, err := s.body.ReadAt(s.spare[:min(int64(len(s.spare)), s.size-s.behind)], s.behind)
	s.behind += int64(n)
	return s.spare[:n], err
}

// spend counts what was read as objects. Objects that lie inside of each other (in a string, say) are read
// more than once; a file made of nothing else would take forever.
func (s *scanner) spend(n int64) error {
	const slack = 1 << 20
	if s.read += n; s.read > 3*s.size+slack {
		return refuse(damaged, nil)
	}
	return nil
}

func (s *scanner) visitObject(buf []byte, at int, base int64) error {
	before := buf[max(0, at-3-lookBack) : at-3]
	if !numbersBefore(before, base+int64(at-3-len(before)) == 0) {
		return nil
	}
	l := s.enter(buf, at, base)
	if b, ok := l.peek(); ok && isRegular(b) {
		return nil // a longer word
	}
	begin := l.pos()
	stream, err := s.object(l)
	if err != nil {
		return err
	}
	s.objects++
	if err := s.spend(l.pos() - begin); err != nil || !stream {
		return err
	}
	return s.stream(l)
}

// object reads tokens to the end of the object; stream tells that its data follow.
func (s *scanner) object(l *lexer) (stream bool, err error) {
	for {
		t := l.next()
		if t.kind == word {
			switch string(t.text) {
			case "stream", "endobj", "obj", "endstream", "xref", "trailer", "startxref":
				if s.walk.depth() > 0 {
					return false, refuse(damaged, nil)
				}
				return t.is("stream"), nil
			}
		}
		if t.kind == endOfInput {
			if l.err == nil && s.walk.depth() > 0 {
				return false, refuse(damaged, nil)
			}
			return false, l.err
		}
		if err := s.walk.take(t); err != nil {
			return false, err
		}
	}
}

// visitTrailer reads the dictionary behind "trailer".
func (s *scanner) visitTrailer(buf []byte, at int, base int64) error {
	l := s.enter(buf, at, base)
	begin := l.pos()
	for t := l.next(); t.kind != endOfInput; t = l.next() {
		if s.walk.depth() == 0 && t.kind != dictOpen {
			break // the word on a page, or the end of the dictionary
		}
		if err := s.walk.take(t); err != nil {
			return err
		}
		if s.walk.depth() == 0 {
			break
		}
	}
	if l.err != nil {
		return l.err
	}
	s.noteEncryption()
	return s.spend(l.pos() - begin)
}

// noteEncryption looks for the entry that trailers and cross-reference streams have in encrypted files.
func (s *scanner) noteEncryption() {
	if _, found, _ := s.walk.get("Encrypt"); found {
		s.encrypted = true
	}
}

// numbersBefore reports whether two numbers, separated by white space and comments, stand at the end of b;
// whole tells that b begins where the file begins.
func numbersBefore(b []byte, whole bool) bool {
	if n := len(b); n == 0 || isRegular(b[n-1]) && !isDigit(b[n-1]) {
		return false // endobj, or a word that merely ends in obj
	}
	ends, undecided := gapsBefore(b, len(b), whole)
	if undecided {
		return true
	}
	for _, end := range ends {
		first := end
		for first > 0 && isDigit(b[first-1]) {
			first--
		}
		if first == end {
			continue
		}
		inner, undecided := gapsBefore(b, first, whole)
		if undecided {
			return true
		}
		for _, e := range inner {
			if e < first && e > 0 && isDigit(b[e-1]) {
				return true
			}
		}
	}
	return false
}

// gapsBefore lists where the token before b[end:] can end: before white space, and before comments, if the
// lines there can be comments. undecided tells that the answer lies before b.
func gapsBefore(b []byte, end int, whole bool) (ends []int, undecided bool) {
	for {
		newline := false
		for end > 0 && isSpace(b[end-1]) {
			newline = newline || b[end-1] == '\n' || b[end-1] == '\r'
			end--
		}
		if end == 0 {
			return ends, !whole
		}
		ends = append(ends, end)
		if !newline {
			return ends, false
		}
		line := bytes.LastIndexAny(b[:end], "\r\n") + 1
		percent := bytes.IndexByte(b[line:end], '%')
		if percent < 0 {
			return ends, line == 0 && !whole
		}
		end = line + percent
	}
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }
