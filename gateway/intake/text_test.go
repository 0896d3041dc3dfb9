package intake

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	utf "golang.org/x/text/encoding/unicode"

	"gatehouse/storage"
)

func textCandidate(ext, data string) *Candidate {
	return &Candidate{Ext: ext, Body: bytes.NewReader([]byte(data)), Size: int64(len(data))}
}

func encode(t testing.TB, e encoding.Encoding, s string) string {
	t.Helper()
	out, err := e.NewEncoder().String(s)
	require.NoError(t, err)
	return out
}

func TestCheckTextAccepts(t *testing.T) {
	chinese := strings.Repeat("天地玄黄，宇宙洪荒。日月盈昃\r\n", 5000)
	tests := []struct{ name, ext, data string }{
		{"ascii", "txt", "hello\r\n\tworld\f\n"},
		{"utf-8", "txt", "Grüße, 世界 👋\n"},
		{"utf-8 with byte order mark", "csv", "\xef\xbb\xbfa;b\n1;2\n"},
		{"long utf-8", "txt", "x" + chinese},
		{"utf-16le", "txt", encode(t, utf.UTF16(utf.LittleEndian, utf.UseBOM), chinese+"👋")},
		{"utf-16be", "csv", encode(t, utf.UTF16(utf.BigEndian, utf.UseBOM), chinese+"👋")},
		{"gb18030", "csv", "x" + encode(t, simplifiedchinese.GB18030, chinese+"👋€")},
		{"gbk", "txt", encode(t, simplifiedchinese.GBK, chinese)},
		{"next line", "txt", "a\u0085b"},
		{"html is the topic", "txt", "How to write <script>: see <html>\n"},
		{"csv with a formula", "csv", "=HYPERLINK(\"x\"),1\n"},
		{"markdown with inline html", "md", "<h1 align=\"center\">Gatehouse</h1>\n\n<!-- badges -->\n<img src=\"x.png\">\n"},
		{"markdown with a comment first", "md", "<!-- generated -->\n# Title\n"},
		{"markdown heading", "md", "# Title\n\n```html\n<script>\n```\n"},
		{"xml", "txt", "<?xml version=\"1.0\"?><note/>"},
		{"another extension", "pdf", "\x00\x01"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { require.NoError(t, checkText(textCandidate(tt.ext, tt.data))) })
	}
}

func TestCheckTextRefuses(t *testing.T) {
	long := strings.Repeat("an ordinary line\n", 10_000)
	tests := []struct{ name, ext, data, reason string }{
		{"nul", "txt", "a\x00b", "text_nul"},
		{"nul at the very end", "txt", long + "\x00", "text_nul"},
		{"utf-16 without byte order mark", "txt", "a\x00b\x00", "text_nul"},
		{"utf-32", "txt", "\xff\xfe\x00\x00a\x00\x00\x00", "text_nul"},
		{"nul in utf-16", "txt", "\xff\xfea\x00\x00\x00", "text_nul"},
		{"escape", "txt", long + "\x1b[2J", "text_control_character"},
		{"backspace", "csv", "a\bb", "text_control_character"},
		{"delete", "csv", "a\x7f", "text_control_character"},
		{"C1", "txt", "a\u009b2J", "text_control_character"},
		{"control in gb18030", "txt", "\xc4\xe3\x01", "text_control_character"},
		{"latin 1", "txt", encode(t, charmap.Windows1252, "Grüße aus München, café \n"), "text_encoding"},
		{"broken at the end", "txt", long + "\xe4", "text_encoding"},
		{"odd utf-16", "txt", "\xff\xfea\x00b", "text_encoding"},
		{"lone surrogate", "txt", "\xfe\xff\xd8\x00\x00a", "text_encoding"},
		{"page", "txt", " \n<!DOCTYPE HTML><html>", "text_html"},
		{"page behind a comment", "txt", "<!-- x --> <!-- y --><ScRiPt>alert(1)</script>", "text_html"},
		{"page far down", "txt", strings.Repeat("\n", 40_000) + "<html>", "text_html"},
		{"page behind a comment", "md", "<!-- " + strings.Repeat("x", 40_000) + " --> <html>", "text_html"},
		{"page with byte order mark", "txt", "\xef\xbb\xbf<html>", "text_html"},
		{"page in utf-16", "txt", encode(t, utf.UTF16(utf.LittleEndian, utf.UseBOM), "<html>"), "text_html"},
		{"picture with scripts", "csv", "<svg onload=alert(1)>", "text_html"},
		{"whole page as markdown", "md", "<!doctype html>\n<html>", "text_html"},
		{"script as markdown", "md", "<script>alert(1)</script>\n# Title", "text_html"},
		{"shell", "txt", "#!/bin/sh\nrm -rf /\n", "text_script"},
		{"shell as markdown", "md", "#!/bin/sh\n", "text_script"},
		{"php", "md", "<?php system($_GET[0]);", "text_script"},
		{"batch", "txt", "@ECHO OFF\r\n", "text_script"},
		{"program", "txt", "MZ\x90\x00\x03", "text_encoding"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code := storage.CodeTypeMismatch
			if tt.reason == "text_html" || tt.reason == "text_script" {
				code = storage.CodeContentUnsafe
			}
			requireRefusal(t, checkText(textCandidate(tt.ext, tt.data)), code, tt.reason)
		})
	}
}

// TestCheckTextAcrossBuffers moves characters of every length over the edges of the buffers.
func TestCheckTextAcrossBuffers(t *testing.T) {
	const buffer = 32 << 10
	for _, char := range []string{"ü", "世", "👋"} {
		for shift := range 5 {
			text := strings.Repeat("x", buffer-shift) + strings.Repeat(char, buffer)
			require.NoError(t, checkText(textCandidate("txt", text)), "%s %d", char, shift)
			gb := encode(t, simplifiedchinese.GB18030, text)
			require.NoError(t, checkText(textCandidate("txt", gb)), "%s %d", char, shift)
			cut := text[:len(text)-1]
			require.Error(t, checkText(textCandidate("txt", cut)), fmt.Sprint(char, shift))
		}
	}
}

func TestTextOnBrokenDiskIsNoRefusal(t *testing.T) {
	err := checkText(&Candidate{Ext: "txt", Body: failingDisk{}, Size: 100})
	require.Error(t, err)
	require.Empty(t, storage.CodeOf(err))
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{"hello\n", "世界", "\xff\xfea\x00", "\xfe\xff\x00a", "\xc4\xe3\xba\xc3", "<script>", "a\x00", "\xef\xbb\xbf#!"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		err := checkText(textCandidate("txt", data))
		if err != nil {
			require.NotEmpty(t, storage.CodeOf(err), "%v", err)
		}
		if err == nil && !strings.HasPrefix(data, "\xff\xfe") && !strings.HasPrefix(data, "\xfe\xff") {
			require.NotContains(t, data, "\x00")
			require.NotContains(t, data, "\x1b")
			if !utf8.ValidString(data) { // then it is GB18030, and decodes without loss
				decoded, err := simplifiedchinese.GB18030.NewDecoder().String(data)
				require.NoError(t, err)
				require.NotContains(t, decoded, "\ufffd")
			}
		}
	})
}
