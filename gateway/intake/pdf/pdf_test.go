package pdf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

const script = "<< /S /JavaScript /JS (app.alert(1)) >>"

func TestActiveContent(t *testing.T) {
	tests := []struct {
		name   string
		reason string
		data   []byte
	}{
		{"ordinary", "", document("")},
		{"open action to a page", "", document("/OpenAction [3 0 R /Fit]")},
		{"hyperlink", "", document("", func(b *builder) {
			b.object(9, "<< /Type /Annot /Subtype /Link /A << /S /URI /URI (https://example.com/?/JavaScript) >> >>")
		})},
		{"empty trees", "", document("/Names << /EmbeddedFiles << /Names [ ] >> /JavaScript << /Names [] >> /Dests << >> >>")},
		{"script", "pdf_javascript", document("/OpenAction " + script)},
		{"script without blanks", "pdf_javascript", document("/OpenAction<</S/JavaScript/JS(x)>>")},
		{"escaped", "pdf_javascript", document("/OpenAction << /S /J#61va#53cript >>")},
		{"all escaped", "pdf_javascript", document("/OpenAction << /#4a#53 (x) >>")},
		{"name in an object of its own", "pdf_javascript", document("/OpenAction << /S 9 0 R >>", func(b *builder) { b.object(9, "/JavaScript") })},
		{"script of a rendition", "pdf_javascript", document("/AA << /WC << /S /Rendition /JS 8 0 R >> >>")},
		{"named script", "pdf_javascript", document("/Names << /JavaScript << /Names [(a) 9 0 R] >> >>")},
		{"named script elsewhere", "pdf_javascript", document("/Names << /JavaScript 9 0 R >>")},
		{"launch", "pdf_launch", document("/OpenAction << /S /Launch /F (cmd.exe) >>")},
		{"attachment", "pdf_attachment", document("", func(b *builder) { b.stream(9, "/Type /EmbeddedFile", "MZ") })},
		{"attachment tree", "pdf_attachment", document("/Names << /EmbeddedFiles << /Names [(x) 9 0 R] >> >>")},
		{"file specification", "pdf_attachment", document("/AF [<< /Type /Filespec /F (x) /EF << /F 9 0 R >> >>]")},
		{"rich media", "pdf_rich_media", document("", func(b *builder) { b.object(9, "<< /Type /Annot /Subtype /RichMedia >>") })},
		{"XFA", "pdf_xfa", document("/AcroForm << /Fields [] /XFA 9 0 R >>")},
		{"plain form", "", document("/AcroForm << /Fields [] /NeedAppearances true >>")},
		{"submit", "pdf_form_action", document("/AA << /D << /S /SubmitForm /F (http://evil.example) >> >>")},
		{"import", "pdf_form_action", document("/AA << /D << /S /ImportData >> >>")},

		{"hidden in a string", "pdf_javascript", document("", func(b *builder) { b.object(9, "(text\n8 0 obj "+script+" endobj)") })},
		{"hidden in a comment", "pdf_javascript", document("", raw("% 8 0 obj "+script+" endobj\n"))},
		{"hidden in a stream", "pdf_javascript", document("", func(b *builder) { b.stream(9, "", "xx 8 0 obj "+script+" endobj") })},
		{"behind an open string", "pdf_javascript", document("", raw("7 0 obj ( endobj 8 0 obj "+script+" endobj"))},
		{"comment before obj", "pdf_javascript", document("", raw("8 %x\n 0 %y 1\robj"+script+" endobj "))},
		{"long comment before obj", "pdf_javascript", document("", raw("8 0 %"+strings.Repeat("x", 1000)+"\nobj "+script+" endobj "))},
		{"many comments before obj", "pdf_javascript", document("", raw("8 0 "+strings.Repeat("%x\n", 1000)+"obj "+script+" endobj "))},
		{"much white space before obj", "pdf_javascript", document("", raw("8 0"+strings.Repeat(" ", 1000)+"obj "+script+" endobj "))},
		{"in a trailer", "pdf_javascript", document("", raw("trailer << /Root << /OpenAction "+script+" >> >>"))},
		{"the word trailer on a page", "", document("", func(b *builder) { b.stream(9, "", "(trailer) Tj (object trailer /JS) Tj") })},
		{"first of two revisions", "pdf_javascript", revise(document("/OpenAction " + script))},
		{"two revisions", "", revise(document(""))},
		{"unbalanced", "pdf_damaged", document("", raw("8 0 obj << /A << /B (x) >> endobj "))},
		{"too deep", "pdf_damaged", document("", raw("8 0 obj "+strings.Repeat("[", 600)+" endobj "))},
		{"no objects", "pdf_damaged", []byte("%PDF-1.7\nstartxref\n0\n%%EOF")},

		{"encrypted", "pdf_encrypted", encryptedDocument("")},
		{"encrypted with unreadable objects", "pdf_encrypted", encryptedDocument("/Type /ObjStm /N 3 /First 10 /Filter /FlateDecode")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requireReason(t, tt.reason, check(tt.data, testOptions))
			if tt.reason != "" && tt.reason != "pdf_damaged" && tt.reason != "pdf_encrypted" {
				requireReason(t, "", check(tt.data, Options{AllowActive: true}))
			}
		})
	}
}

