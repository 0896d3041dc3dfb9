package pdf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"regexp"
	"strconv"

	"gatehouse/storage"
)

var (
	noHeader = storage.Reason{Slug: "pdf_no_header",
		English: "The file does not begin like a PDF.",
		Chinese: "文件开头不符合 PDF 格式。"}
	polyglot = storage.Reason{Slug: "pdf_polyglot",
		English: "The file is a PDF and something else at the same time; another file is hidden before or behind the PDF.",
		Chinese: "该文件既是 PDF 又是其他类型的文件；PDF 前后隐藏了其他文件。"}
	truncated = storage.Reason{Slug: "pdf_truncated",
		English: "The PDF is incomplete: its end is missing.",
		Chinese: "PDF 不完整：缺少文件结尾。"}
)

const (
	headWindow = 1024       // readers accept the header anywhere in it (ISO 32000-1, annex H, note 13)
	tailWindow = 1024       // and the end mark anywhere in the last such window (note 18)
	padding    = 64 << 10   // zeros and line ends that are forgiven behind the end: block-padded transfers
	zipWindow  = 22 + 1<<16 // where ZIP readers look for the end of an archive
)

// checkFrame looks at both ends of the file: header, end mark, and other formats around them.
func checkFrame(body io.ReaderAt, size int64) error {
	head, err := readWindow(body, 0, min(size, headWindow))
	if err != nil {
		return err
	}
	at := bytes.Index(head, []byte("%PDF-"))
	if at < 0 {
		return refuse(noHeader, nil)
	}
	if !harmlessPrefix(head[:at]) {
		return refuse(polyglot, nil)
	}
	tail, err := readWindow(body, max(0, size-zipWindow), size)
	if err != nil {
		return err
	}
	if hasZIPEnd(tail) {
		return refuse(polyglot, nil)
	}
	return checkTail(tail, size)
}

// harmlessPrefix accepts white space, a byte order mark, and the printer job language that some drivers leave
// before the header. Anything else could be the beginning of another file.
func harmlessPrefix(prefix []byte) bool {
	prefix = bytes.TrimLeft(prefix, "\ufeff\x00\t\n\f\r ")
	return len(prefix) == 0 || bytes.HasPrefix(prefix, []byte("\x1b%-12345X@PJL")) && !bytes.ContainsAny(prefix, "<\x00")
}

// hasZIPEnd reports whether a ZIP reader would find an archive: an end record that fits into the file and has a
// directory before it.
func hasZIPEnd(tail []byte) bool {
	le := binary.LittleEndian
	for at := 0; ; at++ {
		i := bytes.Index(tail[at:], []byte("PK\x05\x06"))
		if i < 0 {
			return false
		}
		at += i
		rec := tail[at:]
		if len(rec) < 22 || int(le.Uint16(rec[20:]))+22 > len(rec) || le.Uint16(rec[4:]) != 0 {
			continue
		}
		if entries := le.Uint16(rec[10:]); entries > 0 && entries == le.Uint16(rec[8:]) {
			return true
		}
	}
}

var startXref = regexp.MustCompile(`startxref\s+([0-9]{1,19})`)

// checkTail demands the end mark, with nothing but padding and a little harmless text behind it, and a
// cross-reference offset inside of the file.
func checkTail(tail []byte, size int64) error {
	trimmed := bytes.TrimRight(tail, "\x00\t\n\f\r \x1a")
	if len(tail)-len(trimmed) > padding {
		return refuse(truncated, nil)
	}
	end := trimmed[max(0, len(trimmed)-tailWindow):]
	at := bytes.LastIndex(end, []byte("%%EOF"))
	if at < 0 {
		return refuse(truncated, nil)
	}
	if behind := bytes.ToLower(end[at+len("%%EOF"):]); looksForeign(behind) {
		return refuse(polyglot, nil)
	}
	for _, m := range startXref.FindAllSubmatch(end[:at], -1) {
		if offset, err := strconv.ParseInt(string(m[1]), 10, 64); err != nil || offset >= size {
			return refuse(truncated, nil)
		}
	}
	return nil
}

// looksForeign knows the beginnings of what is put behind a PDF; text is in lower case.
func looksForeign(text []byte) bool {
	for _, mark := range []string{"<html", "<script", "<!doctype", "<?php", "<svg", "<iframe", "pk\x03\x04", "rar!", "7z\xbc\xaf", "\x7felf", "this program"} {
		if bytes.Contains(text, []byte(mark)) {
			return true
		}
	}
	return bytes.HasPrefix(bytes.TrimLeft(text, "\r\n"), []byte("mz"))
}

// readWindow reads the bytes from..to; both are within the file.
func readWindow(body io.ReaderAt, from, to int64) ([]byte, error) {
	buf := make([]byte, to-from)
	n, err := body.ReadAt(buf, from)
	if n == len(buf) || errors.Is(err, io.EOF) {
		err = nil
	}
	return buf[:n], err
}
