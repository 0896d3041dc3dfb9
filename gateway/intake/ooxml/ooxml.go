package ooxml

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"path"
	"slices"

	"gatehouse/gateway/intake/readfault"
	"gatehouse/storage"
)

var (
	missingPart = storage.Reason{Slug: "ooxml_missing_part",
		English: "The document lacks a part that every document of its kind has.",
		Chinese: "文档缺少该类文档必备的部件。"}
	encryptedDocument = storage.Reason{Slug: "ooxml_encrypted",
		English: "The document is protected by a password (or in the old binary format), so it cannot be checked; please save it without a password.",
		Chinese: "文档受密码保护（或为旧的二进制格式），无法检查；请取消密码后另存再上传。"}
)

// Handles reports whether files with that extension (lower case, no dot) are packages for Check.
func Handles(ext string) bool { return mainTypes[ext] != "" }

// Check reads the whole package of size bytes and refuses it with CONTENT_UNSAFE, or TYPE_MISMATCH when it is
// a document of another kind than ext. Any other error is a fault of body.
func Check(body io.ReaderAt, size int64, ext string, lim storage.Limits) error {
	source := readfault.New(body)
	p := &pkg{ext: ext, unpacker: newUnpacker(source)}
	return source.Judge(p.check(source, size, lim))
}

type pkg struct {
	ext      string
	main     string // name of the main part, folded
	unpacker *unpacker
}

func (p *pkg) check(body io.ReaderAt, size int64, lim storage.Limits) error {
	var magic [len(magicOLE)]byte
	if _, err := body.ReadAt(magic[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(magic[:]) == magicOLE {
		return refuse(encryptedDocument, nil) // Office wraps encrypted packages in an OLE file
	}
	d, err := findDirectory(body, size)
	if err != nil {
		return err
	}
	members, err := readDirectory(body, d, lim)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(members, func(m *member) bool { return m.link }); i >= 0 {
		return refuse(zipSymlink, storage.Details{"part": members[i].name})
	}
	if err := layout(body, members, d.offset); err != nil {
		return err
	}
	if err := p.checkMain(members); err != nil {
		return err
	}
	for _, m := range members {
		if err := p.unpacker.read(m, func(r *bufio.Reader) error { return p.examine(m, r) }); err != nil {
			return err
		}
	}
	return nil
}

// checkMain follows the way that every reader goes: package relations, main part, its content type.
func (p *pkg) checkMain(members []*member) error {
	var relationsPart relations
	if err := p.scanPart(members, "_rels/.rels", &relationsPart); err != nil {
		return err
	}
	if len(relationsPart.main) != 1 {
		return refuse(missingPart, storage.Details{"part": "officeDocument"})
	}
	p.main = fold(relationsPart.main[0])
	if find(members, p.main) == nil {
		return refuse(missingPart, storage.Details{"part": relationsPart.main[0]})
	}
	types := contentTypes{main: p.main}
	if err := p.scanPart(members, "[Content_Types].xml", &types); err != nil {
		return err
	}
	return types.judgeMain(p.ext)
}

func (p *pkg) scanPart(members []*member, name string, h xmlHandler) error {
	m := find(members, fold(name))
	if m == nil {
		return refuse(missingPart, storage.Details{"part": name})
	}
	return p.unpacker.read(m, func(r *bufio.Reader) error { return inPart(m, scanXML(r, h)) })
}

func find(members []*member, folded string) *member {
	i := slices.IndexFunc(members, func(m *member) bool { return fold(m.name) == folded })
	if i < 0 {
		return nil
	}
	return members[i]
}

// examine judges one part by name, by content and, if it is XML, by what it says.
func (p *pkg) examine(m *member, r *bufio.Reader) error {
	if err := judgePartName(m.name); err != nil {
		return err
	}
	if err := judgeContent(m, r); err != nil {
		return err
	}
	name := fold(m.name)
	if !p.isXML(name, r) {
		return nil
	}
	switch {
	case path.Ext(name) == ".rels":
		return inPart(m, scanXML(r, &relations{}))
	case p.ext == "docx" || p.ext == "xlsx":
		return inPart(m, scanXML(r, &fields{word: p.ext == "docx"}))
	}
	return inPart(m, scanXML(r, prolog{}))
}

// isXML goes by the name, and by the content where the name is free: any part may be declared XML. Pictures
// and pages (svg, html) may have a document type of their own. An empty part says nothing.
func (p *pkg) isXML(name string, r *bufio.Reader) bool {
	head, _ := r.Peek(64)
	if name == p.main {
		return true
	}
	if len(head) == 0 {
		return false
	}
	switch path.Ext(name) {
	case ".xml", ".rels", ".vml":
		return true
	case ".svg", ".htm", ".html", ".xhtml", ".mht", ".mhtml":
		return false
	}
	return bytes.HasPrefix(bytes.TrimLeft(head, "\ufeff\xff\xfe\x00 \t\r\n"), []byte("<"))
}

// inPart adds the name of the part to a refusal.
func inPart(m *member, err error) error {
	refusal, ok := errors.AsType[*storage.Error](err)
	if !ok {
		return err
	}
	named := *refusal
	named.Details = storage.Details{"part": m.name}
	for k, v := range refusal.Details {
		named.Details[k] = v
	}
	return &named
}
