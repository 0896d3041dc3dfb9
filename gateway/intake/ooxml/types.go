package ooxml

import (
	"path"
	"strings"

	"gatehouse/storage"
)

var (
	macro = storage.Reason{Slug: "ooxml_macro",
		English: "The document contains macros; please save it without macros and upload it again.",
		Chinese: "文档包含宏；请另存为不含宏的文档后重新上传。"}
	wrongMainType = storage.Reason{Slug: "ooxml_wrong_type",
		English: "The document is of another kind than its extension says.",
		Chinese: "文档的实际类型与其扩展名不符。"}
)

// mainTypes is what the main part must be, by extension. Macro-enabled documents and templates have others.
var mainTypes = map[string]string{
	"docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
	"pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml",
}

// contentTypes reads [Content_Types].xml: it refuses active types wherever they are declared and finds the
// type of the main part.
type contentTypes struct {
	main      string // name of the main part, folded
	override  string
	byDefault string
}

func (h *contentTypes) text([]byte) error { return nil }

func (h *contentTypes) start(name []byte, a *attributes) error {
	kind := string(name)
	if kind != "Default" && kind != "Override" {
		return nil
	}
	extension, ok1 := a.get("Extension")
	part, ok2 := a.get("PartName")
	contentType, ok3 := a.get("ContentType")
	if !ok1 || !ok2 || !ok3 {
		return refuse(xmlMalformed, nil)
	}
	contentType = strings.ToLower(contentType)
	if err := judgeContentType(contentType); err != nil {
		return err
	}
	target := &h.override
	if kind == "Default" {
		if target = &h.byDefault; strings.ToLower("."+extension) != path.Ext(h.main) {
			return nil
		}
	} else if fold(strings.TrimPrefix(unescape(part), "/")) != h.main {
		return nil
	}
	if *target != "" {
		return refuse(xmlMalformed, nil) // declared twice: readers may disagree about which counts
	}
	*target = contentType
	return nil
}

// judgeContentType refuses macros and ActiveX. A binary workbook (xlsb) has "macroEnabled" in its type whether
// or not it holds macros; charts embed such workbooks, and content.go looks into them.
func judgeContentType(t string) error {
	const binaryWorkbook = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
	for _, mark := range []string{"macroenabled", "vbaproject", "vbadata", "macrosheet"} {
		if strings.Contains(t, mark) && t != binaryWorkbook {
			return refuse(macro, storage.Details{"content_type": t})
		}
	}
	if strings.Contains(t, "activex") {
		return refuse(activeX, storage.Details{"content_type": t})
	}
	return nil
}

// judgeMain demands that the main part has the type that the extension promises.
func (h *contentTypes) judgeMain(ext string) error {
	t := h.override
	if t == "" {
		t = h.byDefault
	}
	if t != mainTypes[ext] {
		refusal := storage.Refuse(storage.CodeTypeMismatch, storage.Details{"extension": ext, "content_type": t})
		return refusal.Because(wrongMainType)
	}
	return nil
}

// fold makes part names comparable: they are the same whatever the case (ISO/IEC 29500-2, 6.3.5).
func fold(name string) string { return strings.ToLower(name) }
