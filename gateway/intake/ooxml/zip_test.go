package ooxml

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

// rawZip writes archives that archive/zip refuses to write. Members are stored, without descriptors.
type rawZip struct {
	body, directory bytes.Buffer
	entries         int
}

type rawEntry struct {
	name, localName string
	data            string
	flags, method   uint16
	madeBy          uint16
	attributes      uint32
	extra           []byte // in the directory
	claim           uint32 // size claimed in both headers, when not 0
	offset          int    // in the directory, when not 0
}

func (z *rawZip) add(e rawEntry) {
	if e.localName == "" {
		e.localName = e.name
	}
	le := binary.LittleEndian
	size := uint32(len(e.data))
	if e.claim != 0 {
		size = e.claim
	}
	common := func(b []byte) []byte {
		b = le.AppendUint16(b, 20)
		b = le.AppendUint16(b, e.flags)
		b = le.AppendUint16(b, e.method)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint32(b, crc32.ChecksumIEEE([]byte(e.data)))
		b = le.AppendUint32(b, uint32(len(e.data)))
		return le.AppendUint32(b, size)
	}
	offset := z.body.Len()
	if e.offset != 0 {
		offset = e.offset
	}
	local := common(le.AppendUint32(nil, sigLocal))
	local = le.AppendUint16(local, uint16(len(e.localName)))
	z.body.Write(append(le.AppendUint16(local, 0), e.localName+e.data...))

	central := common(le.AppendUint16(le.AppendUint32(nil, sigCentral), e.madeBy))
	central = le.AppendUint16(central, uint16(len(e.name)))
	central = le.AppendUint16(central, uint16(len(e.extra)))
	central = append(central, make([]byte, 6)...) // comment, disk, internal attributes
	central = le.AppendUint32(central, e.attributes)
	central = le.AppendUint32(central, uint32(offset))
	z.directory.Write(append(append(central, e.name...), e.extra...))
	z.entries++
}

func (z *rawZip) bytes() []byte {
	le := binary.LittleEndian
	end := append(le.AppendUint32(nil, sigEnd), 0, 0, 0, 0)
	end = le.AppendUint16(end, uint16(z.entries))
	end = le.AppendUint16(end, uint16(z.entries))
	end = le.AppendUint32(end, uint32(z.directory.Len()))
	end = le.AppendUint32(end, uint32(z.body.Len()))
	return append(append(bytes.Clone(z.body.Bytes()), z.directory.Bytes()...), append(end, 0, 0)...)
}

// rawDocx is an ordinary document with more members behind it.
func rawDocx(more ...rawEntry) *rawZip {
	z := new(rawZip)
	for _, p := range ordinary("docx") {
		z.add(rawEntry{name: p.name, data: p.body})
	}
	for _, e := range more {
		z.add(e)
	}
	return z
}

