package ooxml

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"gatehouse/storage"
)

var (
	remoteTemplate = storage.Reason{Slug: "ooxml_remote_template",
		English: "The document loads its template from another computer when it is opened, which can bring in macros.",
		Chinese: "文档在打开时会从其他计算机加载模板，可能引入宏代码。"}
	externalRelation = storage.Reason{Slug: "ooxml_external_relation",
		English: "The document loads content from another computer when it is opened; ordinary links that are clicked are fine.",
		Chinese: "文档在打开时会从其他计算机加载内容；普通的可点击链接不受影响。"}
	// Word imports such a part (HTML, RTF, a mail) when it opens the document, with all that it loads and links;
	// no rule looks into those formats.
	altChunk = storage.Reason{Slug: "ooxml_alt_chunk",
		English: "The document imports another document (altChunk) when it is opened.",
		Chinese: "文档在打开时会导入另一个文档（altChunk）。"}
	activeX = storage.Reason{Slug: "ooxml_activex",
		English: "The document contains ActiveX controls, which run programs.",
		Chinese: "文档包含 ActiveX 控件，可能运行程序。"}
)

// The relationship that points from the package to its main part, in transitional and in strict documents
// (ISO/IEC 29500-1 and -4, annex A).
var mainRelations = []string{
	"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument",
	"http://purl.oclc.org/ooxml/officeDocument/relationships/officeDocument",
}

// relations judges one .rels part and remembers the targets that are main parts.
type relations struct {
	main []string
}

func (h *relations) text([]byte) error { return nil }

func (h *relations) start(name []byte, a *attributes) error {
	if string(name) != "Relationship" {
		return nil
	}
	kind, ok1 := a.get("Type")
	target, ok2 := a.get("Target")
	mode, ok3 := a.get("TargetMode")
	if !ok1 || !ok2 || !ok3 {
		return refuse(xmlMalformed, nil)
	}
	if slices.Contains(mainRelations, kind) && !strings.EqualFold(mode, "External") && len(h.main) < 2 {
		h.main = append(h.main, path.Join("/", unescape(target))[1:])
	}
	return judgeRelation(strings.ToLower(path.Base(kind)), target)
}

// judgeRelation looks at where the target is, whatever the mode says: some readers decide by the target.
// Hyperlinks may point anywhere, for nothing happens before a click. Pictures, sound and video may come from
// the web, as in every page pasted from a browser, but not over the network file system, which would send
// the reader's credentials. Everything else must be inside of the package or on the reader's own disk.
func judgeRelation(kind, target string) error {
	switch kind {
	case "vbaproject", "wordvbadata", "xlmacrosheet", "xlintlmacrosheet":
		return refuse(macro, nil)
	case "control", "activexcontrolbinary":
		return refuse(activeX, nil)
	case "afchunk":
		return refuse(altChunk, nil)
	case "hyperlink":
		return nil
	}
	where := placeOf(target)
	media := kind == "image" || kind == "video" || kind == "audio" || kind == "media"
	if where == onDisk || where == onWeb && media {
		return nil
	}
	details := storage.Details{"relation": kind}
	if kind == "attachedtemplate" {
		return refuse(remoteTemplate, details)
	}
	return refuse(externalRelation, details)
}

type place int

const (
	onDisk  place = iota // in the package or on a drive of the reader's computer
	onWeb                // http, https
	onShare              // a network file system, or a scheme that only some handler knows
)

var (
	drive  = regexp.MustCompile(`^/*[a-z][:|](/|$)`)
	scheme = regexp.MustCompile(`^([a-z][a-z0-9+.-]+):`)
)

// placeOf fails closed: what it does not recognise as local is remote. A template on drive C: is the ordinary
// trace of a document that was made from one.
func placeOf(target string) place {
	t := strings.ToLower(strings.TrimSpace(unescape(target)))
	t = strings.ReplaceAll(t, `\`, "/")
	if strings.ContainsFunc(t, unicode.IsControl) {
		return onShare
	}
	if rest, ok := strings.CutPrefix(t, "file:"); ok {
		if strings.HasPrefix(rest, "//localhost/") {
			rest = strings.TrimPrefix(rest, "//localhost")
		}
		bare := strings.TrimLeft(rest, "/")
		slashes := len(rest) - len(bare)
		if drive.MatchString(rest) || !scheme.MatchString(bare) && (slashes <= 1 || slashes == 3) {
			return onDisk
		}
		return onShare
	}
	if drive.MatchString(t) {
		return onDisk
	}
	if m := scheme.FindStringSubmatch(t); m != nil {
		if m[1] == "http" || m[1] == "https" {
			return onWeb
		}
		return onShare
	}
	if strings.HasPrefix(t, "//") {
		return onShare
	}
	return onDisk
}

// unescape undoes percent-encoding where it is valid and leaves the rest alone.
func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}
