package pdf

import "gatehouse/storage"

var (
	javaScript = storage.Reason{Slug: "pdf_javascript",
		English: "The PDF contains JavaScript; please save it without scripts (for example by printing it to PDF).",
		Chinese: "PDF 包含 JavaScript 脚本；请去除脚本后再上传（例如重新打印为 PDF）。"}
	launch = storage.Reason{Slug: "pdf_launch",
		English: "The PDF contains an action that starts another program.",
		Chinese: "PDF 包含会启动其他程序的动作。"}
	attachment = storage.Reason{Slug: "pdf_attachment",
		English: "The PDF contains attached files; please upload them separately.",
		Chinese: "PDF 包含附件；请将附件单独上传。"}
	richMedia = storage.Reason{Slug: "pdf_rich_media",
		English: "The PDF contains embedded rich media such as Flash.",
		Chinese: "PDF 包含 Flash 等嵌入式富媒体内容。"}
	xfa = storage.Reason{Slug: "pdf_xfa",
		English: "The PDF contains an XFA form, which can run scripts; please print it to a plain PDF.",
		Chinese: "PDF 包含可运行脚本的 XFA 表单；请打印为普通 PDF 后再上传。"}
	formAction = storage.Reason{Slug: "pdf_form_action",
		English: "The PDF contains a form that sends its data away or loads data from elsewhere.",
		Chinese: "PDF 包含会向外发送数据或从外部导入数据的表单动作。"}
	// Encrypted files are refused even when the empty password opens them: their object streams and strings
	// cannot be looked into here, the scanner sees only cipher text, and a verdict of "clean" would have no
	// evidence behind it.
	encrypted = storage.Reason{Slug: "pdf_encrypted",
		English: "The PDF is encrypted or its use is restricted, so it cannot be checked; please save it without protection.",
		Chinese: "PDF 已加密或设有使用限制，无法检查；请取消保护后再上传。"}
	damaged = storage.Reason{Slug: "pdf_damaged",
		English: "The PDF is damaged: its objects cannot be read.",
		Chinese: "PDF 已损坏：无法读取其中的对象。"}
)

// active are the names that make a PDF act. "keys" mean something only as the key of a dictionary: such short
// names are also names of fonts and styles. The others count as values as well, and as objects of their own,
// because a value may stand elsewhere and be referred to.
var active = map[string]struct {
	reason storage.Reason
	key    bool
}{
	"JS":            {javaScript, true},
	"JavaScript":    {javaScript, false},
	"OnInstantiate": {javaScript, true}, // the script of a 3D picture

	"Launch": {launch, false},

	"EF":             {attachment, true}, // of a file specification
	"EmbeddedFile":   {attachment, false},
	"EmbeddedFiles":  {attachment, false},
	"FileAttachment": {attachment, false},
	"GoToE":          {attachment, false},

	"RichMedia":          {richMedia, false},
	"RichMediaContent":   {richMedia, false},
	"RichMediaSettings":  {richMedia, false},
	"RichMediaExecute":   {richMedia, false},
	"RichMediaAnimation": {richMedia, false},

	"XFA": {xfa, true},

	"SubmitForm": {formAction, false},
	"ImportData": {formAction, false},
}

// A tree of scripts or attachments that is empty is no finding: some libraries write one into every file.
// emptyTree follows the tokens of such a value, << >> or << /Names [ ] >>.
type emptyTree struct {
	reason *storage.Reason // nil when no tree is being looked at
	step   int
}

// take returns false as soon as the tree is not empty.
func (e *emptyTree) take(t token) bool {
	switch {
	case e.step == 0 && t.kind == dictOpen, e.step == 3 && t.kind == arrayClose:
		e.step = 1
	case e.step == 1 && t.kind == nameToken && (string(t.text) == "Names" || string(t.text) == "Kids"):
		e.step = 2
	case e.step == 2 && t.kind == arrayOpen:
		e.step = 3
	case e.step == 1 && t.kind == dictClose:
		*e = emptyTree{}
	default:
		return false
	}
	return true
}

// maxDepth bounds nesting; real files stay under 50 (ISO 32000-1, annex C names no limit, readers have theirs).
const maxDepth = 500