func TestZIPRules(t *testing.T) {
	raw := func(e ...rawEntry) []byte { return rawDocx(e...).bytes() }
	good := pack(t, ordinary("docx"))
	gap := func(filler string) []byte {
		z := rawDocx()
		z.body.WriteString(filler)
		return z.bytes()
	}
	bomb := pack(t, append(ordinary("docx"), part{"word/media/x.bmp", strings.Repeat("\x00", 8<<20)}))
	many := new(rawZip)
	for range 1001 {
		many.add(rawEntry{name: strings.Repeat("a", 1+many.entries%100)})
	}
	var quine []byte // the same local header, many times in the directory
	{
		z := rawDocx(rawEntry{name: "a.bin", data: "x"})
		at := z.body.Len()
		z.add(rawEntry{name: "b.bin", data: "x"})
		z.add(rawEntry{name: "c.bin", data: "x", offset: at})
		quine = z.bytes()
	}
	unicodeName := append([]byte{0x75, 0x70, 10, 0, 1, 0, 0, 0, 0}, "other"...)
	tests := []struct {
		name   string
		reason string
		data   []byte
	}{
		{"plain", "", raw()},
		{"padding between members", "", gap("\x00\x00\x00")},
		{"something between members", "zip_hidden_bytes", gap("PK\x03\x04 something")},
		{"something before", "zip_damaged", append([]byte("GIF89a"), good...)},
		{"something behind", "zip_hidden_bytes", append(bytes.Clone(good), "<script>"...)},
		{"two archives in one", "zip_damaged", append(bytes.Clone(raw()), good...)},
		{"truncated", "zip_damaged", good[:len(good)-30]},
		{"empty", "zip_damaged", nil},
		{"no archive", "zip_damaged", []byte(strings.Repeat("no archive ", 100))},
		{"encrypted", "zip_encrypted", raw(rawEntry{name: "x", flags: 1})},
		{"strongly encrypted", "zip_encrypted", raw(rawEntry{name: "x", flags: 1 << 6})},
		{"aes", "zip_encrypted", raw(rawEntry{name: "x", method: 99})},
		{"aes by extra field", "zip_encrypted", raw(rawEntry{name: "x", extra: []byte{0x01, 0x99, 1, 0, 0}})},
		{"deflate64", "zip_method", raw(rawEntry{name: "x", method: 9})},
		{"lzma", "zip_method", raw(rawEntry{name: "x", method: 14})},
		{"dot dot", "zip_path", raw(rawEntry{name: "word/../../x"})},
		{"absolute", "zip_path", raw(rawEntry{name: "/etc/passwd"})},
		{"drive", "zip_path", raw(rawEntry{name: "C:/x"})},
		{"backslash", "zip_path", raw(rawEntry{name: `word\x`})},
		{"NUL in the name", "zip_path", raw(rawEntry{name: "word/a.exe\x00.png"})},
		{"empty segment", "zip_path", raw(rawEntry{name: "word//x"})},
		{"name not UTF-8", "zip_path", raw(rawEntry{name: "word/\xff"})},
		{"another name in an extra field", "zip_path", raw(rawEntry{name: "x", extra: unicodeName})},
		{"duplicate", "zip_duplicate_member", raw(rawEntry{name: "x"}, rawEntry{name: "x"})},
		{"duplicate but for the case", "zip_duplicate_member", raw(rawEntry{name: "WORD/Document.xml", data: "x"})},
		{"symlink", "zip_symlink", raw(rawEntry{name: "x", data: "/etc/passwd", madeBy: 3 << 8, attributes: 0o120777 << 16})},
		{"device", "zip_symlink", raw(rawEntry{name: "x", madeBy: 3 << 8, attributes: 0o020666 << 16})},
		{"regular mode", "", raw(rawEntry{name: "x", madeBy: 3 << 8, attributes: 0o100644 << 16})},
		{"overlap", "zip_overlap", quine},
		{"other local name", "zip_mismatch", raw(rawEntry{name: "x", localName: "y"})},
		{"claims too little", "zip_damaged", raw(rawEntry{name: "x", data: "1234", claim: 2})},
		{"folder with content", "zip_damaged", raw(rawEntry{name: "x/", data: "1234"})},
		{"too many members", "zip_too_many_members", many.bytes()},
		{"ratio", "zip_bomb", bomb},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requireReason(t, tt.reason, checkBytes(tt.data, "docx", testLimits))
		})
	}
}

// patch overwrites every occurrence of old, which must be as long as replacement.
func patch(t *testing.T, data []byte, old, replacement []byte, occurrences int) []byte {
	t.Helper()
	require.Equal(t, len(old), len(replacement))
	require.Equal(t, occurrences, bytes.Count(data, old))
	return bytes.ReplaceAll(data, old, replacement)
}

// TestLyingSizes: what a member promises is held against what it really unpacks to.
func TestLyingSizes(t *testing.T) {
	body := strings.Repeat("a picture of some size ", 1000)
	data := pack(t, append(ordinary("docx"), part{"word/media/x.bmp", body}))
	le := binary.LittleEndian
	size := le.AppendUint32(nil, uint32(len(body)))
	sum := le.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body)))
	requireReason(t, "", checkBytes(data, "docx", testLimits))

	less := patch(t, data, size, le.AppendUint32(nil, 10), 2) // directory and descriptor
	requireReason(t, "zip_mismatch", checkBytes(less, "docx", testLimits))
	more := patch(t, data, size, le.AppendUint32(nil, uint32(len(body)+1)), 2)
	requireReason(t, "zip_mismatch", checkBytes(more, "docx", testLimits))
	wrongSum := patch(t, data, sum, []byte("\x01\x02\x03\x04"), 2)
	requireReason(t, "zip_mismatch", checkBytes(wrongSum, "docx", testLimits))
	i := bytes.LastIndex(data, size)
	one := bytes.Clone(data) // only the directory lies
	le.PutUint32(one[i:], uint32(len(body)+1))
	requireReason(t, "zip_mismatch", checkBytes(one, "docx", testLimits))
}

