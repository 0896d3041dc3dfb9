package trailer_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/intake/picture"
	"gatehouse/gateway/intake/trailer"
)

func file(t testing.TB, name string) []byte {
	b, err := os.ReadFile("../testdata/" + name)
	require.NoError(t, err)
	return b
}

func join(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

func le32(v int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }

func box(typ string, body ...any) []byte {
	b := join(body...)
	return join(binary.BigEndian.AppendUint32(nil, uint32(len(b)+8)), typ, b)
}

func zipFile(t testing.TB, comment string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create("evil.txt")
	require.NoError(t, err)
	_, err = f.Write([]byte("something"))
	require.NoError(t, err)
	require.NoError(t, w.SetComment(comment))
	require.NoError(t, w.Close())
	return b.Bytes()
}

func tarFile(t testing.TB, name string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Size: 3, Mode: 0o644, Format: tar.FormatUSTAR}))
	_, err := w.Write([]byte("abc"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func gzipFile(t testing.TB) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte("abc"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func peFile() []byte {
	b := make([]byte, 512)
	copy(b, "MZ\x90\x00")
	b[60] = 0x80
	copy(b[0x80:], "PE\x00\x00")
	return b
}

func sevenZip() []byte {
	header := bytes.Repeat([]byte{7}, 20)
	return join("7z\xbc\xaf\x27\x1c\x00\x04", le32(int(crc32.ChecksumIEEE(header))), header, "data")
}

const elf = "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00"

// sef builds Samsung's trailer around named blocks.
func sef(blocks ...[2]string) []byte {
	var data, entries []byte
	type place struct{ at, size int }
	var places []place
	for _, b := range blocks {
		block := join("\x00\x00\x30\x0a", le32(len(b[0])), b[0], b[1])
		places = append(places, place{len(data), len(block)})
		data = append(data, block...)
	}
	for _, p := range places {
		entries = join(entries, "\x00\x00\x30\x0a", le32(len(data)-p.at), le32(p.size))
	}
	directory := join("SEFH", le32(107), le32(len(blocks)), entries)
	return join(data, directory, le32(len(directory)), "SEFT")
}

func judge(t testing.TB, data []byte, mediaType string) trailer.Finding {
	info, err := picture.Read(bytes.NewReader(data), int64(len(data)), mediaType,
		picture.Limits{Pixels: 1e9, Dimension: 1e5, Frames: 1000}, nil)
	require.NoError(t, err)
	f, err := trailer.Picture(bytes.NewReader(data), int64(len(data)), info.End)
	require.NoError(t, err)
	return f
}

var pictures = map[string]string{
	"baseline.jpg": "image/jpeg", "progressive.jpg": "image/jpeg", "anim.png": "image/png", "anim.gif": "image/gif",
	"lossy.webp": "image/webp", "lossless.webp": "image/webp", "anim.webp": "image/webp",
	"still.heic": "image/heic", "still.avif": "image/avif", "anim.avif": "image/avif",
}

func TestBehindPictures(t *testing.T) {
	mp4 := string(file(t, "video.mp4"))
	mov := string(file(t, "video.mov"))
	photo := string(file(t, "baseline.jpg"))
	filler := strings.Repeat("x", 3000)
	shell := "#!/bin/sh\nid\n"
	tests := []struct {
		name string
		rest []byte
		kind trailer.Kind
		what string
	}{
		{"nothing", nil, trailer.Clean, ""},
		{"zeros", make([]byte, 100_000), trailer.Clean, ""},
		{"fill bytes and a line end", []byte("\xff\xff\xff\x00\r\n"), trailer.Clean, ""},
		{"motion photo", []byte(mp4), trailer.Clean, ""},
		{"motion photo in QuickTime", []byte(mov), trailer.Clean, ""},
		{"motion photo behind padding", join(make([]byte, 20000), mp4, make([]byte, 300)), trailer.Clean, ""},
		{"motion photo behind a label", join("MotionPhoto_Data", mp4), trailer.Clean, ""},
		{"Samsung notes", sef([2]string{"Image_UTC_Data", "1700000000000"}, [2]string{"Camera_Capture_Mode_Info", "1"}), trailer.Clean, ""},
		{"Samsung motion photo", sef([2]string{"MotionPhoto_Data", mp4}, [2]string{"Image_UTC_Data", "1700000000000"}), trailer.Clean, ""},
		{"Samsung pointer to the video", join(mp4, sef([2]string{"MotionPhoto_Data", "mpv2\x00\x00\x00\x00\x10\x00\x00\x00"})), trailer.Clean, ""},
		{"Samsung second photo", sef([2]string{"Dual_Shot_JPEG", photo}), trailer.Clean, ""},
		{"Huawei live photo", join(mp4, "v2_f35              0:0                 LIVE_4353452        "), trailer.Clean, ""},
		{"vivo notes", join(`vivo{"version":"1.0"}`, "\x00\x00", "\xff\xff\xff\xff\x1b*9HWfu\x84\x93\xa2\xb1"), trailer.Clean, ""},
		{"vivo picture", join("streamdata", photo, "streaminfo", `vivo{"a":1}`, "\x00", "\xff\xff\xff\xff\x1b*9HWfu\x84\x93\xa2\xb1"), trailer.Clean, ""},
		{"OnePlus notes", onePlusNotes("watermark"), trailer.Clean, ""},
		{"OnePlus notes behind a motion photo", join(mp4, onePlusNotes("watermark")), trailer.Clean, ""},
		{"Canon settings", canonSettings("raw development"), trailer.Clean, ""},

		{"zip", zipFile(t, ""), trailer.Archive, "zip"},
		{"zip with a comment", zipFile(t, strings.Repeat("c", 65535)), trailer.Archive, "zip"},
		{"zip behind padding", join(make([]byte, 1000), zipFile(t, "")), trailer.Archive, "zip"},
		{"zip cut off", zipFile(t, "")[:60], trailer.Archive, "zip"},
		{"zip in filler", join(filler, zipFile(t, "")[:60], filler), trailer.Archive, "zip"},
		{"zip behind a motion photo", join(mp4, zipFile(t, "")), trailer.Archive, "zip"},
		{"zip as motion photo", join(box("ftyp", "isom\x00\x00\x00\x00isom"), zipFile(t, "")), trailer.Archive, "zip"},
		{"zip in a box of a motion photo", join(mp4, box("free", zipFile(t, "")[:60])), trailer.Archive, "zip"},
		{"zip as Samsung block", sef([2]string{"Image_UTC_Data", string(zipFile(t, "")[:60])}), trailer.Archive, "zip"},
		{"zip as Samsung motion photo", sef([2]string{"MotionPhoto_Data", string(zipFile(t, "")[:60])}), trailer.Archive, "zip"},
		{"zip as OnePlus notes", onePlusNotes(string(zipFile(t, "")[:60])), trailer.Archive, "zip"},
		{"zip as Canon settings", canonSettings(string(zipFile(t, "")[:60])), trailer.Archive, "zip"},
		{"rar 4", []byte("Rar!\x1a\x07\x00abcdef"), trailer.Archive, "rar"},
		{"rar 5 in filler", join(filler, "Rar!\x1a\x07\x01\x00abc"), trailer.Archive, "rar"},
		{"7z", sevenZip(), trailer.Archive, "7z"},
		{"gzip", gzipFile(t), trailer.Archive, "gzip"},
		{"xz", []byte("\xfd7zXZ\x00\x00\x04"), trailer.Archive, "xz"},
		{"bzip2", []byte("BZh91AY&SY12345"), trailer.Archive, "bzip2"},
		{"zstd", []byte("\x28\xb5\x2f\xfd1234"), trailer.Archive, "zstd"},
		{"tar", tarFile(t, "a.txt"), trailer.Archive, "tar"},
		{"cab", []byte("MSCF\x00\x00\x00\x00abc"), trailer.Archive, "cab"},
		{"ole", []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1abc"), trailer.Archive, "ole"},
		{"pe", peFile(), trailer.Executable, "pe"},
		{"pe in filler", join(filler, peFile()), trailer.Executable, "pe"},
		{"dos program", []byte("MZ\x90\x00"), trailer.Executable, "pe"},
		{"elf", []byte(elf), trailer.Executable, "elf"},
		{"elf behind a motion photo", join(mp4, elf), trailer.Executable, "elf"},
		{"mach-o", []byte("\xcf\xfa\xed\xfe\x07\x00\x00\x01"), trailer.Executable, "mach-o"},
		{"java class", []byte("\xca\xfe\xba\xbe\x00\x00\x00\x34"), trailer.Executable, "mach-o or java class"},
		{"shell", []byte(shell), trailer.Script, "shell"},
		{"shell behind a line end", []byte("\n" + shell), trailer.Script, "shell"},
		{"shell in filler", join(filler, "\n", shell), trailer.Script, "shell"},
		{"php", []byte("<?php system('id');"), trailer.Script, "php"},
		{"PHP in capitals", []byte("<?PHP SYSTEM('id');"), trailer.Script, "php"},
		{"short php tag", []byte("<?=`id`?>"), trailer.Script, "php"},
		{"script", []byte("<script>alert(1)</script>"), trailer.Script, "html"},
		{"page", []byte("<HTML><body onload=x()>"), trailer.Script, "html"},
		{"page in filler", join(filler, "<!DOCTYPE html>"), trailer.Script, "html"},
		{"svg", []byte(`<svg onload="alert(1)"/>`), trailer.Script, "svg"},
		{"pdf", []byte("%PDF-1.4\n"), trailer.Data, "pdf"},
		{"words", []byte("just some words"), trailer.Data, "unknown"},
		{"one byte", []byte("x"), trailer.Data, "unknown"},
		{"only ftyp", box("ftyp", "isom\x00\x00\x00\x00isom"), trailer.Data, "unknown"},
		{"motion photo cut off", []byte(mp4[:len(mp4)-1]), trailer.Data, "unknown"},
		{"motion photo with words behind", join(mp4, "and more"), trailer.Data, "unknown"},
		{"audio only", box("ftyp", "M4A \x00\x00\x00\x00M4A isom"), trailer.Data, "unknown"},
		{"Samsung directory that leads nowhere", join("SEFH", le32(107), le32(1), le32(0), le32(1<<30), le32(8), le32(24), "SEFT"), trailer.Data, "unknown"},
		{"Samsung directory of wrong length", join("SEFH", le32(107), le32(9), le32(12), "SEFT"), trailer.Data, "unknown"},
		{"words in front of Samsung notes", join("words", sef([2]string{"Image_UTC_Data", "1"})), trailer.Data, "unknown"},
	}
	for name, mediaType := range pictures {
		for _, tt := range tests {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				f := judge(t, join(file(t, name), tt.rest), mediaType)
				require.Equal(t, tt.kind, f.Kind, "%+v", f)
				require.Equal(t, tt.what, f.What)
			})
		}
	}
}

func onePlusNotes(data string) []byte {
	list := []byte(`[{"name":"watermark.device","offset":` + itoa(len(data)) + `,"length":` + itoa(len(data)) + `}]`)
	return join(data, list, "jxrs", le32(len(list)+8))
}

func canonSettings(data string) []byte {
	const name = "CANON OPTIONAL DATA\x00"
	length := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	footer := make([]byte, 64)
	copy(footer, join(name, length))
	return join(name, "\x00\x01\x00\x00", length, data, footer)
}

func itoa(n int) string {
	s := ""
	for ; n > 0; n /= 10 {
		s = string(rune('0'+n%10)) + s
	}
	return s
}

func TestHEICMotionPhoto(t *testing.T) {
	heic, mp4 := file(t, "still.heic"), file(t, "video.mp4")
	samsung := join(mp4, sef([2]string{"MotionPhoto_Data", "mpv2\x00\x00\x00\x00\x10\x00\x00\x00"}))
	tests := map[string]struct {
		rest []byte
		kind trailer.Kind
	}{
		"video":                   {box("mpvd", mp4), trailer.Clean},
		"video and notes in it":   {box("mpvd", samsung), trailer.Clean},
		"video and notes":         {join(box("mpvd", mp4), box("sefd", sef([2]string{"Image_UTC_Data", "1"}))), trailer.Clean},
		"zip in the box":          {box("mpvd", zipFile(t, "")), trailer.Archive},
		"program in the box":      {box("mpvd", elf), trailer.Executable},
		"box in the box":          {box("mpvd", box("mpvd", mp4)), trailer.Data},
		"words in the notes' box": {box("sefd", "words"), trailer.Data},
		"zip behind the box":      {join(box("mpvd", mp4), zipFile(t, "")[:60]), trailer.Archive},
		"words behind the box":    {join(box("mpvd", mp4), "words"), trailer.Data},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tt.kind, judge(t, join(heic, tt.rest), "image/heic").Kind)
		})
	}
}

