package intake

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	utf "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"gatehouse/gateway/intake/readfault"
	"gatehouse/storage"
)

var (
	textNUL = storage.Reason{Slug: "text_nul",
		English: "The file contains NUL characters, so it is not a text file; if it is UTF-16, please save it with a byte order mark or as UTF-8.",
		Chinese: "文件包含空字符（NUL），不是文本文件；如果是 UTF-16 编码，请带 BOM 保存或另存为 UTF-8。"}
	textControl = storage.Reason{Slug: "text_control_character",
		English: "The file contains control characters that do not belong into a text file.",
		Chinese: "文件包含文本文件中不应出现的控制字符。"}
	textEncoding = storage.Reason{Slug: "text_encoding",
		English: "The file is not text in UTF-8, UTF-16 or GB18030; please save it as UTF-8.",
		Chinese: "文件不是 UTF-8、UTF-16 或 GB18030 编码的文本；请另存为 UTF-8。"}
	textMarkup = storage.Reason{Slug: "text_html",
		English: "The file is a web page or a script in a page, not plain text.",
		Chinese: "该文件是网页或网页脚本，而不是纯文本。"}
	textScript = storage.Reason{Slug: "text_script",
		English: "The file is a script that a computer would run, not plain text.",
		Chinese: "该文件是可被执行的脚本，而不是纯文本。"}
)

// What a text must not begin with, in lower case, behind white space. A Markdown file may begin with inline
// HTML (headings with alignment, pictures, comments are everyday Markdown), so only what makes it a whole page
// or a script is refused there.
var (
	scriptStarts = []string{"#!", "<?php", "<?=", "<%", "@echo off", "windows registry editor"}
	pageStarts   = []string{"<!doctype html", "<html", "<script"}
	markupStarts = []string{"<head", "<body", "<iframe", "<svg", "<object", "<embed", "<hta:", "<meta", "<style", "<link"}
)

// startRunes is how much of the beginning is looked at, in bytes behind white space and comments.
const startRunes = 4096

// checkText demands that txt, csv and md are text from the first byte to the last, in one encoding. What a
// spreadsheet makes of a cell in a CSV is not judged here.
func checkText(c *Candidate) error {
	if !slices.Contains([]string{"txt", "csv", "md"}, c.Ext) {
		return nil
	}
	source := readfault.New(c.Body)
	return source.Judge(judgeText(source, c.Size, c.Ext))
}

// judgeUpdateInfo is judgeText for what programs read: UTF-8 it must be.
func judgeUpdateInfo(body io.ReaderAt, size int64) error {
	return readText(func() io.Reader { return io.NewSectionReader(body, 0, size) }, "yml", false)
}

