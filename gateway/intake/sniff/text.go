package sniff

import (
	"bytes"
	"encoding/binary"
)

// activeText are the kinds of text that something runs or that carry objects; they keep their names. Everything
// else that is text is text/plain.
var activeText = map[string]bool{
	"text/html":             true,
	"application/xhtml+xml": true,
	"image/svg+xml":         true,
	"text/x-php":            true,
	"text/rtf":              true,
	"text/javascript":       true,
	"text/x-lua":            true,
	"text/x-perl":           true,
	"text/x-python":         true,
	"text/x-ruby":           true,
	"text/x-shellscript":    true,
	"text/x-tcl":            true,
}

// textType decides what a text is that mimetype calls t.
func textType(head []byte, t string) string {
	switch {
	case t == "text/html" && !htmlDocument(head):
		return "text/plain"
	case activeText[t]:
		return t
	case shebang(head):
		return "text/x-shellscript" // an interpreter that mimetype does not know by its path
	case htmlDocument(head):
		return "text/html"
	}
	return "text/plain"
}

// utf16ToASCII makes text that begins with a UTF-16 byte order mark readable for the checks below: characters
// outside ASCII become question marks. ok is false without the mark, and when NUL characters show that the two
// bytes are no mark.
func utf16ToASCII(head []byte) (narrow []byte, ok bool) {
	if len(head) < 2 {
		return nil, false
	}
	var order binary.ByteOrder
	switch {
	case head[0] == 0xff && head[1] == 0xfe:
		order = binary.LittleEndian
	case head[0] == 0xfe && head[1] == 0xff:
		order = binary.BigEndian
	default:
		return nil, false
	}
	for b := head[2:]; len(b) >= 2; b = b[2:] {
		switch u := order.Uint16(b); {
		case u == 0:
			return nil, false
		case u < 0x80:
			narrow = append(narrow, byte(u))
		default:
			narrow = append(narrow, '?')
		}
	}
	return narrow, true
}

var utf8BOM = []byte("\xef\xbb\xbf")

func textStart(head []byte) []byte {
	return bytes.TrimLeft(bytes.TrimPrefix(head, utf8BOM), " \t\r\n\f")
}

// shebang: "#!" followed by a path. "#!markdown" or "#! note" alone is no script.
func shebang(head []byte) bool {
	rest, ok := bytes.CutPrefix(bytes.TrimPrefix(head, utf8BOM), []byte("#!"))
	return ok && bytes.HasPrefix(bytes.TrimLeft(rest, " \t"), []byte("/"))
}

// htmlTags begin a page. Markdown may begin with other tags (<p align="center">, <div>, <!-- note -->), so those
// count only when a script, a frame or the like comes with them, in front of the first backtick: behind it begins
// quoted code.
var (
	htmlTags   = []string{"<!doctype html", "<html", "<head", "<body", "<script", "<iframe", "<style", "<title", "<meta", "<link", "<object", "<embed", "<svg", "<base", "<form"}
	activeTags = []string{"<script", "<iframe", "<object", "<embed", "<svg", "<html", "<body"}
)

// htmlDocument reports whether head is a page rather than a text with some tags in it.
func htmlDocument(head []byte) bool {
	start := bytes.ToLower(textStart(head))
	if len(start) == 0 || start[0] != '<' {
		return false
	}
	for _, tag := range htmlTags {
		if bytes.HasPrefix(start, []byte(tag)) {
			return true
		}
	}
	// The tag must close, or "<3 you" with a script quoted further down would be a page.
	if len(start) < 2 || !(start[1] == '!' || start[1] == '?' || 'a' <= start[1] && start[1] <= 'z') {
		return false
	}
	prose, _, _ := bytes.Cut(start, []byte("`"))
	for _, tag := range activeTags {
		if bytes.Contains(prose, []byte(tag)) {
			return true
		}
	}
	return false
}