func segment(marker byte, body ...any) []byte {
	b := join(body...)
	return join([]byte{0xff, marker}, binary.BigEndian.AppendUint16(nil, uint16(len(b)+2)), b)
}

// A ZIP in a comment is found from the end as long as its end record is near enough.
func TestHiddenInside(t *testing.T) {
	j := file(t, "baseline.jpg")
	inside := func(seg []byte) []byte { return join(j[:2], seg, j[2:]) }
	tests := map[string]struct {
		data []byte
		kind trailer.Kind
		what string
	}{
		"zip in a comment":            {inside(segment(0xfe, zipFile(t, ""))), trailer.Archive, "zip"},
		"zip in APP13 with a comment": {inside(segment(0xed, zipFile(t, strings.Repeat("c", 40000)))), trailer.Archive, "zip"},
		"rar in a comment":            {inside(segment(0xfe, "Rar!\x1a\x07\x01\x00abcdefgh")), trailer.Archive, "rar"},
		"7z in a comment":             {inside(segment(0xfe, sevenZip())), trailer.Archive, "7z"},
		"php in a comment":            {inside(segment(0xfe, "<?php system($_GET['c']); ?>")), trailer.Script, "php"},
		"script in a comment":         {inside(segment(0xfe, "x=<script>alert(1)</script>")), trailer.Script, "html"},
		"pdf in a comment":            {inside(segment(0xfe, "%PDF-1.7\n")), trailer.Data, "pdf"},
		"php in the pixels":           {join(j[:len(j)-2], "<?php system($_GET['c']); ?>", j[len(j)-2:]), trailer.Script, "php"},
		"end record that leads nowhere": {inside(segment(0xfe, "PK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x00\x10\x00\x00\x00\x10\x00\x00\x00\x00\x00")),
			trailer.Clean, ""},
		"words in a comment": {inside(segment(0xfe, "made with a camera")), trailer.Clean, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := judge(t, tt.data, "image/jpeg")
			require.Equal(t, tt.kind, f.Kind, "%+v", f)
			require.Equal(t, tt.what, f.What)
		})
	}
}

