package intake

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"gatehouse/storage"
)

// The reasons a name is refused for.
var (
	nameEmpty = storage.Reason{Slug: "name_empty",
		English: "The file has no name.",
		Chinese: "文件没有名称。"}
	nameNotUTF8 = storage.Reason{Slug: "name_not_utf8",
		English: "The file name is not valid UTF-8 text.",
		Chinese: "文件名不是有效的 UTF-8 文本。"}
	nameTooLong = storage.Reason{Slug: "name_too_long",
		English: "The file name is too long; please shorten it.",
		Chinese: "文件名过长，请缩短后再上传。"}
	nameControl = storage.Reason{Slug: "name_control_character",
		English: "The file name contains a control character or a line break.",
		Chinese: "文件名包含控制字符或换行符。"}
	nameInvisible = storage.Reason{Slug: "name_invisible_character",
		English: "The file name contains an invisible character that can disguise what the file is; please retype the name.",
		Chinese: "文件名包含不可见字符，可能掩盖文件的真实类型；请重新输入文件名。"}
	nameSeparator = storage.Reason{Slug: "name_path_separator",
		English: "The file name contains a slash, a backslash or a character that looks like one.",
		Chinese: "文件名包含斜杠、反斜杠或与之相似的字符。"}
	nameColon = storage.Reason{Slug: "name_colon",
		English: "The file name contains a colon, which some systems take for a drive or a hidden stream.",
		Chinese: "文件名包含半角冒号，某些系统会将其视为盘符或隐藏数据流。"}
	nameLeadingDot = storage.Reason{Slug: "name_leading_dot",
		English: "The file name starts with a dot, which hides it on many systems.",
		Chinese: "文件名以点号开头，在许多系统上会被隐藏。"}
	nameTrailing = storage.Reason{Slug: "name_trailing_dot_or_space",
		English: "The file name ends with a dot or a space, which some systems silently remove.",
		Chinese: "文件名以点号或空格结尾，某些系统会自动将其去除。"}
	nameReserved = storage.Reason{Slug: "name_reserved",
		English: "The file name is reserved for a device on Windows; please rename the file.",
		Chinese: "该文件名是 Windows 的保留设备名，请重命名文件。"}
	nameNoExtension = storage.Reason{Slug: "name_no_extension",
		English: "The file name has no extension, such as .pdf or .jpg.",
		Chinese: "文件名没有扩展名（例如 .pdf 或 .jpg）。"}
	nameInnerExtension = storage.Reason{Slug: "name_inner_extension",
		English: "The file name hides the extension of a program or script before its last extension.",
		Chinese: "文件名在最后的扩展名之前隐藏了程序或脚本的扩展名。"}
)

// browserEscapes undoes what the HTML standard makes browsers do to names in multipart/form-data: these
// three escapes and no others. Decoding more would turn a literal "100%2F.txt" into a path.
var browserEscapes = strings.NewReplacer("%22", `"`, "%0D", "\r", "%0d", "\r", "%0A", "\n", "%0a", "\n")

// checkName decodes the name once, brings it to NFC and refuses what a person or a system could take for
// something else. The name is for people: storage keys never contain it and no path is ever made of it.
func checkName(c *Candidate) error {
	if !utf8.ValidString(c.Name) {
		return badName(nameNotUTF8, nil)
	}
	name := norm.NFC.String(browserEscapes.Replace(c.Name))
	if name == "" {
		return badName(nameEmpty, nil)
	}
	if limit := c.Policy.Limits.MaxNameBytes; len(name) > limit {
		return badName(nameTooLong, storage.Details{"limit": limit, "length": len(name)})
	}
	if err := checkNameCharacters(name); err != nil {
		return err
	}
	if err := checkNameShape(name); err != nil {
		return err
	}
	c.Name = name
	return nil
}

func badName(r storage.Reason, d storage.Details) error {
	return storage.Refuse(storage.CodeFilenameInvalid, d).Because(r)
}

func checkNameCharacters(name string) error {
	runes := []rune(name)
	for i, r := range runes {
		if reason := characterReason(runes, i); reason != nil {
			return badName(*reason, storage.Details{"character": fmt.Sprintf("U+%04X", r)})
		}
	}
	return nil
}

func characterReason(runes []rune, i int) *storage.Reason {
	r := runes[i]
	switch {
	case unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return &nameControl
	case isInvisible(r) && !joinsLetters(runes, i):
		return &nameInvisible
	case looksLikeSeparator(r):
		return &nameSeparator
	case r == ':':
		// Only the ASCII colon: the fullwidth one is ordinary punctuation in Chinese names.
		return &nameColon
	}
	return nil
}

// isInvisible knows every format character (bidirectional overrides and isolates among them) and the letters
// and marks that have no glyph.
func isInvisible(r rune) bool {
	switch r {
	case '\u034F', '\u115F', '\u1160', '\u17B4', '\u17B5', '\u2800', '\u3164', '\uFFA0':
		return true
	}
	return unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Noncharacter_Code_Point, r)
}

