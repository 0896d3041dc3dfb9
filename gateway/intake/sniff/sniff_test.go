package sniff_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/intake/sniff"
)

const (
	docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	xlsx = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	pptx = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
)

func box(typ, body string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))) + typ + body
}

func zipOf(t testing.TB, names ...string) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, n := range names {
		f, err := w.Create(n)
		require.NoError(t, err)
		_, err = f.Write([]byte("some content of " + n))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.String()
}

func utf16le(s string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

func jpegFile(t testing.TB) string {
	var b bytes.Buffer
	require.NoError(t, jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8)), nil))
	return b.String()
}

func pngFile(t testing.TB) string {
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8))))
	return b.String()
}

func gifFile(t testing.TB) string {
	var b bytes.Buffer
	require.NoError(t, gif.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8)), nil))
	return b.String()
}

func TestType(t *testing.T) {
	header := func(docType string) string {
		body := "\x42\x86\x81\x01\x42\xf7\x81\x01\x42\x82" + string([]byte{0x80 | byte(len(docType))}) + docType
		return "\x1a\x45\xdf\xa3" + string([]byte{0x80 | byte(len(body))}) + body
	}
	tests := []struct{ name, head, want string }{
		{"jpeg", jpegFile(t), "image/jpeg"},
		{"png", pngFile(t), "image/png"},
		{"apng", pngFile(t)[:33] + "\x00\x00\x00\x08acTL\x00\x00\x00\x02\x00\x00\x00\x00", "image/png"},
		{"gif", gifFile(t), "image/gif"},
		{"webp", "RIFF\x24\x00\x00\x00WEBPVP8 \x18\x00\x00\x00", "image/webp"},
		{"heic", box("ftyp", "heic\x00\x00\x00\x00mif1heic"), "image/heic"},
		{"heif", box("ftyp", "mif1\x00\x00\x00\x00mif1"), "image/heif"},
		{"avif", box("ftyp", "avif\x00\x00\x00\x00avifmif1miaf"), "image/avif"},
		{"avif by its compatible brands", box("ftyp", "mif1\x00\x00\x00\x00mif1avifmiaf"), "image/avif"},
		{"mp4", box("ftyp", "isom\x00\x00\x02\x00isomiso2avc1mp41"), "video/mp4"},
		{"m4v", box("ftyp", "M4V \x00\x00\x00\x00M4V mp42"), "video/x-m4v"},
		{"m4a", box("ftyp", "M4A \x00\x00\x00\x00M4A mp42isom"), "audio/mp4"},
		{"unknown brand", box("ftyp", "evil\x00\x00\x00\x00evil"), "application/x-iso-media"},
		{"mov", box("ftyp", "qt  \x00\x00\x00\x00qt  "), "video/quicktime"},
		{"mov from mdat", "\x00\x10\x00\x00mdat\x00\x00\x00\x20ftyp", "video/quicktime"},
		{"mov from wide", "\x00\x00\x00\x08wide\x00\x10\x00\x00mdat\x01\x02\x03", "video/quicktime"},
		{"mov from moov", box("moov", box("mvhd", strings.Repeat("\x00", 100))), "video/quicktime"},
		{"mov from free", box("free", "\x00\x00\x00\x00") + box("moov", "\x00"), "video/quicktime"},
		{"text that says free", "the free software, and the moov, and more", "text/plain"},
		{"text that says ftyp", "The ftypisom box is the first of a file.", "text/plain"},
		{"webm", header("webm"), "video/webm"},
		{"mkv", header("matroska"), "video/x-matroska"},
		{"other ebml", header("evil"), sniff.Unknown},
		{"ebml cut off", header("webm")[:8], sniff.Unknown},
		{"pdf", "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "application/pdf"},
		{"docx", zipOf(t, "[Content_Types].xml", "_rels/.rels", "word/document.xml"), docx},
		{"docx, parts first", zipOf(t, "word/document.xml", "[Content_Types].xml"), docx},
		{"xlsx", zipOf(t, "[Content_Types].xml", "xl/workbook.xml"), xlsx},
		{"pptx", zipOf(t, "_rels/.rels", "ppt/presentation.xml"), pptx},
		{"zip", zipOf(t, "readme.txt", "evil.exe"), "application/zip"},
		{"zip with a word folder", zipOf(t, "evil.exe", "word/document.xml"), "application/zip"},
		{"jar", zipOf(t, "META-INF/MANIFEST.MF", "A.class"), "application/java-archive"},
		{"rar", "Rar!\x1a\x07\x01\x00\x00\x00", "application/vnd.rar"},
		{"7z", "7z\xbc\xaf\x27\x1c\x00\x04", "application/x-7z-compressed"},
		{"exe", "MZ\x90\x00\x03\x00\x00\x00\x04\x00", "application/vnd.microsoft.portable-executable"},
		{"elf", "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00", "application/x-executable"},
		{"text", "Dear all,\r\nsee you.\r\n", "text/plain"},
		{"BMW is no bitmap", "BMW is a maker of cars from Munich.", "text/plain"},
		{"MZ is no program", "MZ-80K, the computer by Sharp", "text/plain"},
		{"csv", "a,b,c\n1,2,3\n4,5,6\n", "text/plain"},
		{"json", `{"a": [1, 2]}`, "text/plain"},
		{"gb18030", "\xc4\xe3\xba\xc3\xa3\xac\xca\xc0\xbd\xe7\r\n", "text/plain"},
		{"utf-8 Chinese", "你好，世界。\n", "text/plain"},
		{"utf-16", utf16le("你好, world\n"), "text/plain"},
		{"utf-16 big endian", "\xfe\xff\x00H\x00i", "text/plain"},
		{"utf-16 page", utf16le("<html><script>x()</script>"), "text/html"},
		{"dos text", "hello\r\n\x1a", "text/plain"},
		{"markdown", "# Title\n\n```html\n<script>\n```\n", "text/plain"},
		{"markdown with a tag first", "<p align=\"center\">\n<img src=x>\n</p>\n\n# Title", "text/plain"},
		{"markdown with a comment first", "<!-- generated -->\n# Title", "text/plain"},
		{"markdown with a tag first and code later", "<div align=center>\n# Lib\n</div>\n```html\n<script src=lib.js>\n```", "text/plain"},
		{"markdown hiding a page", "<p>\n<script>alert(1)</script>", "text/html"},
		{"html", "<!DOCTYPE html><title>x</title>", "text/html"},
		{"html in upper case behind space", "\xef\xbb\xbf \n<HTML>", "text/html"},
		{"script tag", "<script>alert(1)</script>", "text/html"},
		{"svg", `<svg xmlns="http://www.w3.org/2000/svg" onload="x()"/>`, "image/svg+xml"},
		{"svg with declaration", `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>`, "image/svg+xml"},
		{"svg without namespace", `<svg onload="x()"/>`, "text/html"},
		{"php", "<?php system('id');", "text/x-php"},
		{"shell", "#!/bin/sh\nid\n", "text/x-shellscript"},
		{"python", "#!/usr/bin/env python3\n", "text/x-python"},
		{"unknown interpreter", "#! /opt/tool/run\n", "text/x-shellscript"},
		{"rtf", "{\\rtf1\\ansi", "text/rtf"},
		{"binary", "\x00\x01\x02\x03\x04", sniff.Unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, sniff.Type([]byte(tt.head)))
		})
	}
}

