package vips

import (
	"bytes"
	"compress/zlib"
	"testing"

	"github.com/stretchr/testify/require"
)

// textBomb is a small PNG whose texts inflate to 2 GB.
func textBomb(t *testing.T) []byte {
	var text bytes.Buffer
	text.WriteString("key\x00\x00")
	z := zlib.NewWriter(&text)
	_, err := z.Write(make([]byte, 7<<20))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	chunk := withChunk(asPNG(t, corners(30, 30)), "zTXt", text.Bytes())
	return withChunks(asPNG(t, corners(300, 300)), chunk[33:33+12+text.Len()], 300)
}

func withChunks(picture, chunk []byte, n int) []byte {
	return append(append(bytes.Clone(picture[:33]), bytes.Repeat(chunk, n)...), picture[33:]...)
}

// manySegments adds to a JPEG what libjpeg would need minutes to list.
func manySegments(jpg []byte) []byte {
	return append(append(jpg[:2:2], bytes.Repeat([]byte{0xff, 0xff, 0xe1, 0, 3, 'x'}, 1_000_000)...), jpg[2:]...)
}

func TestLeanPNG(t *testing.T) {
	plain := asPNG(t, corners(40, 30))
	for name, c := range map[string]struct {
		picture []byte
		stays   bool
	}{
		"a text":                        {withChunk(plain, "tEXt", []byte("k\x00v")), false},
		"an animation":                  {withChunk(plain, "acTL", make([]byte, 8)), false},
		"opacity":                       {withChunk(plain, "tRNS", make([]byte, 6)), true},
		"a profile":                     {withChunk(plain, "iCCP", make([]byte, 1<<20)), true},
		"a long profile":                {withChunk(plain, "iCCP", make([]byte, 1<<20+1)), false},
		"EXIF":                          {withChunk(plain, "eXIf", make([]byte, 100)), true},
		"an unknown that must be known": {withChunk(plain, "ABCD", nil), true},
		"half a chunk":                  {append(bytes.Clone(plain[:33]), "\x00\x00\x01\x00tEXtk"...), true},
		"texts behind its end":          {append(bytes.Clone(plain), withChunk(plain, "tEXt", nil)[33:]...), true},
	} {
		t.Run(name, func(t *testing.T) {
			want := plain
			if c.stays {
				want = bytes.Clone(c.picture)
			}
			require.Equal(t, want, leanPNG(c.picture))
		})
	}
	once := withChunk(plain, "gAMA", make([]byte, 4))
	require.Equal(t, once, leanPNG(withChunk(once, "gAMA", make([]byte, 4))))
}

func TestLeanJPEG(t *testing.T) {
	plain := asJPEG(t, corners(40, 30))
	require.Equal(t, plain, leanJPEG(manySegments(plain)))
	for name, c := range map[string]struct {
		picture []byte
		stays   bool
	}{
		"EXIF":      {withSegment(plain, 0xe1, exif(6)), true},
		"a profile": {withICC(plain, []byte("profile")), true},
		"inks":      {withSegment(plain, 0xee, []byte("Adobe and more")), true},
		"XMP":       {withSegment(plain, 0xe1, []byte("http://ns.adobe.com/xap/1.0/")), false},
		"a comment": {withSegment(plain, 0xfe, []byte("hello")), false},
		"no size":   {append(bytes.Clone(plain[:2]), 0xff, 0xfe, 0, 1, 0xff, 0xd9), true},
	} {
		t.Run(name, func(t *testing.T) {
			want := plain
			if c.stays {
				want = bytes.Clone(c.picture)
			}
			require.Equal(t, want, leanJPEG(c.picture))
		})
	}
	t.Run("what is dropped makes no new marker", func(t *testing.T) {
		require.Equal(t, "\xff\xd8\xe1\x00\x04ab\xff\xd9", string(leanJPEG([]byte("\xff\xd8\xff\xff\xfe\x00\x02\xe1\x00\x04ab\xff\xd9"))))
	})
	t.Run("too many", func(t *testing.T) {
		segment := withSegment(plain[:2], 0xe1, []byte("Exif"))[2:]
		many := append(append(bytes.Clone(plain[:2]), bytes.Repeat(segment, 1000)...), plain[2:]...)
		require.Len(t, leanJPEG(many), len(plain)+maxJPEGSegments*len(segment))
	})
}

// What is lean stays as it is: nothing that was taken out brought to light what should be out, too.
func FuzzLean(f *testing.F) {
	f.Add([]byte("\xff\xd8\xff\xff\xfe\x00\x02\xe1\x00\x04ab\xff\x05\xff\xe1\x00\x02\xff\xda\x00\x02data\xff\x00\xff\xd3more\xff\xd9"))
	f.Add([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x01tEXta....\x00\x00\x00\x04gAMAabcd....\x00\x00\x00\x00IEND...."))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, lean := range []func([]byte) []byte{leanPNG, leanJPEG} {
			once := lean(bytes.Clone(b))
			require.LessOrEqual(t, len(once), len(b))
			require.Equal(t, once, lean(bytes.Clone(once)))
		}
	})
}