// A tar archive whose first member is named like the start of a GIF is both.
func TestTarWithThePicturesMagic(t *testing.T) {
	archive := tarFile(t, "GIF89a")
	f, err := trailer.Picture(bytes.NewReader(archive), int64(len(archive)), int64(len(archive)))
	require.NoError(t, err)
	require.Equal(t, trailer.Finding{Kind: trailer.Archive, What: "tar"}, f)
}

func TestTexts(t *testing.T) {
	for text, want := range map[string]trailer.Kind{
		"<?php": trailer.Script, "<?PHP\n": trailer.Script, "a <ScRiPt>": trailer.Script, "<script": trailer.Script,
		"%PDF-1.2": trailer.Data, "<?xpacket begin='' ?>": trailer.Clean, "<x:xmpmeta><rdf:RDF>": trailer.Clean,
		"phpinfo": trailer.Clean, "": trailer.Clean, "PK": trailer.Clean, "<?phpx": trailer.Clean,
	} {
		data := join("<script>", text, "<script>")
		f, err := trailer.Texts(bytes.NewReader(data), int64(len(data)))(8, int64(8+len(text)))
		require.NoError(t, err)
		require.Equal(t, want, f.Kind, text)
	}
}

// countingDisk counts the bytes that are read from it.
type countingDisk struct {
	*bytes.Reader
	read int64
}

