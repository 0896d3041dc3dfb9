package ooxml

import (
	"bufio"
	"bytes"
	"errors"
	"html"
	"io"

	"gatehouse/storage"
)

var (
	xmlDTD = storage.Reason{Slug: "ooxml_dtd",
		English: "A part of the document declares a document type or entities, which Office documents never do.",
		Chinese: "文档的某个部件声明了文档类型或实体，而 Office 文档从不包含此类声明。"}
	xmlMalformed = storage.Reason{Slug: "ooxml_malformed_xml",
		English: "A part of the document is not well-formed XML.",
		Chinese: "文档的某个部件不是格式正确的 XML。"}
)

// errStop ends a scan early without a finding.
var errStop = errors.New("seen enough")

// xmlHandler receives what a part consists of. Names are local, without their prefix: a superset of what
// any reader with namespaces would find. The slices are valid only during the call.
type xmlHandler interface {
	// start is called for each start tag.
	start(name []byte, a *attributes) error
	// text is called for pieces of character data, and with nil for each end tag.
	text(piece []byte) error
}

// attributes of one start tag. Values longer than maxValue are cut (Word keeps whole pictures in attributes);
// get says so.
type attributes struct {
	names, values []byte
	ends          [][2]int // ends of the i-th name and value
	cut           []bool
}

const (
	maxValue      = 8 << 10  // bytes of one value
	maxValues     = 64 << 10 // bytes of all values of a tag
	maxName       = 256
	maxAttributes = 256
)

// get returns the unescaped value of the attribute with that local name. ok is false when the value had to be
// cut or when the name occurs twice, so that it must not be trusted.
func (a *attributes) get(local string) (value string, ok bool) {
	ok = true
	found := false
	from := [2]int{}
	for i, end := range a.ends {
		if string(localName(a.names[from[0]:end[0]])) == local {
			if found || a.cut[i] {
				ok = false
			}
			found = true
			value = html.UnescapeString(string(a.values[from[1]:end[1]]))
		}
		from = end
	}
	return value, ok
}

func (a *attributes) reset() {
	a.names, a.values, a.ends, a.cut = a.names[:0], a.values[:0], a.ends[:0], a.cut[:0]
}

func localName(b []byte) []byte { return b[bytes.LastIndexByte(b, ':')+1:] }

// scanXML walks through one part in constant memory. It is no validating parser: it finds every tag that any
// XML reader finds, and refuses DTDs, entities, NUL characters and encodings that hide markup from it.
// encoding/xml is not used because it holds a whole comment or text in memory, and is ten times slower.
func scanXML(r *bufio.Reader, h xmlHandler) error {
	r, err := toUTF8(r)
	if err != nil {
		return err
	}
	s := xmlScanner{r: r, h: h, tail: make([]byte, 0, 16)}
	for {
		err := s.step()
		switch {
		case errors.Is(err, errStop):
			return nil
		case errors.Is(err, io.EOF):
			return s.atEOF()
		case err != nil:
			return err
		}
	}
}

type xmlScanner struct {
	r        *bufio.Reader
	h        xmlHandler
	attrs    attributes
	name     []byte
	tail     []byte // for skipPast
	elements int
}

func (s *xmlScanner) atEOF() error {
	if s.elements == 0 {
		return refuse(xmlMalformed, nil)
	}
	return nil
}

// step consumes text up to the next tag, and that tag.
func (s *xmlScanner) step() error {
	if err := s.characters(); err != nil {
		return err
	}
	b, err := s.r.ReadByte()
	if err != nil {
		return err
	}
	switch b {
	case '?':
		return s.skipPast("?>")
	case '!':
		return s.declaration()
	case '/':
		if err := s.skipPast(">"); err != nil {
			return err
		}
		return s.h.text(nil)
	}
	if err := s.r.UnreadByte(); err != nil {
		return err
	}
	return s.startTag()
}