func TestUnpackedTotal(t *testing.T) {
	lim := testLimits
	lim.MaxZipUnpackedBytes = 4000
	requireReason(t, "", checkBytes(pack(t, ordinary("docx")[:3]), "docx", lim))
	err := checkBytes(pack(t, ordinary("docx")), "docx", lim)
	requireReason(t, "zip_bomb", err)
	require.ErrorContains(t, err, "zip_bomb")
}

// TestZIP64 reads what streaming writers of large workbooks produce: ZIP64 records around small members.
func TestZIP64(t *testing.T) {
	z := rawDocx()
	le := binary.LittleEndian
	plain := z.bytes()
	at := len(plain) - endLen
	rec := le.AppendUint64(le.AppendUint32(nil, sigEnd64), end64Len-12)
	rec = append(rec, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	rec = le.AppendUint64(rec, uint64(z.entries))
	rec = le.AppendUint64(rec, uint64(z.entries))
	rec = le.AppendUint64(rec, uint64(z.directory.Len()))
	rec = le.AppendUint64(rec, uint64(z.body.Len()))
	rec = append(le.AppendUint32(rec, sigLocator64), 0, 0, 0, 0)
	rec = append(le.AppendUint64(rec, uint64(at)), 1, 0, 0, 0)
	data := append(append(bytes.Clone(plain[:at]), rec...), plain[at:]...)
	requireReason(t, "", checkBytes(data, "docx", testLimits))

	lying := bytes.Clone(data)
	lying[at+24]++ // entries on this disk
	requireReason(t, "zip_damaged", checkBytes(lying, "docx", testLimits))
}

func FuzzZIPRules(f *testing.F) {
	for ext := range mainTypes {
		f.Add(pack(f, ordinary(ext)))
	}
	f.Add(rawDocx().bytes())
	f.Add(rawDocx(rawEntry{name: "x", extra: []byte{0x01, 0x00, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8}}).bytes())
	f.Add(packWith(f, ordinary("docx"), func(h *zip.FileHeader) { h.Method = zip.Store }))
	lim := testLimits
	lim.MaxZipUnpackedBytes = 4 << 20
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := checkBytes(data, "docx", lim); err != nil {
			require.NotEmpty(t, storage.CodeOf(err), "%v", err)
			return
		}
		// What passes must read the same with another reader.
		r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		require.NoError(t, err)
		for _, m := range r.File {
			require.NotContains(t, strings.ToLower(m.Name), "vbaproject")
			require.Contains(t, []uint16{zip.Store, zip.Deflate}, m.Method)
		}
	})
}

// FuzzPart puts one foreign part into an honest document: what FuzzZIPRules hardly reaches behind checksums.
func FuzzPart(f *testing.F) {
	f.Add("word/_rels/settings.xml.rels", relsXML(external("attachedTemplate", `file:///\\evil\s\t.dotm`)))
	f.Add("customXml/item1.xml", utf16le(`<?xml version="1.0"?><!-- x --><a b='1'><![CDATA[x]]></a>`))
	f.Add("word/footer1.xml", `<w:fldSimple w:instr=" DDE "/><w:instrText>&#68;DE</w:instrText><w:fldChar/>`)
	f.Add("word/media/image1.bin", ole("_VBA_PROJECT"))
	f.Add("word/embeddings/x.bin", string(pack(f, []part{{"vbaProject.bin", "x"}})))
	f.Add("word/fonts/font1.odttf", "MZ"+strings.Repeat("\x00", 58)+"\x40\x00\x00\x00PE\x00\x00")
	f.Fuzz(func(t *testing.T, name, body string) {
		var buf bytes.Buffer
		w := zip.NewWriter(&buf)
		for _, p := range append(ordinary("docx"), part{name, body}) {
			f, err := w.CreateHeader(&zip.FileHeader{Name: p.name, Method: zip.Store})
			require.NoError(t, err)
			if _, err := f.Write([]byte(p.body)); err != nil {
				return // a folder has no content
			}
		}
		require.NoError(t, w.Close())
		if err := checkBytes(buf.Bytes(), "docx", testLimits); err != nil {
			require.NotEmpty(t, storage.CodeOf(err), "%v", err)
			return
		}
		require.False(t, strings.HasSuffix(name, ".xml") && strings.HasPrefix(body, "<!DOCTYPE"))
	})
}
