package ooxml

import (
	"bufio"
	"bytes"
	"slices"
	"strings"

	"golang.org/x/text/encoding/unicode"

	"gatehouse/storage"
)

// toUTF8 undoes UTF-16, which OPC allows besides UTF-8, and refuses declared encodings in which '<' is not
// the byte 0x3C.
func toUTF8(r *bufio.Reader) (*bufio.Reader, error) {
	head, _ := r.Peek(4)
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("<\x00")):
		u := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
		if head[0] == '<' {
			u = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
		}
		return bufio.NewReaderSize(u.NewDecoder().Reader(r), headLen), nil
	case bytes.HasPrefix(head, []byte("\xfe\xff")), bytes.HasPrefix(head, []byte("\x00<")):
		u := unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
		r = bufio.NewReaderSize(u.NewDecoder().Reader(r), headLen)
		return r, nil
	}
	declaration, _ := r.Peek(256)
	declaration, _, _ = bytes.Cut(bytes.TrimPrefix(declaration, []byte("\xef\xbb\xbf")), []byte("?>"))
	if !bytes.HasPrefix(declaration, []byte("<?xml")) {
		return r, nil
	}
	_, value, ok := strings.Cut(strings.ToLower(string(declaration)), "encoding")
	if !ok {
		return r, nil
	}
	value = strings.TrimLeft(value, " \t\r\n=")
	if value != "" {
		value, _, _ = strings.Cut(value[1:], value[:1])
	}
	if !slices.Contains(asciiCompatible, value) {
		return nil, refuse(xmlMalformed, storage.Details{"encoding": value})
	}
	return r, nil
}

// asciiCompatible encodings never use the byte 0x3C inside another character. "utf-16" is here for .NET, which
// writes that into plain UTF-8; real UTF-16 was recognised before.
var asciiCompatible = []string{"utf-8", "utf8", "utf-16", "us-ascii", "ascii", "iso-8859-1", "windows-1252", "gb2312", "gbk", "gb18030"}