// revise appends an incremental update that replaces the catalog.
func revise(data []byte) []byte {
	previous := bytes.LastIndex(data, []byte("xref\n0 "))
	at := len(data)
	data = append(bytes.Clone(data), "1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"...)
	return fmt.Appendf(data, "xref\n1 1\n%010d 00000 n \ntrailer\n<< /Size 7 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n",
		at, previous, len(data))
}

func encryptedDocument(streamEntries string) []byte {
	b := newBuilder()
	b.object(1, "<< /Type /Catalog >>")
	b.stream(2, streamEntries, "\x13\x37 cipher text")
	b.table("/Encrypt 9 0 R /ID [<00> <00>]")
	return b.Bytes()
}

func TestObjectStreams(t *testing.T) {
	const harmless = "<< /Type /Page /Title (with /JS in a string) >>"
	flate := "/Filter /FlateDecode"
	predicted := flate + " /DecodeParms << /Predictor 12 /Columns 5 >>"
	up := func(s string) string { return deflated(pngUp(s, 5)) }
	indirectLength := func(b *builder) {
		data, first := packed(harmless, script)
		b.object(20, fmt.Sprintf("<</Type/ObjStm/N 2/First %d/Filter/FlateDecode/Length 21 0 R>>stream\r\n%s\r\nendstream", first, deflated(data)))
	}
	entries := func(entries, data string) func(*builder) { return func(b *builder) { b.stream(20, entries, data) } }
	data, first := packed(script)
	inString := "1 1 (" + script + ")"
	tests := []struct {
		name   string
		reason string
		build  func(*builder)
	}{
		{"harmless", "", objectStream(flate, deflated, harmless, "[1 2 3]", "42", "/Name", "(string)")},
		{"script", "pdf_javascript", objectStream(flate, deflated, harmless, script)},
		{"script, escaped", "pdf_javascript", objectStream(flate, deflated, "<</#53/Java#53cript>>")},
		{"filters in an array", "pdf_javascript", objectStream("/Filter [/FlateDecode]", deflated, script)},
		{"predictor", "pdf_javascript", objectStream(predicted, up, harmless, script)},
		{"predictor, harmless", "", objectStream(predicted, up, harmless)},
		{"predictor parameters in an array", "pdf_javascript", objectStream("/Filter [/FlateDecode] /DecodeParms [<< /Predictor 12 /Columns 5 >>]", up, script)},
		{"not compressed", "pdf_javascript", objectStream("", plain, script)},
		{"hexadecimal", "pdf_javascript", objectStream("/Filter /ASCIIHexDecode", hexed, script)},
		{"base 85", "pdf_javascript", objectStream("/Filter [/ASCII85Decode /FlateDecode] /DecodeParms [null null]",
			func(s string) string { return ascii85ed(deflated(s)) }, script)},
		{"length elsewhere", "pdf_javascript", indirectLength},
		{"without its type", "pdf_javascript", entries(fmt.Sprintf("/N 1 /First %d /Filter /FlateDecode", first), deflated(data))},
		{"type escaped", "pdf_javascript", entries(fmt.Sprintf("/Type /Obj#53tm /N 1 /First %d", first), data)},
		{"hidden in a string", "pdf_unreadable_objects", entries("/Type /ObjStm /N 1 /First 4", inString)},
		{"hidden in a comment", "pdf_unreadable_objects", entries("/Type /ObjStm /N 1 /First 4", "1 1 %"+script+"\n 42")},
		{"hidden in a dictionary", "pdf_unreadable_objects", entries("/Type /ObjStm /N 1 /First 4", "1 3 << /A /B >>")},
		{"offset at white space", "", entries("/Type /ObjStm /N 1 /First 4", "1 0   << /A /B >>")},
		{"unknown filter", "pdf_unreadable_objects", objectStream("/Filter /JBIG2Decode", plain, script)},
		{"filter elsewhere", "pdf_unreadable_objects", objectStream("/Filter 9 0 R", plain, script)},
		{"two filters entries", "pdf_unreadable_objects", objectStream("/Filter /FlateDecode /Filter /ASCIIHexDecode", deflated, harmless)},
		{"abbreviated second filter", "pdf_unreadable_objects", objectStream("/F /ASCIIHexDecode /Filter /FlateDecode", deflated, harmless)},
		{"crypt filter", "pdf_unreadable_objects", objectStream("/Filter [/Crypt /FlateDecode]", deflated, harmless)},
		{"data cut off", "pdf_unreadable_objects", objectStream(flate, func(s string) string { return deflated(s)[:12] }, harmless)},
		{"no deflate", "pdf_unreadable_objects", objectStream(flate, plain, harmless)},
		{"count missing", "pdf_unreadable_objects", entries("/Type /ObjStm /First 4", "1 0 42")},
		{"bomb", "pdf_bomb", objectStream(flate, deflated, "("+strings.Repeat("x", 9<<20)+")")},
		{"picture with N", "", entries("/N 3 /Filter /FlateDecode", "no deflate at all")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := document("", tt.build)
			requireReason(t, tt.reason, check(doc, testOptions))
			requireReason(t, "", check(doc, Options{AllowActive: true}))
		})
	}
}

