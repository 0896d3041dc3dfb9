package mediatest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Secret is a line that stands in a planted file: it may appear nowhere.
const Secret = "gatehouse-planted-secret-7c1f"

// Disguise is a file that is not what its name says: its reader is to open another file.
type Disguise struct {
	Name, Ext string
	Bytes     []byte
}

// VideoDisguises lead ffmpeg to a planted local file, which should be a video that it can show.
func VideoDisguises(t testing.TB, planted string) []Disguise {
	t.Helper()
	master := "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nfile://" + planted + "\n"
	list := "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\n%s\n#EXT-X-ENDLIST\n"
	concat := "ffconcat version 1.0\nfile '" + planted + "'\nduration 2\n"
	return []Disguise{
		{"hls", "mp4", fmt.Appendf(nil, list, "file://"+planted)},
		{"hls-bare-path", "mp4", fmt.Appendf(nil, list, planted)},
		{"hls-concat", "mov", fmt.Appendf(nil, list, "concat:"+planted)},
		{"hls-subfile", "webm", fmt.Appendf(nil, list, "subfile,,start,0,end,64,,:"+planted)},
		{"hls-crypto", "mp4", fmt.Appendf(nil, list, "crypto:"+planted)},
		{"hls-master", "mkv", []byte(master)},
		{"ffconcat", "mp4", []byte(concat)},
		{"ffconcat-2", "mkv", []byte("\xef\xbb\xbf" + concat)},
		{"dash", "mp4", []byte(`<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" ` +
			`mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">` +
			`<BaseURL>file://` + planted + `</BaseURL></Representation></AdaptationSet></Period></MPD>`)},
		{"external-dref", "mov", externalMOV(t, planted)},
		{"playlist-behind-ftyp", "mp4", append(box("ftyp", []byte("isom\x00\x00\x02\x00isom")), fmt.Appendf(nil, list, "file://"+planted)...)},
	}
}

// PictureDisguises lead libvips, and what it loads pictures with, to a planted local file.
func PictureDisguises(planted string) []Disguise {
	svg := `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ` +
		`width="64" height="64"><image xlink:href="file://` + planted + `" width="64" height="64"/>` +
		`<text y="20"><![CDATA[` + `]]></text></svg>`
	return []Disguise{
		{"svg", "png", []byte(svg)},
		{"mvg", "jpg", []byte("push graphic-context\nviewbox 0 0 64 64\nimage over 0,0 64,64 '" + planted + "'\npop graphic-context\n")},
		{"msl", "png", []byte(`<?xml version="1.0"?><image><read filename="` + planted + `"/><write filename="png:-"/></image>`)},
		{"label", "gif", []byte("label:@" + planted)},
		{"postscript", "jpg", []byte("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n(" + planted + ") (r) file 64 string readstring pop show showpage\n")},
	}
}

// externalMOV is a QuickTime file without pictures: it says that they lie in the planted file, at the places where
// Plain has its own. So Plain is the file to plant.
func externalMOV(t testing.TB, planted string) []byte {
	t.Helper()
	file := readFile(t, Video(t, Plain).Path)
	alias := externalAlias(planted)
	moov := findBox(t, file, "moov")
	inside := replaceDeep(t, file[moov.body:moov.end], []string{"trak", "mdia", "minf", "dinf", "dref"}, func([]byte) []byte {
		return slices.Concat([]byte{0, 0, 0, 0, 0, 0, 0, 1}, box("alis", []byte{0, 0, 0, 0}, alias))
	})
	return slices.Concat(box("ftyp", []byte("qt  \x00\x00\x02\x00qt  ")), box("moov", inside))
}

// externalAlias is an alias record of version 2 (QuickTime file format, "data reference atoms") with an absolute path.
func externalAlias(path string) []byte {
	b := make([]byte, 150)
	binary.BigEndian.PutUint16(b[6:], 2)
	tagged := func(tag uint16, s string) {
		b = binary.BigEndian.AppendUint16(b, tag)
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
		if len(s)%2 == 1 {
			b = append(b, 0)
		}
	}
	tagged(2, path)
	tagged(18, path)
	b = append(b, 0xff, 0xff, 0, 0)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	return b
}

// replaceDeep rebuilds boxes with another content of every box at the end of the path.
func replaceDeep(t testing.TB, b []byte, path []string, content func([]byte) []byte) []byte {
	t.Helper()
	if len(path) == 0 {
		return content(b)
	}
	var out bytes.Buffer
	for _, p := range boxes(b) {
		inside := b[p.body:p.end]
		if p.kind == path[0] {
			inside = replaceDeep(t, inside, path[1:], content)
		}
		out.Write(box(p.kind, inside))
	}
	require.NotZero(t, out.Len())
	return out.Bytes()
}