func (d *countingDisk) ReadAt(b []byte, off int64) (int, error) {
	n, err := d.Reader.ReadAt(b, off)
	d.read += int64(n)
	return n, err
}

// A flood of tiny comments must not cost more reading than the file is long.
func TestTextsShareTheirWindow(t *testing.T) {
	disk := &countingDisk{Reader: bytes.NewReader(make([]byte, 1<<20))}
	look := trailer.Texts(disk, 1<<20)
	for off := int64(0); off < 1<<20-2; off += 4 {
		if f, err := look(off, off+2); err != nil || f.Kind != trailer.Clean {
			t.Fatal(off, f, err)
		}
	}
	require.LessOrEqual(t, disk.read, int64(1<<20+1<<16))
}

// What is found must not depend on where in the window it lies.
func TestFoundAtEveryOffset(t *testing.T) {
	for _, what := range [][]byte{[]byte("<?php system('id');"), zipFile(t, "")[:60], peFile()} {
		for at := 16<<10 - 600; at < 16<<10+30; at += 23 {
			data := join(bytes.Repeat([]byte("x"), at), what)
			f, err := trailer.Picture(bytes.NewReader(data), int64(len(data)), 0)
			require.NoError(t, err)
			require.NotEqual(t, trailer.Data, f.Kind, at)
			require.Equal(t, int64(at), f.Offset)
		}
	}
}