// joinsLetters permits the zero-width joiners where they are spelling: Persian, Indic scripts and emoji
// cannot be written without them. Between Latin letters they are a disguise.
func joinsLetters(runes []rune, i int) bool {
	if r := runes[i]; r != '\u200C' && r != '\u200D' {
		return false
	}
	return i > 0 && i+1 < len(runes) && visiblyForeign(runes[i-1]) && visiblyForeign(runes[i+1])
}

func visiblyForeign(r rune) bool { return r > 0x24F && !isInvisible(r) } // 0x24F: the end of Latin

// looksLikeSeparator catches the separators, whatever NFKC folds into one (fullwidth forms, "c/o" signs) and
// their look-alikes that NFKC leaves alone. The fractions (½) fold into U+2044 and stay allowed.
func looksLikeSeparator(r rune) bool {
	switch r {
	case '\u2044', '\u2215', '\u2216', '\u29F5', '\u29F8', '\u29F9', '\u27CB', '\u27CD', '\u2571', '\u2572':
		return true
	}
	return strings.ContainsAny(norm.NFKC.String(string(r)), `/\`)
}

func checkNameShape(name string) error {
	first, _ := utf8.DecodeRuneInString(name)
	last, _ := utf8.DecodeLastRuneInString(name)
	if isDot(first) {
		return badName(nameLeadingDot, nil)
	}
	if isDot(last) || unicode.IsSpace(last) {
		return badName(nameTrailing, nil)
	}
	// Folded, so that fullwidth letters, superscript digits and small dots hide nothing.
	segments := strings.Split(strings.ToLower(norm.NFKC.String(name)), ".")
	for i, s := range segments {
		segments[i] = strings.TrimSpace(plainSegment(s))
	}
	if isDevice(segments[0]) {
		return badName(nameReserved, nil)
	}
	if !strings.Contains(name, ".") {
		return badName(nameNoExtension, nil)
	}
	inner := segments[1 : len(segments)-1]
	if n := len(inner); n > 0 && segments[len(segments)-1] == "blockmap" && slices.Contains(mapped, inner[n-1]) {
		inner = inner[:n-1]
	}
	for _, s := range inner {
		if slices.Contains(dangerousInner, s) {
			return badName(nameInnerExtension, storage.Details{"extension": s})
		}
	}
	return nil
}

// mapped are the extensions of programs before which a block map stands: update clients find "Setup 1.4.0.exe.blockmap" by that name,
// it is run by nobody, and only releases may have one.
var mapped = []string{"exe", "msi", "appimage"}

// plainSegment drops what some reader of a name would not see: variation selectors, which have no glyph of their
// own (they stay legal, emoji need them), and what follows a semicolon, where some servers end a name.
func plainSegment(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Variation_Selector, r) {
			return -1
		}
		return r
	}, s)
}

// isDot knows the full stop and the characters that fold into exactly one.
func isDot(r rune) bool { return r == '.' || r == '\u2024' || r == '\uFE52' || r == '\uFF0E' }

// isDevice knows the names that Windows opens as a device in every folder, with any extension
// ("Naming Files, Paths, and Namespaces"). COM¹ arrives here as com1.
func isDevice(base string) bool {
	switch base {
	case "con", "prn", "aux", "nul", "conin$", "conout$", "clock$":
		return true
	}
	port, isPort := strings.CutPrefix(base, "com")
	if !isPort {
		port, isPort = strings.CutPrefix(base, "lpt")
	}
	return isPort && len(port) == 1 && port[0] >= '1' && port[0] <= '9'
}

// dangerousInner are extensions that may not stand before the last one. Two dangers: a web server that runs
// a.php.jpg because any of its extensions has a handler, and a desktop that hides the last extension and
// shows invoice.exe. Left out are those which ordinary names contain: js and net (Node.js guide.pdf), com and
// pl (example.com.pdf), sh (600519.SH.pdf, a Shanghai stock), msc (a degree), html and py (index.html.pdf,
// main.py.txt), app, reg, inf, sys, vb, asa.
var dangerousInner = []string{
	// Run by web servers.
	"asax", "ascx", "ashx", "asmx", "asp", "aspx", "cfm", "cgi", "cshtml", "fcgi", "htaccess", "jsp", "jspf", "jspx",
	"phar", "php", "php2", "php3", "php4", "php5", "php6", "php7", "php8", "phps", "pht", "phtm", "phtml",
	"shtm", "shtml", "vbhtml",
	// Run by desktops.
	"apk", "appimage", "bash", "bat", "cmd", "cpl", "dll", "exe", "gadget", "hta", "jar", "jnlp", "jse", "lnk",
	"msi", "msix", "msp", "mst", "pif", "ps1", "psd1", "psm1", "scf", "scr", "vbe", "vbs",
	"wsc", "wsf", "wsh", "xll",
}
