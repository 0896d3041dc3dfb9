package pdf

import (
	"errors"
	"io"
	"slices"
	"strconv"

	"gatehouse/storage"
)

var (
	unreadableStream = storage.Reason{Slug: "pdf_unreadable_objects",
		English: "The PDF packs its objects in a way that cannot be checked; please save or print it again.",
		Chinese: "PDF 的对象打包方式无法检查；请重新保存或打印为 PDF 后再上传。"}
	bomb = storage.Reason{Slug: "pdf_bomb",
		English: "The PDF unpacks to far more data than is allowed.",
		Chinese: "PDF 解压后的数据量远超限制。"}
)

// maxStreamObjects bounds the objects of one object stream; writers use 100 to 10,000.
const maxStreamObjects = 200_000

// stream is called with the lexer behind the keyword "stream" and the stream's dictionary in s.walk.
func (s *scanner) stream(l *lexer) error {
	s.noteEncryption()
	if s.opt.AllowActive || s.encrypted || s.unreadable != nil || !s.isObjectStream() {
		return l.err
	}
	if err := skipToData(l); err != nil {
		return err
	}
	err := s.objectStream(l.pos())
	if errors.Is(err, errUnreadable) {
		s.unreadable = storage.Refuse(storage.CodeContentUnsafe, nil).Because(unreadableStream).CausedBy(err)
		return nil
	}
	return err
}

// isObjectStream goes by the type and also by the entries, since some readers do not ask for the type.
func (s *scanner) isObjectStream() bool {
	if v, _, _ := s.walk.get("Type"); len(v) > 0 && v[0].text == "ObjStm" {
		return true
	}
	_, hasN, _ := s.walk.get("N")
	_, hasFirst, _ := s.walk.get("First")
	return hasN && hasFirst
}

// skipToData skips the line end behind "stream", and blanks before it that sloppy writers leave.
func skipToData(l *lexer) error {
	for b, ok := l.peek(); ok && (b == ' ' || b == '\t'); b, ok = l.peek() {
		l.i++
	}
	if b, ok := l.peek(); ok && b == '\r' {
		l.i++
	}
	if b, ok := l.peek(); ok && b == '\n' {
		l.i++
	}
	return l.err
}

// errUnreadable marks what a reader may understand and this package does not.
var errUnreadable = errors.New("object stream cannot be read")

// objectStream unpacks the object stream whose data begin at that offset and reads its objects.
func (s *scanner) objectStream(at int64) error {
	count, first, err := s.layout()
	if err != nil {
		return err
	}
	plain, err := s.unpack(at)
	if err != nil {
		return err
	}
	metered := &budget{r: plain, left: s.inflateLeft}
	l := &lexer{refill: func() ([]byte, error) {
		n, err := metered.Read(s.spare)
		return s.spare[:n], err
	}}
	s.walk.reset()
	err = readPacked(l, &s.walk, count, first)
	s.inflateLeft = metered.left
	if errors.Is(l.err, errBudget) {
		return refuse(bomb, storage.Details{"limit": s.opt.MaxInflateBytes})
	}
	if storage.CodeOf(err) != "" {
		return err
	}
	if l.err != nil {
		return errors.Join(errUnreadable, l.err)
	}
	return err
}

// layout reads N and First, the number of objects and where they begin.
func (s *scanner) layout() (count, first int64, err error) {
	for key, dst := range map[string]*int64{"N": &count, "First": &first} {
		v, _, once := s.walk.get(key)
		if *dst, err = integer(v); err != nil || !once {
			return 0, 0, errUnreadable
		}
	}
	if count > maxStreamObjects {
		return 0, 0, errUnreadable
	}
	return count, first, nil
}

// integer is a value that is one direct, non-negative integer.
func integer(v []value) (int64, error) {
	if len(v) != 1 || v[0].kind != word {
		return 0, errUnreadable
	}
	n, err := strconv.ParseUint(v[0].text, 10, 40)
	if err != nil {
		return 0, errUnreadable
	}
	return int64(n), nil
}

// readPacked reads the table of offsets and then the objects. Each offset must be where an object begins, so
// that none can point into a string or comment and make an object of what was skipped here as text.
func readPacked(l *lexer, w *walker, count, first int64) error {
	offsets, err := readOffsets(l, count, first)
	if err != nil {
		return err
	}
	for l.pos() < first {
		if _, ok := l.read(); !ok {
			return nil // no objects at all
		}
	}
	for {
		depth := w.depth()
		t := l.next()
		if t.kind == endOfInput {
			break
		}
		for len(offsets) > 0 && first+offsets[0] <= l.start {
			if depth > 0 || first+offsets[0] < l.gap {
				return errUnreadable
			}
			offsets = offsets[1:]
		}
		if err := w.take(t); err != nil {
			return err
		}
	}
	inside := len(offsets) > 0 && first+offsets[0] < l.gap
	if w.depth() > 0 || inside {
		return errUnreadable
	}
	return nil
}

// readOffsets reads count pairs of object number and offset, and returns the offsets sorted.
func readOffsets(l *lexer, count, first int64) ([]int64, error) {
	offsets := make([]int64, 0, min(count, 1024))
	for i := range 2 * count {
		t := l.next()
		n, err := integer([]value{{t.kind, string(t.text)}})
		if err != nil || l.pos() > first {
			return nil, errUnreadable
		}
		if i%2 == 1 {
			offsets = append(offsets, n)
		}
	}
	slices.Sort(offsets)
	return offsets, nil
}

var errBudget = errors.New("object streams unpack to more than allowed")

// budget is a reader that ends with errBudget when more is unpacked than is left.
type budget struct {
	r    io.Reader
	left int64
}

func (b *budget) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if int64(n) > b.left {
		return 0, errBudget
	}
	b.left -= int64(n)
	return n, err
}