func TestTypeDoesNotDependOnTheCut(t *testing.T) {
	long := zipOf(t, "[Content_Types].xml", "word/document.xml") + strings.Repeat("\x00", 20000)
	require.Equal(t, docx, sniff.Type([]byte(long[:8<<10])))
	text := strings.Repeat("世界", 4000)
	for n := 8<<10 - 4; n < 8<<10; n++ {
		require.Equal(t, "text/plain", sniff.Type([]byte("BM" + text)[:n]))
	}
}

func FuzzSniff(f *testing.F) {
	for _, s := range []string{
		jpegFile(f), pngFile(f), gifFile(f), zipOf(f, "[Content_Types].xml", "word/document.xml"), "%PDF-1.4", "#!/bin/sh",
		box("ftyp", "mif1\x00\x00\x00\x00mif1avif"), "\x00\x00\x00\x08wide\x00\x10\x00\x00mdat", utf16le("hi <b>"),
		"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm", "<p><script>", "你好", "BMW", "\x00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		got := sniff.Type(head)
		major, minor, ok := strings.Cut(got, "/")
		require.True(t, ok && major != "" && minor != "" && !strings.ContainsAny(got, "; "), "no media type: %q", got)
		if got == "text/plain" && len(head) > 0 && head[0] != 0xff && head[0] != 0xfe {
			require.False(t, bytes.HasPrefix(head, []byte("MZ\x90\x00")))
			require.False(t, bytes.HasPrefix(head, []byte("#!/")))
			require.False(t, bytes.HasPrefix(head, []byte("<?php")))
		}
	})
}
