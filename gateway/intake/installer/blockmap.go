package installer

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strconv"
)

// MaxBlockmap is the most that a block map unpacks to: blocks have 8 to 32 KiB, so that one of 600 MiB has some 40,000 of 40
// bytes each. No file of a block map is larger packed.
const MaxBlockmap = 16 << 20

const (
	// checksumLen is that of a block: 18 bytes of BLAKE2b, as app-builder writes them.
	checksumLen = 18
	// maxFiles is what a block map may speak of; electron-builder writes one.
	maxFiles = 16
	// maxToken is the longest name or number, with the white space around it: JSON is read token by token, and a token is held in memory.
	maxToken = 64 << 10
	// maxDepth is how deep what nobody asks for may be nested: the decoder remembers what is open.
	maxDepth = 32
)

// Blockmap demands a block map: packed JSON that a client can follow without stumbling. Whether it is that of a certain file
// is for whoever has both.
func Blockmap(r io.ReaderAt, size int64) error {
	return unpack(r, size, MaxBlockmap, func(plain io.Reader) error {
		in := &bounded{r: plain}
		m := blockmap{in: in, d: json.NewDecoder(in)}
		m.d.UseNumber()
		err := m.read()
		if in.err != nil && !errors.Is(in.err, io.EOF) {
			return in.err // of the gzip stream
		}
		if err != nil {
			return ErrContent
		}
		return nil
	})
}

// bounded is a reader that gives at most so much before it is allowed more.
type bounded struct {
	r    io.Reader
	left int
	err  error
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrContent
	}
	n, err := b.r.Read(p)
	b.left, b.err = b.left-n, err
	return n, err
}

// blockmap reads what app-builder writes and electron-updater reads (builder-util-runtime, blockMapApi.ts). Nothing of it is kept:
// what packs well would fill the memory. Fields have these very names and come once, or a client might see others than this does.
type blockmap struct {
	in *bounded
	d  *json.Decoder
}

func (m blockmap) read() error {
	version, files := false, 0
	if t, err := m.next(); err != nil || t != json.Delim('{') {
		return errors.Join(ErrContent, err)
	}
	err := m.fields(map[string]func() error{
		"version": func() error { version = true; return m.text() },
		"files": func() error {
			return m.list(func(t json.Token) error {
				files++
				if t != json.Delim('{') || files > maxFiles {
					return ErrContent
				}
				return m.file()
			})
		},
	})
	if err != nil || !version || files == 0 {
		return errors.Join(ErrContent, err)
	}
	if _, err := m.next(); !errors.Is(err, io.EOF) {
		return ErrContent
	}
	return nil
}

// file reads one file, behind its brace: as many checksums as sizes.
func (m blockmap) file() error {
	name, checksums, sizes := false, -1, -2 // as long as they are not there
	err := m.fields(map[string]func() error{
		"name":   func() error { name = true; return m.text() },
		"offset": func() error { t, err := m.next(); return errors.Join(err, atLeast(0, t)) },
		"checksums": func() error {
			checksums = 0
			return m.list(func(t json.Token) error { checksums++; return checksum(t) })
		},
		"sizes": func() error {
			sizes = 0
			return m.list(func(t json.Token) error { sizes++; return atLeast(1, t) })
		},
	})
	if err != nil || !name || checksums != sizes {
		return errors.Join(ErrContent, err)
	}
	return nil
}

// fields reads an object, behind its brace. What is unknown is passed over.
func (m blockmap) fields(read map[string]func() error) error {
	for {
		key, err := m.next()
		if err != nil || key == json.Delim('}') {
			return err
		}
		name, _ := key.(string) // the decoder lets nothing else be there
		value, known := read[name]
		if !known {
			value = m.skip
		} else {
			read[name] = func() error { return ErrContent } // of a second one
		}
		if err := value(); err != nil {
			return err
		}
	}
}

func (m blockmap) list(each func(json.Token) error) error {
	if t, err := m.next(); err != nil || t != json.Delim('[') {
		return errors.Join(ErrContent, err)
	}
	for {
		t, err := m.next()
		if err != nil || t == json.Delim(']') {
			return err
		}
		if err := each(t); err != nil {
			return err
		}
	}
}

// text reads a string that is not empty.
func (m blockmap) text() error {
	t, err := m.next()
	if s, is := t.(string); err != nil || !is || s == "" {
		return errors.Join(ErrContent, err)
	}
	return nil
}

// skip reads a value, whatever it is.
func (m blockmap) skip() error {
	for depth := 0; depth <= maxDepth; {
		t, err := m.next()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
	return ErrContent
}

func (m blockmap) next() (json.Token, error) {
	m.in.left = maxToken
	return m.d.Token()
}

func checksum(t json.Token) error {
	s, _ := t.(string)
	var raw [checksumLen]byte
	if len(s) != base64.StdEncoding.EncodedLen(checksumLen) {
		return ErrContent
	}
	if n, err := base64.StdEncoding.Decode(raw[:], []byte(s)); err != nil || n != checksumLen {
		return ErrContent
	}
	return nil
}

func atLeast(least int64, t json.Token) error {
	n, is := t.(json.Number)
	v, err := strconv.ParseInt(n.String(), 10, 64)
	if !is || err != nil || v < least {
		return ErrContent
	}
	return nil
}
