package ooxml

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"path"
	"slices"
	"strings"

	"gatehouse/storage"
)

var (
	embeddedProgram = storage.Reason{Slug: "ooxml_embedded_program",
		English: "The document has a program or script embedded in it.",
		Chinese: "文档内嵌了程序或脚本。"}
	embeddedArchive = storage.Reason{Slug: "ooxml_embedded_archive",
		English: "The document has an archive embedded in it.",
		Chinese: "文档内嵌了压缩包。"}
	embeddedPackage = storage.Reason{Slug: "ooxml_embedded_object",
		English: "The document has a file of any kind embedded as a packaged object, which opens with a double click.",
		Chinese: "文档以打包对象的形式内嵌了任意文件，双击即可打开。"}
)

const (
	magicOLE = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
	magicZIP = "PK\x03\x04"
)

// finding is a byte pattern, in lower case, and what it means.
type finding struct {
	pattern string
	reason  storage.Reason
}

// oleFindings are names of streams and storages in an OLE compound file ([MS-CFB] 2.6.1: UTF-16LE, any case).
// Ole10Native is the data of the packager, which writes any file to disk and opens it. Paint's old
// pictures use it as well; they are refused with it, since the class that tells them apart can be forged.
var oleFindings = []finding{
	{wide("_vba_project"), macro},
	{wide("\x01ole10native"), embeddedPackage},
}

// zipFindings are names of members, which a ZIP archive never compresses.
var zipFindings = []finding{
	{"vbaproject.bin", macro},
	{"xl/macrosheets/", macro},
	{"meta-inf/manifest.mf", embeddedProgram},
}

// judgePartName refuses macros and controls by where they lie, should no content type or relation name them.
func judgePartName(name string) error {
	folder, base := path.Split(fold(name))
	switch {
	case strings.HasPrefix(base, "vbaproject"), base == "vbadata.xml",
		strings.HasSuffix(folder, "macrosheets/"):
		return refuse(macro, storage.Details{"part": name})
	case strings.HasSuffix(folder, "activex/"):
		return refuse(activeX, storage.Details{"part": name})
	}
	return nil
}

// judgeContent looks at what a part begins with, whatever its name says, and into containers.
func judgeContent(m *member, r *bufio.Reader) error {
	head, _ := r.Peek(headLen) // an error comes again when the rest is read
	part := storage.Details{"part": m.name}
	switch {
	case isProgram(head, path.Ext(fold(m.name)) == ".odttf"):
		return refuse(embeddedProgram, part)
	// gzip is not among them: compressed metafiles (emz, wmz) are ordinary pictures.
	case hasAnyPrefix(head, "Rar!\x1a\x07", "7z\xbc\xaf\x27\x1c", "MSCF\x00\x00\x00\x00", "\xfd7zXZ\x00"):
		return refuse(embeddedArchive, part)
	case hasAnyPrefix(head, magicOLE):
		return search(r, oleFindings, part)
	case hasAnyPrefix(head, magicZIP):
		return search(r, zipFindings, part)
	}
	return nil
}

func hasAnyPrefix(b []byte, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return bytes.HasPrefix(b, []byte(p)) })
}

// isProgram knows executables, shortcuts and scripts. An obfuscated font starts with 32 random bytes, so "MZ"
// alone proves nothing there.
func isProgram(head []byte, font bool) bool {
	if bytes.HasPrefix(head, []byte("MZ")) {
		return !font || isPE(head)
	}
	if hasAnyPrefix(head,
		"\x7fELF", "\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe",
		"dex\n", "\x00asm", "ITSF", "L\x00\x00\x00\x01\x14\x02\x00") {
		return true
	}
	start := bytes.ToLower(bytes.TrimLeft(head[:min(len(head), 256)], "\ufeff \t\r\n"))
	return hasAnyPrefix(start, "#!/", "#! /", "<script", "<?php", "<%@", "<hta:", "@echo off", "windows registry editor")
}

// isPE reports whether the DOS header points to a PE signature; if it points beyond the head that is believed.
func isPE(head []byte) bool {
	if len(head) < 0x40 {
		return false
	}
	at := int64(binary.LittleEndian.Uint32(head[0x3c:]))
	if at+4 > int64(len(head)) {
		return at < 1<<16
	}
	return bytes.HasPrefix(head[at:], []byte("PE\x00\x00"))
}

// search reads to the end and refuses for the first pattern that it meets, in any case.
func search(r *bufio.Reader, findings []finding, details storage.Details) error {
	const overlap = 64 // longer than any pattern
	lower := make([]byte, 0, r.Size())
	for {
		window, err := r.Peek(r.Size())
		lower = append(lower[:0], window...)
		for i, b := range lower {
			if b >= 'A' && b <= 'Z' {
				lower[i] = b + 'a' - 'A'
			}
		}
		for _, f := range findings {
			if bytes.Contains(lower, []byte(f.pattern)) {
				return refuse(f.reason, details)
			}
		}
		if err != nil {
			return nil // the end, or an error that comes again when the rest is read
		}
		if _, err := r.Discard(len(window) - overlap); err != nil {
			return err
		}
	}
}

// wide is s in UTF-16LE; s is ASCII.
func wide(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte(s[i])
		b.WriteByte(0)
	}
	return b.String()
}