func TestFrame(t *testing.T) {
	ordinary := document("")
	before := func(s string) []byte { return append([]byte(s), ordinary...) }
	behind := func(s string) []byte { return append(bytes.Clone(ordinary), s...) }
	zipEnd := "PK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x00" + strings.Repeat("\x00", 8) + "\x00\x00"
	tests := []struct {
		name   string
		reason string
		data   []byte
	}{
		{"line ends behind", "", behind("\r\n\r\n")},
		{"block padding behind", "", behind(strings.Repeat("\x00", 5000))},
		{"a little text behind", "", behind("% saved by a scanner\n")},
		{"byte order mark before", "", before("\xef\xbb\xbf")},
		{"line end before", "", before("\r\n")},
		{"printer job before", "", before("\x1b%-12345X@PJL ENTER LANGUAGE=PDF\r\n")},
		{"page before", "pdf_polyglot", before("<html><script>alert(1)</script>")},
		{"program before", "pdf_polyglot", before("MZ\x90\x00")},
		{"archive before", "pdf_polyglot", before("PK\x03\x04")},
		{"picture before", "pdf_polyglot", before("GIF89a")},
		{"script before", "pdf_polyglot", before("#!/bin/sh\n")},
		{"page behind", "pdf_polyglot", behind("<HTML><script>")},
		{"archive behind", "pdf_polyglot", behind("PK\x03\x04 something " + zipEnd)},
		{"archive inside with its end in reach", "pdf_polyglot", document("", func(b *builder) { b.stream(9, "", zipEnd+"\n") })},
		{"header too late", "pdf_no_header", before(strings.Repeat(" ", 1020))},
		{"no header", "pdf_no_header", ordinary[10:]},
		{"empty", "pdf_no_header", nil},
		{"cut", "pdf_truncated", ordinary[:len(ordinary)-40]},
		{"end too early", "pdf_truncated", behind(strings.Repeat("x", 1100))},
		{"table beyond the end", "pdf_truncated", bytes.Replace(ordinary, []byte("startxref\n"), []byte("startxref\n99"), 1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { requireReason(t, tt.reason, check(tt.data, testOptions)) })
	}
}

// TestWindowEdges moves an action over the edge between two windows.
func TestWindowEdges(t *testing.T) {
	for shift := range 40 {
		filler := strings.Repeat("x", windowLen-350-shift)
		data := document("", func(b *builder) {
			b.Truncate(len("%PDF-1.7\n"))
			b.stream(8, "", filler)
			b.WriteString(strings.Repeat(" ", 250-30))
			b.object(9, script)
		})
		requireReason(t, "pdf_javascript", check(data, testOptions))
	}
}

// noisy is a large file of compressed pictures: random bytes, in which everything short occurs by chance.
func noisy(size int) []byte {
	random := rand.NewChaCha8([32]byte{1})
	return document("", func(b *builder) {
		for n := 10; b.Len() < size; n++ {
			data := make([]byte, 1<<20)
			_, _ = random.Read(data) // never fails
			b.stream(n, "/Type /XObject /Subtype /Image /Filter /DCTDecode", string(data))
		}
	})
}

func TestNoiseIsNoFinding(t *testing.T) {
	requireReason(t, "", check(noisy(20<<20), testOptions))
}

// TestNestedObjectsAreBounded: objects inside of objects are read more than once, but not without end.
func TestNestedObjectsAreBounded(t *testing.T) {
	data := document("", raw(strings.Repeat("1 0 obj(", 200_000)))
	requireReason(t, "pdf_damaged", check(data, testOptions))
}

type failing struct {
	io.ReaderAt
	from, to int64
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off < f.to && off+int64(len(p)) > f.from {
		return 0, errors.New("disk on fire")
	}
	return f.ReaderAt.ReadAt(p, off)
}

// TestOwnFaultIsNoRefusal: a disk that does not read must not be blamed on the client.
func TestOwnFaultIsNoRefusal(t *testing.T) {
	data := document("", objectStream("/Filter /FlateDecode", deflated, "42"))
	for _, f := range []failing{{from: 0, to: 1}, {from: 600, to: 601}, {from: int64(len(data)) - 1, to: int64(len(data))}} {
		f.ReaderAt = bytes.NewReader(data)
		err := Check(f, int64(len(data)), testOptions)
		require.ErrorContains(t, err, "disk on fire")
		require.Empty(t, storage.CodeOf(err))
	}
}

func BenchmarkCheck20MiB(b *testing.B) {
	data := noisy(20 << 20)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := check(data, testOptions); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzPDFRules(f *testing.F) {
	f.Add(document(""))
	f.Add(document("/OpenAction " + script))
	f.Add(document("", objectStream("/Filter /FlateDecode", deflated, script)))
	f.Add(document("", objectStream("/Filter [/ASCII85Decode]", ascii85ed, "<< /A [1 (2) <33>] >>")))
	f.Add(document("", objectStream("/Filter/FlateDecode/DecodeParms<</Predictor 15/Columns 5>>",
		func(s string) string { return deflated(pngUp(s, 5)) }, "42")))
	f.Add(document("", objectStream("/Filter /LZWDecode", plain, "42")))
	f.Add(encryptedDocument(""))
	f.Add(document("", raw("8 %x\n 0 %y 1\robj"+script+" endobj ")))
	f.Fuzz(func(t *testing.T, data []byte) {
		err := check(data, Options{MaxInflateBytes: 1 << 20})
		if err != nil {
			require.NotEmpty(t, storage.CodeOf(err), "%v", err)
		}
		// An action put behind whatever the bytes say is found, or the file is refused for another reason.
		if err == nil {
			acting := append(bytes.Clone(data), "\n8 0 obj "+script+" endobj\nstartxref\n0\n%%EOF\n"...)
			require.Error(t, check(acting, Options{MaxInflateBytes: 1 << 20}))
		}
	})
}
