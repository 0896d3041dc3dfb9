package pdf

import (
	"bytes"
	"errors"
	"io"
)

// kind of a token (ISO 32000-1, 7.2 and 7.3).
type kind uint8

const (
	endOfInput kind = iota
	nameToken       // /Name, #xx undone
	word            // a number, a keyword or anything that is nothing else
	stringToken
	dictOpen
	dictClose
	arrayOpen
	arrayClose
)

// token is one token; text is set for names and words, cut at maxText, and valid only until the next token.
type token struct {
	kind kind
	text []byte
}

func (t token) is(s string) bool { return t.kind == word && string(t.text) == s }

// maxText is longer than any name or keyword that means something here, with every character escaped.
const maxText = 128

// lexer splits bytes into tokens in constant memory: strings and comments are skipped, not held.
type lexer struct {
	buf    []byte
	i      int
	base   int64                  // position of buf[0]
	refill func() ([]byte, error) // the bytes behind buf; io.EOF at the end
	err    error                  // why the input ended, if not io.EOF

	text [maxText]byte
	// gap is where the white space directly before the last token began: behind the token or comment before
	// it. start is where the last token itself began.
	gap, start int64
}

func (l *lexer) pos() int64 { return l.base + int64(l.i) }

// read returns the next byte; ok is false at the end.
func (l *lexer) read() (b byte, ok bool) {
	if l.i == len(l.buf) && !l.more() {
		return 0, false
	}
	b = l.buf[l.i]
	l.i++
	return b, true
}

func (l *lexer) more() bool {
	if l.refill == nil {
		return false
	}
	for {
		base := l.pos()
		next, err := l.refill()
		if len(next) > 0 {
			l.buf, l.i, l.base = next, 0, base
			return true
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				l.err = err
			}
			l.refill = nil
			return false
		}
	}
}

// peek returns the next byte without consuming it; ok is false at the end.
func (l *lexer) peek() (b byte, ok bool) {
	if l.i == len(l.buf) && !l.more() {
		return 0, false
	}
	return l.buf[l.i], true
}

// next returns the next token.
func (l *lexer) next() token {
	b, ok := l.skipSpace()
	if !ok {
		return token{kind: endOfInput}
	}
	switch b {
	case '/':
		return l.name()
	case '(':
		l.literal()
		return token{kind: stringToken}
	case '<':
		if c, _ := l.peek(); c == '<' {
			l.i++
			return token{kind: dictOpen}
		}
		for c, ok := l.read(); ok && c != '>'; c, ok = l.read() {
		}
		return token{kind: stringToken}
	case '>':
		if c, _ := l.peek(); c == '>' {
			l.i++
			return token{kind: dictClose}
		}
	case '[':
		return token{kind: arrayOpen}
	case ']':
		return token{kind: arrayClose}
	}
	return l.word(b)
}

// skipSpace skips white space and comments and returns the first byte of the next token.
func (l *lexer) skipSpace() (b byte, ok bool) {
	l.gap = l.pos()
	for {
		b, ok = l.read()
		switch {
		case !ok:
			return 0, false
		case b == '%':
			for ok && b != '\r' && b != '\n' {
				b, ok = l.read()
			}
			l.gap = l.pos()
		case !isSpace(b):
			l.start = l.pos() - 1
			return b, true
		}
	}
}

// name reads a name behind its slash and undoes its escapes.
func (l *lexer) name() token {
	raw := l.run(l.text[:0])
	if bytes.IndexByte(raw, '#') < 0 {
		return token{kind: nameToken, text: raw}
	}
	out := raw[:0] // decoding never lengthens
	for i := 0; i < len(raw); i++ {
		b := raw[i]
		if b == '#' && i+2 < len(raw) {
			if high, low := hexDigit(raw[i+1]), hexDigit(raw[i+2]); high >= 0 && low >= 0 {
				b = byte(high<<4 | low)
				i += 2
			}
		}
		if b == 0 {
			break // some readers end their strings there
		}
		out = append(out, b)
	}
	return token{kind: nameToken, text: out}
}

// word reads a run of regular characters that begins with b, or b alone if it is a stray delimiter.
func (l *lexer) word(b byte) token {
	l.text[0] = b
	if !isRegular(b) {
		return token{kind: word, text: l.text[:1]}
	}
	return token{kind: word, text: l.run(l.text[:1])}
}

// run appends regular characters to dst, as many as it can hold, and skips the rest of them.
func (l *lexer) run(dst []byte) []byte {
	for {
		b, ok := l.peek()
		if !ok || !isRegular(b) {
			return dst
		}
		l.i++
		if len(dst) < maxText {
			dst = append(dst, b)
		}
	}
}

// literal skips a string behind its opening parenthesis.
func (l *lexer) literal() {
	for depth := 1; depth > 0; {
		b, ok := l.read()
		switch {
		case !ok:
			return
		case b == '\\':
			l.read()
		case b == '(':
			depth++
		case b == ')':
			depth--
		}
	}
}

func hexDigit(b byte) int {
	switch {
	case b >= '0' && b <= '9':
		return int(b - '0')
	case b >= 'a' && b <= 'f':
		return int(b-'a') + 10
	case b >= 'A' && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}

func isSpace(b byte) bool {
	return b == ' ' || b == '\n' || b == '\r' || b == '\t' || b == '\f' || b == 0
}

func isRegular(b byte) bool {
	switch b {
	case '(', ')', '<', '>', '[', ']', '{', '}', '/', '%':
		return false
	}
	return !isSpace(b)
}