// Compressed pixels hold every short byte sequence; none may be taken for something hidden.
func TestNoiseIsClean(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range 12 {
		m := image.NewRGBA(image.Rect(0, 0, 100+rng.IntN(300), 100+rng.IntN(300)))
		p := image.NewPaletted(m.Rect, color.Palette{color.Black, color.White, color.RGBA{R: 1}, color.RGBA{G: 1}})
		for k := range m.Pix {
			m.Pix[k] = byte(rng.Uint32())
		}
		for k := range p.Pix {
			p.Pix[k] = byte(rng.Uint32()) & 3
		}
		var j, n, g bytes.Buffer
		require.NoError(t, jpeg.Encode(&j, m, &jpeg.Options{Quality: 1 + i*100/13}))
		require.NoError(t, png.Encode(&n, m))
		require.NoError(t, gif.Encode(&g, p, nil))
		for mediaType, data := range map[string][]byte{"image/jpeg": j.Bytes(), "image/png": n.Bytes(), "image/gif": g.Bytes()} {
			require.Equal(t, trailer.Finding{}, judge(t, data, mediaType), mediaType)
		}
	}
}

// 8 MiB of the worst kind: raw noise, looked through as pixels are.
func TestRawNoiseIsClean(t *testing.T) {
	chacha := rand.NewChaCha8([32]byte{9})
	data := make([]byte, 8<<20)
	_, err := chacha.Read(data)
	require.NoError(t, err)
	f, err := trailer.Picture(bytes.NewReader(data), int64(len(data)), int64(len(data)))
	require.NoError(t, err)
	require.Equal(t, trailer.Finding{}, f)
}

var videos = map[string]string{
	"video.mp4": "video/mp4", "fragmented.mp4": "video/mp4", "video.m4v": "video/x-m4v", "video.mov": "video/quicktime",
	"video.mkv": "video/x-matroska", "video.webm": "video/webm", "live.webm": "video/webm",
}

