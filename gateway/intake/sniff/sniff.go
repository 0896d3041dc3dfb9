// Package sniff tells what a file is from its first bytes, never from its name.
//
// github.com/gabriel-vasile/mimetype knows some two hundred formats and does most of the work. Where formats share a
// container and the upload rules must tell them apart (MOV and MP4, HEIC and AVIF, WebM and Matroska), or where a
// magic number of two letters also begins honest text, this package looks for itself.
package sniff

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/gabriel-vasile/mimetype"

	"gatehouse/gateway/intake/bmff"
)

// Unknown is the answer for bytes that are neither a known format nor text.
const Unknown = "application/octet-stream"

// detect is mimetype with its limit off: callers decide how much of a file is looked at by how much they pass.
// The limit is a global of that package, so it is set once, here, before anything can be running.
var detect = func() func([]byte) *mimetype.MIME {
	mimetype.SetLimit(0)
	return mimetype.Detect
}()

// canonical replaces the names of mimetype that are aliases or subtypes of what Gatehouse calls a format.
var canonical = map[string]string{
	"image/apng":     "image/png",
	"video/matroska": "video/x-matroska",
}

// Type is the media type of the file that begins with head, without parameters. Text of any harmless kind is
// text/plain: CSV, Markdown and JSON are told apart by nothing but habit. Markup that a browser would run and
// scripts keep their own names.
func Type(head []byte) string {
	if b, ok := bmff.ParseBrands(head); ok {
		if t := b.MediaType(); t != "" {
			return t
		}
		return "application/x-iso-media" // mimetype calls every unknown brand video/mp4
	}
	if docType, ok := ebmlDocType(head); ok {
		return docType
	}
	if quickTimeWithoutBrands(head) {
		return "video/quicktime"
	}
	if narrow, ok := utf16ToASCII(head); ok {
		return textType(narrow, "text/plain")
	}
	m := detect(head)
	t := baseType(m)
	switch {
	case isTextKind(m):
		return textType(head, t)
	case t == Unknown && textBytes(head):
		return textType(head, "text/plain")
	case shortMagic[t] && textBytes(head) && utf8.Valid(trimPartialRune(head)):
		return textType(head, "text/plain")
	}
	if c, ok := canonical[t]; ok {
		return c
	}
	return t
}

// shortMagic are the formats that mimetype knows by two or three letters. A real one has NUL bytes in its first
// dozen; a text that begins with "BMW" or "MZ-80" has none.
var shortMagic = map[string]bool{
	"image/bmp": true,
	"application/vnd.microsoft.portable-executable": true,
	"application/x-shockwave-flash":                 true,
	"audio/mpeg":                                    true,
	"audio/musepack":                                true,
	"audio/ape":                                     true,
	"video/x-flv":                                   true,
}

func baseType(m *mimetype.MIME) string {
	t, _, _ := strings.Cut(m.String(), ";")
	return t
}

func isTextKind(m *mimetype.MIME) bool {
	for ; m != nil; m = m.Parent() {
		if baseType(m) == "text/plain" {
			return true
		}
	}
	return false
}

// textBytes reports that nothing in head speaks against text: no NUL, no control character but those that
// editors and terminals write (tab, line ends, form feed, Ctrl-Z of DOS, escape). It proves nothing yet; the text
// rule reads the whole file.
func textBytes(head []byte) bool {
	for _, c := range head {
		if c < 0x20 && !bytes.ContainsRune([]byte("\t\n\v\f\r\x1a\x1b"), rune(c)) {
			return false
		}
	}
	return len(head) > 0
}

// trimPartialRune drops the start of a UTF-8 sequence that the end of the head has cut.
func trimPartialRune(b []byte) []byte {
	for n := 1; n <= min(3, len(b)); n++ {
		if c := b[len(b)-n]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-n:]) {
				return b[:len(b)-n]
			}
			break
		}
	}
	return b
}
