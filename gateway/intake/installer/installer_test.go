package installer

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// put writes a number of the size of v at an offset.
func put(b []byte, order binary.ByteOrder, at int, v any) []byte {
	var buf bytes.Buffer
	if err := binary.Write(&buf, order, v); err != nil {
		panic(err) // only numbers come here
	}
	copy(b[at:], buf.Bytes())
	return b
}

func peFile() []byte {
	b := make([]byte, 0x200)
	copy(b, "MZ")
	put(b, binary.LittleEndian, 0x3c, uint32(0x80))
	copy(b[0x80:], "PE\x00\x00")
	put(b, binary.LittleEndian, 0x86, uint16(3))
	return put(b, binary.LittleEndian, 0x98, uint16(0x20b))
}

func msiFile() []byte {
	b := make([]byte, 1024)
	copy(b, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	put(b, binary.LittleEndian, 26, uint16(3))
	put(b, binary.LittleEndian, 28, uint16(0xfffe))
	return put(b, binary.LittleEndian, 30, uint16(9))
}

func dmgFile() []byte {
	b := make([]byte, 1000+kolyLen)
	t := b[1000:]
	copy(t, "koly")
	put(t, binary.BigEndian, 4, uint32(4))
	put(t, binary.BigEndian, 8, uint32(kolyLen))
	put(t, binary.BigEndian, 32, uint64(900))
	put(t, binary.BigEndian, 216, uint64(900))
	put(t, binary.BigEndian, 224, uint64(100))
	return b
}

func pkgFile() []byte {
	b := make([]byte, 200)
	copy(b, "xar!")
	put(b, binary.BigEndian, 4, uint16(28))
	put(b, binary.BigEndian, 6, uint16(1))
	return put(b, binary.BigEndian, 8, uint64(100))
}

func appImageFile() []byte {
	b := make([]byte, 128)
	copy(b, "\x7fELF\x02\x01\x01\x00AI\x02")
	return b
}

func debFile() []byte {
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	for name, content := range [3]string{"2.0\n", "control", "data--"} {
		fmt.Fprintf(&b, "%-16s%-12s%-6s%-6s%-8s%-10d`\n%s", []string{"debian-binary", "control.tar.xz", "data.tar.xz"}[name], "0", "0", "0", "100644", len(content), content)
		if len(content)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

func rpmFile() []byte {
	b := make([]byte, 200)
	copy(b, "\xed\xab\xee\xdb\x03")
	copy(b[96:], "\x8e\xad\xe8\x01")
	return b
}

func packed(plain []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(plain); err != nil {
		panic(err) // a buffer takes everything
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

var whole = map[string]func() []byte{
	"exe": peFile, "msi": msiFile, "dmg": dmgFile, "pkg": pkgFile, "appimage": appImageFile, "deb": debFile, "rpm": rpmFile,
}

// judge is what the rule asks of a program or package.
func judge(t testing.TB, ext string, b []byte) bool {
	is, err := Is(ext, bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	return Begins(ext, b) && is
}

func TestFormats(t *testing.T) {
	for ext, make := range whole {
		t.Run(ext, func(t *testing.T) {
			good := make()
			require.True(t, judge(t, ext, good))
			for other := range whole {
				if other != ext {
					require.False(t, judge(t, other, good), "%s is no %s", ext, other)
				}
			}
			for _, n := range []int{0, 1, 8, 30, len(good) - 1} {
				if cut := good[:n]; !(n == len(good)-1 && (ext == "exe" || ext == "msi" || ext == "appimage" || ext == "rpm" || ext == "pkg")) {
					require.False(t, judge(t, ext, cut), "cut to %d", n)
				}
			}
			require.False(t, judge(t, ext, bytes.Repeat([]byte("text "), 200)))
		})
	}
}

func TestPretenders(t *testing.T) {
	le, be := binary.LittleEndian, binary.BigEndian
	for name, tt := range map[string]struct {
		ext string
		b   []byte
	}{
		"DOS program":                     {"exe", peFile()[:0x80]},
		"header behind the end":           {"exe", put(peFile(), le, 0x3c, uint32(0xffffffff))},
		"header in the stub":              {"exe", put(peFile(), le, 0x3c, uint32(0x10))},
		"no sections":                     {"exe", put(peFile(), le, 0x86, uint16(0))},
		"Word document of old":            {"msi", put(msiFile(), le, 28, uint16(0xfeff))},
		"trailer not at the end":          {"dmg", append(dmgFile(), 0)},
		"property list outside":           {"dmg", put(dmgFile(), be, 1000+224, uint64(1<<63))},
		"table of contents outside":       {"pkg", put(pkgFile(), be, 8, uint64(1<<63))},
		"AppImage of type 1":              {"appimage", put(appImageFile(), le, 10, uint8(1))},
		"any ELF":                         {"appimage", put(appImageFile(), le, 8, uint16(0))},
		"static library":                  {"deb", []byte("!<arch>\n/               0           0     0     0       4         `\n\x00\x00\x00\x00")},
		"something behind the deb's data": {"deb", append(debFile(), "PK\x03\x04"...)},
		"length that lies":                {"deb", bytes.Replace(debFile(), []byte("6         `"), []byte("9999999999`"), 1)},
		"lead without a signature":        {"rpm", put(rpmFile(), le, 96, uint32(0))},
	} {
		require.False(t, judge(t, tt.ext, tt.b), name)
	}
	_, ok := MediaType("scr")
	require.False(t, ok)
}

func mapOf(edit func(map[string]any, map[string]any)) []byte {
	sum := base64.StdEncoding.EncodeToString(make([]byte, checksumLen))
	file := map[string]any{"name": "file", "offset": 0, "checksums": []any{sum, sum}, "sizes": []any{10, 20}}
	m := map[string]any{"version": "2", "files": []any{file}}
	if edit != nil {
		edit(m, file)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return packed(raw)
}

func TestBlockmap(t *testing.T) {
	check := func(b []byte) error { return Blockmap(bytes.NewReader(b), int64(len(b))) }
	require.NoError(t, check(mapOf(nil)))
	for name, edit := range map[string]func(m, file map[string]any){
		"no version":        func(m, _ map[string]any) { delete(m, "version") },
		"no files":          func(m, _ map[string]any) { m["files"] = []any{} },
		"a list short":      func(_, f map[string]any) { f["sizes"] = []any{10} },
		"no digest":         func(_, f map[string]any) { f["checksums"] = []any{"x", "y"} },
		"a block of none":   func(_, f map[string]any) { f["sizes"] = []any{10, 0} },
		"a fraction":        func(_, f map[string]any) { f["sizes"] = []any{10, 0.5} },
		"a negative offset": func(_, f map[string]any) { f["offset"] = -1 },
		"no name":           func(_, f map[string]any) { f["name"] = "" },
		"no list":           func(_, f map[string]any) { f["sizes"] = "10, 20" },
		"a file of none":    func(m, _ map[string]any) { m["files"] = []any{"file"} },
		"Version":           func(m, _ map[string]any) { delete(m, "version"); m["Version"] = "2" },
		"Files":             func(m, f map[string]any) { delete(m, "files"); m["Files"] = []any{f} },
		"NAME":              func(_, f map[string]any) { delete(f, "name"); f["NAME"] = "file" },
		"no lists":          func(_, f map[string]any) { delete(f, "sizes"); delete(f, "checksums") },
		"Lists": func(_, f map[string]any) {
			f["Sizes"], f["Checksums"] = f["sizes"], f["checksums"]
			delete(f, "sizes")
			delete(f, "checksums")
		},
		"many files": func(m, f map[string]any) { m["files"] = slices.Repeat([]any{f}, maxFiles+1) },
		"depths": func(m, _ map[string]any) {
			m["x"] = json.RawMessage(strings.Repeat("[", 1e3) + strings.Repeat("]", 1e3))
		},
		"a long text": func(m, _ map[string]any) { m["x"] = strings.Repeat("x", 1<<20) },
	} {
		require.ErrorIs(t, check(mapOf(edit)), ErrContent, name)
	}
	for name, edit := range map[string]func(m, file map[string]any){
		"unknown fields":  func(m, f map[string]any) { m["x"], f["y"] = []any{1, map[string]any{"files": nil}, "z"}, nil },
		"other spellings": func(m, f map[string]any) { m["FILES"], m["Version"], f["Sizes"], f["Name"] = 1, nil, []any{-1}, "" }, // as JavaScript has it
		"some files":      func(m, f map[string]any) { m["files"] = slices.Repeat([]any{f}, maxFiles) },
		"no blocks":       func(_, f map[string]any) { f["sizes"], f["checksums"] = []any{}, []any{} },
		"many blocks": func(_, f map[string]any) {
			f["sizes"], f["checksums"] = slices.Repeat([]any{32 << 10}, 50_000), slices.Repeat(f["checksums"].([]any), 25_000)
		},
	} {
		require.NoError(t, check(mapOf(edit)), name)
	}
	for _, twice := range []string{
		`{"version":"2","version":"2","files":[{"name":"file","offset":0,"checksums":[],"sizes":[]}]}`,
		`{"version":"2","files":[{"name":"file","offset":0,"checksums":[],"sizes":[1],"sizes":[]}]}`,
		`{"version":"2","files":[{"name":"file","offset":0,"checksums":[],"sizes":[]}]} {}`,
		`{"version":"2","files":[{"name":"file","offset":0,"checksums":[],"sizes":[]},]}`,
		`{"version":"2","files":[{"name":"file","offset":0,"checksums":[],"sizes":[]}]`,
	} {
		require.ErrorIs(t, check(packed([]byte(twice))), ErrContent, twice)
	}
	require.ErrorIs(t, check(packed([]byte("no JSON"))), ErrContent)
	require.ErrorIs(t, check(packed(nil)), ErrContent)
	require.ErrorIs(t, check(append(mapOf(nil), mapOf(nil)...)), ErrTrailing)
	require.ErrorIs(t, check(mapOf(nil)[:30]), ErrDamaged)
	require.ErrorIs(t, check(packed([]byte(`{"x":"`+strings.Repeat("a", MaxBlockmap)))), ErrTooLarge)
	broken := mapOf(nil)
	broken[len(broken)-6] ^= 1
	require.ErrorIs(t, check(broken), ErrDamaged, "the checksum")
}

// What packs to a few KiB does not unpack into the memory.
func TestABlockmapIsNotHeldInMemory(t *testing.T) {
	fill := func(begin, part, end string) []byte {
		return packed([]byte(begin + strings.Repeat(part, (MaxBlockmap-len(begin)-len(end))/len(part)) + end))
	}
	for name, b := range map[string][]byte{
		"files":  fill(`{"version":"2","files":[{}`, `,{}`, `]}`),
		"text":   fill(`{"version":"2","x":"`, "x", `"}`),
		"space":  fill(`{"version":"2"`, " ", `}`),
		"arrays": fill(`{"version":"2","x":[`, `[`, ``),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := Blockmap(bytes.NewReader(b), int64(len(b)))
		runtime.ReadMemStats(&after)
		require.ErrorIs(t, err, ErrContent, name)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2<<20), name)
	}
}

func TestGzip(t *testing.T) {
	check := func(b []byte, limit int64) error { return Gzip(bytes.NewReader(b), int64(len(b)), limit) }
	content := bytes.Repeat([]byte("gatehouse"), 10_000)
	require.NoError(t, check(packed(content), int64(len(content))))
	require.ErrorIs(t, check(packed(content), int64(len(content)-1)), ErrTooLarge)
	require.ErrorIs(t, check(append(packed(content), 0), 1<<20), ErrTrailing)
	require.ErrorIs(t, check(append(packed(content), packed(content)...), 1<<20), ErrTrailing)
	require.ErrorIs(t, check(packed(content)[:50], 1<<20), ErrDamaged)
	require.ErrorIs(t, check([]byte("text"), 1<<20), ErrDamaged)
}

func FuzzFormats(f *testing.F) {
	for ext, make := range whole {
		f.Add(ext, make())
	}
	f.Fuzz(func(t *testing.T, ext string, b []byte) {
		_, known := MediaType(ext)
		if judge(t, ext, b) {
			require.True(t, known)
		}
	})
}

func FuzzBlockmap(f *testing.F) {
	f.Add(mapOf(nil))
	f.Add(packed([]byte("{")))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := Blockmap(bytes.NewReader(b), int64(len(b)))
		known := err == nil
		for _, e := range []error{ErrDamaged, ErrTooLarge, ErrTrailing, ErrContent} {
			known = known || errors.Is(err, e)
		}
		require.True(t, known, err)
	})
}