// judgeText tries the encodings in the order of their strictness; each pass streams through the whole file.
func judgeText(body io.ReaderAt, size int64, ext string) error {
	whole := func() io.Reader { return io.NewSectionReader(body, 0, size) }
	var bom [3]byte
	n, err := body.ReadAt(bom[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch head := string(bom[:n]); {
	case strings.HasPrefix(head, "\xff\xfe"), strings.HasPrefix(head, "\xfe\xff"):
		decoder := utf.UTF16(utf.BigEndian, utf.ExpectBOM).NewDecoder()
		return readText(func() io.Reader { decoder.Reset(); return transform.NewReader(whole(), decoder) }, ext, true)
	case head == "\xef\xbb\xbf":
		return readText(whole, ext, false)
	}
	err = readText(whole, ext, false)
	if err == nil || !isReason(err, textEncoding) {
		return err
	}
	return readText(func() io.Reader {
		return transform.NewReader(whole(), simplifiedchinese.GB18030.NewDecoder())
	}, ext, true)
}

func isReason(err error, r storage.Reason) bool {
	refusal, ok := errors.AsType[*storage.Error](err)
	return ok && refusal.Reason != nil && refusal.Reason.Slug == r.Slug
}

// readText reads UTF-8 and judges its beginning and every character. decoded tells that open gives a decoder: those
// put U+FFFD where they cannot decode; a file that contains that character itself has been damaged by an earlier
// conversion and passes as UTF-8 only.
func readText(open func() io.Reader, ext string, decoded bool) error {
	if err := judgeBeginning(open(), ext); err != nil {
		return err
	}
	r := open()
	buf := make([]byte, 32<<10)
	have := 0
	for {
		n, err := r.Read(buf[have:])
		have += n
		atEnd := errors.Is(err, io.EOF)
		if err != nil && !atEnd {
			// Only decoders fail here; a fault of the disk is known to the caller.
			return notText(textEncoding).CausedBy(err)
		}
		used, err := judgeRunes(buf[:have], atEnd, decoded)
		if err != nil {
			return err
		}
		have = copy(buf, buf[used:have])
		if atEnd {
			return nil
		}
	}
}

// judgeBeginning finds where the text begins for a browser or a shell, behind any amount of white space and
// comments, and judges what stands there.
func judgeBeginning(r io.Reader, ext string) error {
	text := bufio.NewReaderSize(r, startRunes)
	for {
		// A short text gives less, with an error that says nothing new.
		head, _ := text.Peek(len("<!--"))
		switch {
		case len(head) == 0:
			return nil // nothing but white space; what cannot be read or decoded is told by the pass over everything
		case string(head) == "<!--":
			if !skipComment(text) {
				return nil
			}
		case isSpace(head[0]):
			_, _ = text.Discard(1)
		case strings.HasPrefix(string(head), "\ufeff"):
			_, _ = text.Discard(len("\ufeff"))
		default:
			beginning, _ := text.Peek(startRunes)
			return judgeStart(beginning, ext)
		}
	}
}

// skipComment reads past "-->"; it reports false when the text ends before.
func skipComment(text *bufio.Reader) bool {
	var last [3]byte
	for {
		b, err := text.ReadByte()
		if err != nil {
			return false
		}
		last = [3]byte{last[1], last[2], b}
		if string(last[:]) == "-->" {
			return true
		}
	}
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' || b == '\f' }

// judgeRunes judges whole characters and returns how many bytes they have; a character cut by the end of the
// buffer is left for the next call.
func judgeRunes(b []byte, atEnd, decoded bool) (used int, err error) {
	for used < len(b) {
		if isPlain(b[used]) {
			used++
			continue
		}
		if !atEnd && !utf8.FullRune(b[used:]) {
			return used, nil
		}
		r, size := utf8.DecodeRune(b[used:])
		switch {
		case r == utf8.RuneError && (size == 1 || decoded):
			return used, notText(textEncoding)
		case r == 0:
			return used, notText(textNUL)
		case unicode.IsControl(r) && r != '\u0085': // NEL ends lines in text from mainframes
			return used, notText(textControl)
		}
		used += size
	}
	return used, nil
}

// isPlain knows the ASCII characters that may stand in a text.
func isPlain(c byte) bool {
	return c >= ' ' && c < 0x7f || c == '\n' || c == '\r' || c == '\t' || c == '\f'
}

func notText(r storage.Reason) *storage.Error {
	return storage.Refuse(storage.CodeTypeMismatch, nil).Because(r)
}

// judgeStart refuses what a browser, a shell or a server would take for a program. Comments are skipped,
// since a browser skips them too.
func judgeStart(b []byte, ext string) error {
	text := bytes.ToLower(b)
	for {
		text = bytes.TrimLeft(text, "\ufeff \t\r\n\f")
		rest, isComment := bytes.CutPrefix(text, []byte("<!--"))
		if !isComment {
			break
		}
		_, text, _ = bytes.Cut(rest, []byte("-->"))
	}
	begins := func(marks []string) bool {
		return slices.ContainsFunc(marks, func(m string) bool { return bytes.HasPrefix(text, []byte(m)) })
	}
	switch {
	case begins(scriptStarts):
		return unsafe(textScript)
	case begins(pageStarts), ext != "md" && begins(markupStarts):
		return unsafe(textMarkup)
	}
	return nil
}