// characters hands over the text before the next '<' and consumes that '<'.
func (s *xmlScanner) characters() error {
	for {
		piece, err := s.r.ReadSlice('<')
		if err == nil {
			piece = piece[:len(piece)-1]
		}
		if bytes.IndexByte(piece, 0) >= 0 || s.elements == 0 && !blank(piece) {
			return refuse(xmlMalformed, nil)
		}
		if len(piece) > 0 {
			if err := s.h.text(piece); err != nil {
				return err
			}
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// blank reports whether only white space and a byte order mark stand there.
func blank(b []byte) bool { return len(bytes.Trim(b, " \t\r\n\ufeff")) == 0 }

// declaration handles what starts with "<!": comments and CDATA are skipped or handed over, all else is a DTD.
func (s *xmlScanner) declaration() error {
	if start, _ := s.r.Peek(7); bytes.Equal(start, []byte("[CDATA[")) {
		if _, err := s.r.Discard(7); err != nil {
			return err
		}
		return s.cdata()
	}
	if start, _ := s.r.Peek(2); bytes.Equal(start, []byte("--")) {
		if _, err := s.r.Discard(2); err != nil {
			return err
		}
		return s.skipPast("-->")
	}
	return refuse(xmlDTD, nil)
}

// cdata hands over character data up to the mark that ends it.
func (s *xmlScanner) cdata() error {
	buf := make([]byte, 0, 512)
	for {
		b, err := s.r.ReadByte()
		if err != nil {
			return unexpectedEnd(err)
		}
		buf = append(buf, b)
		if data, ended := bytes.CutSuffix(buf, []byte("]]>")); ended {
			return s.h.text(data)
		}
		if len(buf) == cap(buf) {
			keep := len(buf) - 2 // may be the beginning of the mark
			if err := s.h.text(buf[:keep]); err != nil {
				return err
			}
			buf = append(buf[:0], buf[keep:]...)
		}
	}
}

// skipPast consumes up to and including the mark, whose last byte is '>'.
func (s *xmlScanner) skipPast(mark string) error {
	tail := s.tail[:0] // the last bytes before the current piece, where a mark may have begun
	for {
		piece, err := s.r.ReadSlice('>')
		tail = append(tail, piece[max(0, len(piece)-len(mark)):]...)
		if err == nil && bytes.HasSuffix(tail, []byte(mark)) {
			return nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return unexpectedEnd(err)
		}
		tail = append(tail[:0], tail[max(0, len(tail)-len(mark)):]...)
	}
}

// unexpectedEnd makes an end inside of markup a refusal; other errors pass.
func unexpectedEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return refuse(xmlMalformed, nil)
	}
	return err
}

func (s *xmlScanner) startTag() error {
	s.elements++
	s.attrs.reset()
	s.name = s.name[:0]
	b, err := s.readName(&s.name, maxName)
	for err == nil {
		switch {
		case b == '>':
			return s.h.start(localName(s.name), &s.attrs)
		case b == '/' || isSpace(b):
			b, err = s.r.ReadByte()
		default:
			if err = s.r.UnreadByte(); err == nil {
				b, err = s.attribute()
			}
		}
	}
	return unexpectedEnd(err)
}

// attribute reads name="value" and returns the byte behind it.
func (s *xmlScanner) attribute() (next byte, err error) {
	a := &s.attrs
	if len(a.ends) >= maxAttributes {
		return 0, refuse(xmlMalformed, nil)
	}
	b, err := s.readName(&a.names, maxName)
	for err == nil && (isSpace(b) || b == '=') {
		b, err = s.r.ReadByte()
	}
	if err != nil {
		return 0, err
	}
	if b != '"' && b != '\'' {
		return 0, refuse(xmlMalformed, nil)
	}
	cut := false
	start := len(a.values)
	for {
		piece, err := s.r.ReadSlice(b)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return 0, err
		}
		if err == nil {
			piece = piece[:len(piece)-1]
		}
		room := min(maxValue-(len(a.values)-start), maxValues-len(a.values))
		cut = cut || len(piece) > room
		a.values = append(a.values, piece[:min(len(piece), room)]...)
		if err == nil {
			break
		}
	}
	a.ends = append(a.ends, [2]int{len(a.names), len(a.values)})
	a.cut = append(a.cut, cut)
	return s.r.ReadByte()
}

// readName appends a name to dst and returns the byte that ended it. A name beyond the limit is malformed.
func (s *xmlScanner) readName(dst *[]byte, limit int) (byte, error) {
	start := len(*dst)
	for {
		b, err := s.r.ReadByte()
		if err != nil {
			return 0, err
		}
		if isSpace(b) || b == '>' || b == '/' || b == '=' {
			return b, nil
		}
		if b == '<' || b == 0 || b == '"' || b == '\'' || len(*dst)-start >= limit {
			return 0, refuse(xmlMalformed, nil)
		}
		*dst = append(*dst, b)
	}
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }
