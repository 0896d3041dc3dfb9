package ooxml

import (
	"html"
	"strings"
	"unicode"

	"gatehouse/storage"
)

var dde = storage.Reason{Slug: "ooxml_dde",
	English: "The document contains a DDE link, which starts another program when it is updated.",
	Chinese: "文档包含 DDE 链接，更新时会启动其他程序。"}

// prolog scans only what stands before the root element: where a DTD would be.
type prolog struct{}

func (prolog) text([]byte) error               { return nil }
func (prolog) start([]byte, *attributes) error { return errStop }

// fields finds DDE: in Word as a field whose instruction starts with DDE or DDEAUTO, possibly cut into many
// runs, in Excel as an external link. Other parts of a workbook or a presentation hold none and end the scan.
type fields struct {
	word          bool
	root          string
	inInstruction bool
	instruction   []byte
}

// maxInstruction is enough to see the first word behind any white space that Word writes.
const maxInstruction = 1 << 10

func (h *fields) start(name []byte, a *attributes) error {
	if h.root == "" {
		h.root = string(name)
		if !h.word && h.root != "externalLink" {
			return errStop
		}
	}
	h.inInstruction = false
	switch string(name) {
	case "ddeLink":
		return refuse(dde, nil)
	case "instrText":
		h.inInstruction = true
	case "fldChar": // begin, separate or end: each closes the instruction before it
		return h.judge()
	case "fldSimple":
		instruction, _ := a.get("instr")
		h.instruction = append(h.instruction[:0], instruction...)
		return h.judge()
	}
	return nil
}

func (h *fields) text(piece []byte) error {
	if piece == nil {
		// Also here, not only at the next fldChar: there may be none.
		was := h.inInstruction
		h.inInstruction = false
		if was {
			return h.look()
		}
		return nil
	}
	if !h.inInstruction || len(h.instruction) >= maxInstruction {
		return nil
	}
	if len(h.instruction) == 0 {
		// White space before the first word must not use up what is looked at.
		piece = []byte(strings.TrimLeftFunc(html.UnescapeString(string(piece)), unicode.IsSpace))
	}
	h.instruction = append(h.instruction, piece[:min(len(piece), maxInstruction)]...)
	return nil
}

// judge looks at the instruction and begins the next one.
func (h *fields) judge() error {
	err := h.look()
	h.instruction = h.instruction[:0]
	return err
}

func (h *fields) look() error {
	instruction := strings.ToUpper(html.UnescapeString(string(h.instruction)))
	words := strings.FieldsFunc(instruction, func(r rune) bool { return strings.ContainsRune(" \t\r\n\u00a0\"", r) })
	if len(words) > 0 && (words[0] == "DDE" || words[0] == "DDEAUTO") {
		return refuse(dde, nil)
	}
	return nil
}
