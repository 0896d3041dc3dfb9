package stream

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"
)

// disposition is the Content-Disposition of a form part.
type disposition struct {
	name     string
	filename string
	hasFile  bool // a filename or filename* parameter is there
}

var errDisposition = errors.New("unreadable Content-Disposition")

// parseDisposition reads the header itself because mime.ParseMediaType and Part.FileName hide what the name rules
// must see: they drop folders and refuse raw non-ASCII bytes. File names come back as sent, with separators,
// control characters and whatever bytes they have. filename* (RFC 8187) wins over filename; it is percent-decoded
// once, filename never (browsers write only the quote and line breaks as %22, %0D, %0A, which cannot be undone).
func parseDisposition(v string) (disposition, error) {
	var d disposition
	kind, rest, _ := strings.Cut(v, ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "form-data") {
		return d, errDisposition
	}
	seen := map[string]bool{}
	var extended string
	for {
		rest = strings.TrimLeft(rest, " \t;")
		if rest == "" {
			break
		}
		key, after, ok := strings.Cut(rest, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if !ok || key == "" || strings.ContainsAny(key, "\"; \t") || seen[key] {
			return d, errDisposition
		}
		seen[key] = true
		var value string
		if value, rest, ok = parameterValue(after); !ok {
			return d, errDisposition
		}
		switch key {
		case "name":
			d.name = value
		case "filename":
			d.filename, d.hasFile = value, true
		case "filename*":
			var err error
			if extended, err = decodeExtended(value); err != nil {
				return d, err
			}
		}
	}
	if !seen["name"] {
		return d, errDisposition
	}
	if seen["filename*"] {
		d.filename, d.hasFile = extended, true
	}
	return d, nil
}

// parameterValue reads a token or a quoted string. In a quoted string only \" and \\ are escapes: any other
// backslash stands for itself, since old browsers sent Windows paths unescaped and the name rules must see them.
func parameterValue(s string) (value, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t")
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexByte(s, ';')
		if end < 0 {
			end = len(s)
		}
		value = strings.TrimRight(s[:end], " \t")
		return value, s[end:], value != "" && !strings.ContainsAny(value, "\" \t")
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			rest = strings.TrimLeft(s[i+1:], " \t")
			return b.String(), rest, rest == "" || rest[0] == ';'
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

// decodeExtended reads charset'language'percent-encoded (RFC 8187).
func decodeExtended(v string) (string, error) {
	charset, rest, ok := strings.Cut(v, "'")
	if !ok {
		return "", errDisposition
	}
	_, encoded, ok := strings.Cut(rest, "'")
	if !ok {
		return "", errDisposition
	}
	raw, err := url.PathUnescape(encoded)
	if err != nil {
		return "", errDisposition
	}
	switch strings.ToLower(charset) {
	case "utf-8":
		if !utf8.ValidString(raw) {
			return "", errDisposition
		}
		return raw, nil
	case "iso-8859-1":
		runes := make([]rune, len(raw))
		for i := range len(raw) {
			runes[i] = rune(raw[i])
		}
		return string(runes), nil
	}
	return "", errDisposition
}
