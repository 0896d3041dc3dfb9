package intake

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"

	"gatehouse/storage"
)

func namePolicy() *storage.Policy {
	return &storage.Policy{Limits: storage.Limits{MaxNameBytes: 255}}
}

func TestCheckNameAccepts(t *testing.T) {
	tests := map[string]string{ // name: clean name
		"report.pdf":            "report.pdf",
		"report.v1.2.pdf":       "report.v1.2.pdf",
		"photo.2024.jpg":        "photo.2024.jpg",
		"mr.smith.docx":         "mr.smith.docx",
		"Learning Node.js.pdf":  "Learning Node.js.pdf",
		"example.com.pdf":       "example.com.pdf",
		"600519.SH.pdf":         "600519.SH.pdf",
		"ASP.NET in action.pdf": "ASP.NET in action.pdf",
		"php.jpg":               "php.jpg",
		"会议纪要：2024年（终稿）.docx": "会议纪要：2024年（终稿）.docx",
		"cafe\u0301.txt":                  "caf\u00e9.txt",
		"Screenshot 9.41.00\u202fAM.png":  "Screenshot 9.41.00\u202fAM.png",
		"½ page.pdf":                      "½ page.pdf",
		"می\u200cخواهم.pdf":               "می\u200cخواهم.pdf",
		"👨\u200d👩\u200d👧 family.jpg":      "👨\u200d👩\u200d👧 family.jpg",
		"❤\ufe0f.png":                     "❤\ufe0f.png",
		"a %22quoted%22 name.txt":         `a "quoted" name.txt`,
		"a %2522 name.txt":                "a %2522 name.txt",
		"100%2F50.txt":                    "100%2F50.txt",
		"console.txt":                     "console.txt",
		"com10.txt":                       "com10.txt",
		"LPT.txt":                         "LPT.txt",
		"App Setup 1.4.0.exe.blockmap":    "App Setup 1.4.0.exe.blockmap",
		"App-1.4.0.AppImage.blockmap":     "App-1.4.0.AppImage.blockmap",
		" leading space.txt":              " leading space.txt",
		strings.Repeat("a", 251) + ".txt": strings.Repeat("a", 251) + ".txt",
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			c := &Candidate{Name: name, Policy: namePolicy()}
			require.NoError(t, checkName(c))
			require.Equal(t, want, c.Name)
		})
	}
}

func TestCheckNameRefuses(t *testing.T) {
	tests := map[string][]string{ // reason: names
		"name_empty":                 {""},
		"name_not_utf8":              {"a\xff.txt", "\xc4\xe3.txt"},
		"name_too_long":              {strings.Repeat("a", 252) + ".txt", strings.Repeat("文", 84) + ".txt"},
		"name_control_character":     {"a\x00.txt", "a%0D%0A.txt", "a\n.txt", "a\x7f.txt", "a\u0085.txt", "a\u2028.txt"},
		"name_invisible_character":   {"a\u202egpj.exe.txt", "a\u2066.txt", "a\u200b.txt", "\ufeffa.txt", "a\u200d.txt", "pay\u200dpal.txt", "a\u00ad.txt", "a\u200f.txt", "\u3164.txt", "a\U000E0041.txt", "\u200d.txt"},
		"name_path_separator":        {"a/b.txt", `a\b.txt`, "../a.txt", "a／b.txt", "a＼b.txt", "a\u2215b.txt", "a\u2044b.txt", "a\u29f8b.txt", "a\ufe68b.txt", "℅.txt"},
		"name_colon":                 {"C:a.txt", "a.txt:evil.exe", "a.txt::$DATA"},
		"name_leading_dot":           {".htaccess", "..", ".", "．hidden.txt", "...txt"},
		"name_trailing_dot_or_space": {"a.txt.", "a.txt ", "a.", "a.txt\u3000", "a.txt．"},
		"name_reserved":              {"con", "CON.txt", "nul.tar.gz", "aux .txt", "COM1.txt", "lpt9.pdf", "COM¹.txt", "ｃｏｎ.txt", "CONIN$.txt", "prn.exe.txt"},
		"name_no_extension":          {"README", "照片", "a．exe"},
		"name_inner_extension":       {"a.exe.exe.blockmap", "a.php.blockmap", "a.exe.blockmap.pdf", "a.php.jpg", "invoice.exe.pdf", "a.PhP5.jpg", "a.exe .pdf", "a．exe.pdf", "a.ｅｘｅ.pdf", "x.phtml.v2.png", "shell.aspx.docx", "run.bat.txt", "a..exe..pdf", "a.asp;.txt", "a.php\ufe0f.txt", "a.exe\U000e0100.txt"},
	}
	for reason, names := range tests {
		for _, name := range names {
			t.Run(reason+" "+name, func(t *testing.T) {
				c := &Candidate{Name: name, Policy: namePolicy()}
				requireRefusal(t, checkName(c), storage.CodeFilenameInvalid, reason)
				require.Equal(t, name, c.Name, "a refused name stays as it was sent")
			})
		}
	}
}

func TestCheckNameTellsTheLimit(t *testing.T) {
	c := &Candidate{Name: strings.Repeat("a", 300) + ".txt", Policy: namePolicy()}
	refusal := requireRefusal(t, checkName(c), storage.CodeFilenameInvalid, "name_too_long")
	require.Equal(t, 255, refusal.Details["limit"])
	require.Equal(t, 304, refusal.Details["length"])
}

func FuzzName(f *testing.F) {
	for _, seed := range []string{"report.pdf", "a%0D%0A.txt", "cafe\u0301.txt", "a\u202egpj.exe", "../x", "CON.txt", "a.php.jpg",
		"\xff", "👨\u200d👩.jpg", "a．exe.pdf", "%22.txt", "½.pdf"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		c := &Candidate{Name: name, Policy: namePolicy()}
		if err := checkName(c); err != nil {
			require.Equal(t, storage.CodeFilenameInvalid, storage.CodeOf(err))
			require.Equal(t, name, c.Name)
			return
		}
		clean := c.Name
		require.True(t, utf8.ValidString(clean) && norm.NFC.IsNormalString(clean))
		require.LessOrEqual(t, len(clean), 255)
		require.NotContains(t, clean, "/")
		require.NotContains(t, norm.NFKC.String(clean), "/")
		require.NotContains(t, norm.NFKC.String(clean), `\`)
		require.False(t, strings.HasPrefix(clean, ".") || strings.HasSuffix(clean, "."))
		require.Contains(t, clean, ".")
		require.False(t, strings.ContainsFunc(clean, unicode.IsControl))
		require.False(t, strings.ContainsFunc(clean, func(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }))
		if clean == name { // nothing was decoded: checking again changes nothing
			require.NoError(t, checkName(c))
			require.Equal(t, clean, c.Name)
		}
	})
}
