package pdf

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/ascii85"
	"errors"
	"fmt"
	"io"

	"golang.org/x/image/tiff/lzw"
)

// maxFilters bounds a chain; more than two are never seen.
const maxFilters = 4

// unpack returns the plain bytes of the stream whose data begin at that offset and whose dictionary is in
// s.walk. It fails with errUnreadable for what is ambiguous or exotic.
func (s *scanner) unpack(at int64) (io.Reader, error) {
	for _, key := range []string{"F", "FFilter", "DP"} {
		// Data in another file, or abbreviations that only some readers honour.
		if _, found, _ := s.walk.get(key); found {
			return nil, errUnreadable
		}
	}
	filters, err := s.filters()
	if err != nil {
		return nil, err
	}
	params, err := s.params(len(filters))
	if err != nil {
		return nil, err
	}
	raw, err := s.rawData(at, len(filters) > 0 && isFlate(filters[0]))
	if err != nil {
		return nil, err
	}
	var plain io.Reader = raw
	for i, name := range filters {
		inflater := s.flate
		if i > 0 {
			inflater = flate.NewReader(nil)
		}
		if plain, err = decode(plain, name, params[i], inflater); err != nil {
			return nil, err
		}
	}
	return plain, nil
}

// rawData returns the packed bytes. Deflate knows its own end, so its length does not matter: a reader that
// stops earlier sees less than is seen here. Anything else needs a direct length with "endstream" behind it.
func (s *scanner) rawData(at int64, selfEnding bool) (*bufio.Reader, error) {
	if selfEnding {
		s.packed.Reset(io.NewSectionReader(s.body, at, s.size-at))
		return s.packed, nil
	}
	v, _, once := s.walk.get("Length")
	length, err := integer(v)
	if err != nil || !once || length > s.size-at {
		return nil, errUnreadable
	}
	behind, err := readWindow(s.body, at+length, min(s.size, at+length+16))
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(bytes.TrimLeft(behind, "\r\n "), []byte("endstream")) {
		return nil, errUnreadable
	}
	s.packed.Reset(io.NewSectionReader(s.body, at, length))
	return s.packed, nil
}

// filters lists the filters of the stream, first to be undone first.
func (s *scanner) filters() ([]string, error) {
	v, found, once := s.walk.get("Filter")
	if !once {
		return nil, errUnreadable
	}
	if !found || len(v) == 1 && v[0].kind == word && v[0].text == "null" {
		return nil, nil
	}
	if len(v) == 1 && v[0].kind == nameToken {
		return []string{v[0].text}, nil
	}
	if len(v) < 2 || v[0].kind != arrayOpen || v[len(v)-1].kind != arrayClose || len(v)-2 > maxFilters {
		return nil, errUnreadable
	}
	var names []string
	for _, t := range v[1 : len(v)-1] {
		if t.kind != nameToken {
			return nil, errUnreadable
		}
		names = append(names, t.text)
	}
	return names, nil
}

// params lists the parameters for each filter: one dictionary, or an array of dictionaries and nulls.
func (s *scanner) params(filters int) ([]map[string]int64, error) {
	out := make([]map[string]int64, filters)
	v, found, once := s.walk.get("DecodeParms")
	if !once {
		return nil, errUnreadable
	}
	if found && len(v) > 0 && v[0].kind == arrayOpen {
		v = v[1 : len(v)-1]
	}
	for i := 0; found && len(v) > 0; i++ {
		if i == filters && v[0].text != "null" || i > filters {
			return nil, errUnreadable
		}
		if v[0].kind == word && v[0].text == "null" {
			v = v[1:]
			continue
		}
		dict, rest, err := paramDict(v)
		if err != nil {
			return nil, err
		}
		out[i], v = dict, rest
	}
	return out, nil
}

// paramDict reads << /Key integer ... >>. Any other value is not understood.
func paramDict(v []value) (dict map[string]int64, rest []value, err error) {
	if v[0].kind != dictOpen {
		return nil, nil, errUnreadable
	}
	dict = map[string]int64{}
	for v = v[1:]; len(v) > 0 && v[0].kind != dictClose; v = v[2:] {
		if len(v) < 3 || v[0].kind != nameToken || v[2].kind == word {
			return nil, nil, errUnreadable
		}
		if dict[v[0].text], err = integer(v[1:2]); err != nil {
			return nil, nil, err
		}
	}
	if len(v) == 0 {
		return nil, nil, errUnreadable
	}
	return dict, v[1:], nil
}

func isFlate(name string) bool { return name == "FlateDecode" || name == "Fl" }

// decode undoes one filter; inflater is for its use alone.
func decode(r io.Reader, name string, params map[string]int64, inflater io.ReadCloser) (io.Reader, error) {
	switch name {
	case "FlateDecode", "Fl":
		plain, err := inflate(r, inflater)
		if err != nil {
			return nil, err
		}
		return unpredict(plain, params)
	case "LZWDecode", "LZW":
		if early, set := params["EarlyChange"]; set && early != 1 {
			return nil, errUnreadable
		}
		return unpredict(lzw.NewReader(r, lzw.MSB, 8), params)
	case "ASCIIHexDecode", "AHx":
		return &hexReader{r: bufio.NewReader(r)}, nil
	case "ASCII85Decode", "A85":
		return ascii85.NewDecoder(&untilTilde{r: bufio.NewReader(r)}), nil
	}
	return nil, fmt.Errorf("%w: filter %q", errUnreadable, name)
}

// inflate reads zlib without its checksum, which PDF readers do not check either.
func inflate(r io.Reader, inflater io.ReadCloser) (io.Reader, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	const deflate, hasDictionary = 8, 0x20
	if head[0]&0x0f != deflate || (int(head[0])<<8|int(head[1]))%31 != 0 || head[1]&hasDictionary != 0 {
		return nil, fmt.Errorf("%w: no zlib header", errUnreadable)
	}
	return inflater, inflater.(flate.Resetter).Reset(r, nil)
}

// hexReader undoes ASCIIHexDecode: pairs of hex digits up to '>'.
type hexReader struct{ r *bufio.Reader }

func (h *hexReader) Read(p []byte) (int, error) {
	for n := range p {
		high, err := h.digit()
		if err != nil {
			return n, err
		}
		low, err := h.digit()
		if err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		p[n] = byte(high<<4 | low) // an odd last digit is followed by 0
	}
	return len(p), nil
}

// digit returns the next digit; the end is sticky.
func (h *hexReader) digit() (int, error) {
	for {
		b, err := h.r.ReadByte()
		if err != nil {
			return 0, err
		}
		if b == '>' {
			return 0, errors.Join(h.r.UnreadByte(), io.EOF)
		}
		if d := hexDigit(b); d >= 0 {
			return d, nil
		}
		if !isSpace(b) {
			return 0, errUnreadable
		}
	}
}

// untilTilde ends where ASCII85 data end, at "~>"; the decoder itself knows nothing of that.
type untilTilde struct {
	r    *bufio.Reader
	done bool
}

func (u *untilTilde) Read(p []byte) (int, error) {
	for n := range p {
		b, err := u.r.ReadByte()
		if u.done = u.done || err == nil && b == '~'; u.done {
			return n, io.EOF
		}
		if err != nil {
			return n, err
		}
		p[n] = b
	}
	return len(p), nil
}