// frame is an open dictionary or array.
type frame struct {
	array bool
	value bool // the key of a dictionary has been read and its value has not
}

// walker takes the tokens of objects, judges names by where they stand, and keeps the entries of the outermost
// dictionary that scan.go and objstm.go need. It is reused; reset before each object.
type walker struct {
	allowActive bool
	frames      []frame
	entries     []entry
	current     int // entry that takes the value now being read; -1 for none
	tree        emptyTree
}

// entry is an entry of the outermost dictionary with the tokens of its value.
type entry struct {
	key    string
	tokens []value
}

type value struct {
	kind kind
	text string
}

// maxValueTokens is enough for a chain of filters with their parameters.
const maxValueTokens = 128

func (w *walker) reset() {
	w.frames, w.entries, w.current, w.tree = w.frames[:0], w.entries[:0], -1, emptyTree{}
}

func (w *walker) depth() int { return len(w.frames) }

// get returns the value of a key of the outermost dictionary. once is false when the key occurs twice, and
// readers may disagree about which counts.
func (w *walker) get(key string) (v []value, found, once bool) {
	once = true
	for _, e := range w.entries {
		if e.key == key {
			once = !found
			v, found = e.tokens, true
		}
	}
	return v, found, once
}

// kept are the keys whose values are needed.
func kept(key []byte) bool {
	switch string(key) {
	case "Type", "N", "First", "Length", "Filter", "DecodeParms", "F", "FFilter", "DP", "Encrypt":
		return true
	}
	return false
}

// take moves on by one token.
func (w *walker) take(t token) error {
	isKey := w.isKey(t)
	if w.depth() == 1 && isKey {
		w.current = -1
		if !w.frames[0].array && kept(t.text) {
			w.entries = append(w.entries, entry{key: string(t.text)})
			w.current = len(w.entries) - 1
		}
	} else {
		w.keep(t)
	}
	if err := w.judge(t, isKey); err != nil {
		return err
	}
	return w.nest(t, isKey)
}

// isKey reports whether t is the key of an entry in a dictionary.
func (w *walker) isKey(t token) bool {
	if t.kind != nameToken || len(w.frames) == 0 {
		return false
	}
	top := w.frames[len(w.frames)-1]
	return !top.array && !top.value
}

func (w *walker) keep(t token) {
	if w.current < 0 || w.depth() == 1 && t.kind == dictClose {
		return
	}
	e := &w.entries[w.current]
	if len(e.tokens) < maxValueTokens {
		e.tokens = append(e.tokens, value{t.kind, string(t.text)})
	}
}

func (w *walker) judge(t token, isKey bool) error {
	if w.allowActive {
		return nil
	}
	if r := w.tree.reason; r != nil && !w.tree.take(t) {
		return refuse(*r, nil)
	}
	if t.kind != nameToken || len(w.frames) > 0 && w.frames[len(w.frames)-1].array {
		return nil
	}
	name := string(t.text)
	a, ok := active[name]
	switch {
	case !ok || a.key && !isKey:
		return nil
	case isKey && (name == "EmbeddedFiles" || name == "JavaScript"):
		w.tree = emptyTree{reason: &a.reason}
		return nil
	}
	return refuse(a.reason, storage.Details{"name": name})
}

// nest opens and closes dictionaries and arrays. A closing bracket of the wrong kind closes what is open
// inside of its own kind, as lenient readers do; one that matches nothing is ignored.
func (w *walker) nest(t token, isKey bool) error {
	switch t.kind {
	case dictClose, arrayClose:
		for i := len(w.frames) - 1; i >= 0; i-- {
			if w.frames[i].array == (t.kind == arrayClose) {
				w.frames = w.frames[:i]
				break
			}
			if t.kind == arrayClose {
				break // a stray ']' in a dictionary
			}
		}
		return nil
	}
	if n := len(w.frames); n > 0 {
		w.frames[n-1].value = isKey
	}
	if t.kind == dictOpen || t.kind == arrayOpen {
		if len(w.frames) == maxDepth {
			return refuse(damaged, nil)
		}
		w.frames = append(w.frames, frame{array: t.kind == arrayOpen})
	}
	return nil
}
