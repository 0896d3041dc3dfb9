package ooxml

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

// testLimits are the configured defaults in small.
var testLimits = storage.Limits{MaxZipMembers: 1000, MaxZipUnpackedBytes: 64 << 20, MaxZipRatio: 200}

// part is one member of a package under test. An empty body removes a part of the same name.
type part struct{ name, body string }

const (
	xmlHead  = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"
	relsNS   = `http://schemas.openxmlformats.org/package/2006/relationships`
	officeNS = `http://schemas.openxmlformats.org/officeDocument/2006/relationships`
	wordNS   = `http://schemas.openxmlformats.org/wordprocessingml/2006/main`
)

// mainParts tells where each kind keeps its main part.
var mainParts = map[string]string{"docx": "word/document.xml", "xlsx": "xl/workbook.xml", "pptx": "ppt/presentation.xml"}

func relsXML(relationships ...string) string {
	return xmlHead + `<Relationships xmlns="` + relsNS + `">` + strings.Join(relationships, "") + `</Relationships>`
}

func rel(kind, target string) string {
	return `<Relationship Id="rId1" Type="` + officeNS + `/` + kind + `" Target="` + target + `"/>`
}

func external(kind, target string) string {
	return strings.Replace(rel(kind, target), "/>", ` TargetMode="External"/>`, 1)
}

func typesXML(ext string, more ...string) string {
	return xmlHead + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
		`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
		`<Default Extension="xml" ContentType="application/xml"/>` + strings.Join(more, "") +
		`<Override PartName="/` + mainParts[ext] + `" ContentType="` + mainTypes[ext] + `"/></Types>`
}

// ordinary lists the parts of a small honest document.
func ordinary(ext string) []part {
	folder := strings.SplitAfter(mainParts[ext], "/")[0]
	body := map[string]string{
		"docx": `<w:document xmlns:w="` + wordNS + `"><w:body><w:p><w:r><w:t>JavaScript &amp; DDEAUTO in ordinary text</w:t></w:r></w:p></w:body></w:document>`,
		"xlsx": `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheets/></workbook>`,
		"pptx": `<p:presentation xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"/>`,
	}[ext]
	return []part{
		{"[Content_Types].xml", typesXML(ext)},
		{"_rels/.rels", relsXML(rel("officeDocument", mainParts[ext]))},
		{mainParts[ext], xmlHead + body},
		{folder + "_rels/" + strings.TrimPrefix(mainParts[ext], folder) + ".rels", relsXML(
			rel("styles", "styles.xml"), external("hyperlink", "https://example.com/?a=1&amp;b=2"),
			external("image", "https://example.com/logo.png"))},
		{"docProps/core.xml", xmlHead + `<cp:coreProperties xmlns:cp="x"/>`},
		{folder + "media/image1.png", "\x89PNG\r\n\x1a\n" + strings.Repeat("\x00pixels", 500)},
	}
}

// with replaces parts by name, removes those with an empty body, and appends the others.
func with(parts []part, changes ...part) []part {
	var out []part
	used := map[string]bool{}
	for _, p := range parts {
		for _, c := range changes {
			if c.name == p.name {
				p, used[c.name] = c, true
			}
		}
		if p.body != "" {
			out = append(out, p)
		}
	}
	for _, c := range changes {
		if !used[c.name] {
			out = append(out, c)
		}
	}
	return out
}

func pack(t testing.TB, parts []part) []byte {
	t.Helper()
	return packWith(t, parts, func(*zip.FileHeader) {})
}

// packWith writes the parts through archive/zip (deflate, data descriptors) after adjust had its way.
func packWith(t testing.TB, parts []part, adjust func(*zip.FileHeader)) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, p := range parts {
		h := &zip.FileHeader{Name: p.name, Method: zip.Deflate}
		adjust(h)
		f, err := w.CreateHeader(h)
		require.NoError(t, err)
		_, err = f.Write([]byte(p.body))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return buf.Bytes()
}

func checkBytes(data []byte, ext string, lim storage.Limits) error {
	return Check(bytes.NewReader(data), int64(len(data)), ext, lim)
}

// requireReason demands a refusal with that slug, with both sentences; "" demands acceptance.
func requireReason(t testing.TB, slug string, err error) {
	t.Helper()
	if slug == "" {
		require.NoError(t, err)
		return
	}
	var refusal *storage.Error
	require.ErrorAs(t, err, &refusal)
	require.NotNil(t, refusal.Reason)
	require.Equal(t, slug, refusal.Reason.Slug, "%v %v", refusal, refusal.Details)
	require.Equal(t, slug, refusal.Details["reason"])
	require.True(t, strings.HasSuffix(refusal.Reason.English, "."))
	require.True(t, strings.HasSuffix(refusal.Reason.Chinese, "。"))
}