func TestVideos(t *testing.T) {
	tests := []struct {
		name string
		rest []byte
		kind trailer.Kind
	}{
		{"nothing", nil, trailer.Clean},
		{"zeros", make([]byte, 3000), trailer.Clean},
		{"zip", zipFile(t, "note"), trailer.Archive},
		{"page", []byte("<html><script>x()</script>"), trailer.Script},
		{"php", []byte("<?php system('id');"), trailer.Script},
		{"program", []byte(elf), trailer.Executable},
		{"rar", []byte("Rar!\x1a\x07\x01\x00abcdefgh"), trailer.Archive},
		{"words", []byte("some more words"), trailer.Data},
		{"Samsung notes", sef([2]string{"SlowMotion_Data", "1"}), trailer.Clean},
	}
	for name, mediaType := range videos {
		for _, tt := range tests {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				want := tt.kind
				if name == "live.webm" && tt.name != "zip" {
					want = trailer.Clean // its segment reaches to the end whatever stands there
				}
				data := join(file(t, name), tt.rest)
				f, err := trailer.Video(bytes.NewReader(data), int64(len(data)), mediaType)
				require.NoError(t, err)
				require.Equal(t, want, f.Kind, "%+v", f)
			})
		}
	}
}

func TestVideoBoxes(t *testing.T) {
	mp4 := file(t, "video.mp4")
	tests := map[string]struct {
		data []byte
		kind trailer.Kind
	}{
		"a camera's own box":      {join(mp4, box("CNTH", "whatever")), trailer.Clean},
		"zip in a box":            {join(mp4, box("free", zipFile(t, "")[:60])), trailer.Archive},
		"page in a uuid box":      {join(mp4, box("uuid", "0123456789abcdef<script>x()</script>")), trailer.Script},
		"XMP in a uuid box":       {join(mp4, box("uuid", "0123456789abcdef<?xpacket begin?>")), trailer.Clean},
		"data box cut off":        {mp4[:len(mp4)-900], trailer.Clean},
		"last box to the end":     {join(mp4, "\x00\x00\x00\x00mdatanything"), trailer.Clean},
		"a word that is a box":    {join(mp4, "<html><b>"), trailer.Script},
		"fewer than eight bytes":  {join(mp4, "abc"), trailer.Data},
		"zip end record far away": {join(mp4, box("mdat", zipFile(t, ""), make([]byte, 70_000))), trailer.Clean},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f, err := trailer.Video(bytes.NewReader(tt.data), int64(len(tt.data)), "video/mp4")
			require.NoError(t, err)
			require.Equal(t, tt.kind, f.Kind, "%+v", f)
		})
	}
}

func FuzzTrailer(f *testing.F) {
	mp4 := file(f, "video.mp4")
	for _, seed := range [][]byte{
		mp4, file(f, "video.webm"), zipFile(f, "c"), sef([2]string{"MotionPhoto_Data", string(mp4)}), onePlusNotes("x"), canonSettings("x"),
		box("mpvd", mp4), tarFile(f, "a"), []byte("vivo{\"a\"}\xff\xff\xff\xff\x1b*9HWfu\x84\x93\xa2\xb1"), []byte("<?php echo"), sevenZip(), peFile(),
	} {
		f.Add(seed, uint16(0))
		f.Add(join(file(f, "baseline.jpg"), seed), uint16(2879))
	}
	f.Fuzz(func(t *testing.T, data []byte, end uint16) {
		from := min(int64(end), int64(len(data)))
		r := bytes.NewReader(data)
		found, err := trailer.Picture(r, int64(len(data)), from)
		require.NoError(t, err)
		require.True(t, found.Offset >= 0 && found.Offset <= int64(len(data)))
		for _, mediaType := range []string{"video/mp4", "video/webm"} {
			_, err = trailer.Video(r, int64(len(data)), mediaType)
			require.NoError(t, err)
		}
		// What is clean stays clean with padding behind it.
		if found.Kind == trailer.Clean && from == 0 {
			padded := append(bytes.Clone(data), 0, 0, 0, 0)
			found, err = trailer.Picture(bytes.NewReader(padded), int64(len(padded)), 0)
			require.NoError(t, err)
			require.Equal(t, trailer.Clean, found.Kind)
		}
	})
}
