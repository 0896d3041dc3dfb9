package bmff_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/intake/bmff"
	"gatehouse/gateway/intake/window"
)

func box(typ string, body ...[]byte) []byte {
	b := bytes.Join(body, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(b))), typ...), b...)
}

func walker(data []byte, max int) *bmff.Walker {
	return bmff.NewWalker(window.New(bytes.NewReader(data), int64(len(data))), max)
}

func TestNext(t *testing.T) {
	large := append([]byte{0, 0, 0, 1, 'm', 'd', 'a', 't', 0, 0, 0, 0, 0, 0, 0, 20}, 1, 2, 3, 4)
	tests := []struct {
		name string
		data []byte
		want bmff.Box
		err  error
	}{
		{"plain", box("free", []byte{1, 2}), bmff.Box{Type: "free", Body: 8, End: 10}, nil},
		{"64-bit size", large, bmff.Box{Type: "mdat", Body: 16, End: 20}, nil},
		{"to the end", []byte("\x00\x00\x00\x00mdatabc"), bmff.Box{Type: "mdat", Body: 8, End: 11, ToEnd: true}, nil},
		{"longer than the file", []byte("\x00\x00\x00\xffmdatabc"), bmff.Box{Type: "mdat", Body: 8, End: 11}, bmff.ErrTruncated},
		{"64-bit size overflows", []byte("\x00\x00\x00\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff"), bmff.Box{Type: "mdat", Body: 16, End: 16}, bmff.ErrTruncated},
		{"64-bit size cut off", []byte("\x00\x00\x00\x01mdat\xff\xff"), bmff.Box{Type: "mdat", Body: 10, End: 10}, bmff.ErrTruncated},
		{"64-bit size too small", []byte("\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x0f"), bmff.Box{}, bmff.ErrMalformed},
		{"size below the header", []byte("\x00\x00\x00\x07mdat"), bmff.Box{}, bmff.ErrMalformed},
		{"no type", []byte("\x00\x00\x00\x08\x00\x00\x00\x00"), bmff.Box{}, bmff.ErrMalformed},
		{"too short", []byte("\x00\x00\x00\x08"), bmff.Box{}, bmff.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := walker(tt.data, 10).Next(0, int64(len(tt.data)))
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestWalkIsBounded(t *testing.T) {
	flood := bytes.Repeat(box("free"), 1000)
	err := walker(flood, 999).Each(0, int64(len(flood)), func(bmff.Box) error { return nil })
	require.ErrorIs(t, err, bmff.ErrTooMany)

	deep := box("free")
	for range 50 {
		deep = box("moov", deep)
	}
	path := strings.Split(strings.Repeat("moov,", bmff.MaxDepth)+"moov", ",")
	err = walker(deep, 100).Descend(0, int64(len(deep)), func(bmff.Box) error { return nil }, path...)
	require.ErrorContains(t, err, "out of range")
}

func TestDescend(t *testing.T) {
	data := append(box("ftyp"), box("moov", box("trak", box("hdlr", []byte("a"))), box("udta"), box("trak", box("hdlr", []byte("b"))), []byte{0, 0, 0, 0})...)
	var got []int64
	err := walker(data, 20).Descend(0, int64(len(data)), func(b bmff.Box) error {
		got = append(got, b.Len())
		return nil
	}, "moov", "trak", "hdlr")
	require.NoError(t, err)
	require.Equal(t, []int64{1, 1}, got)
}

func TestBrands(t *testing.T) {
	tests := map[string]string{
		"isom isom iso2 avc1 mp41": "video/mp4",
		"mp42 isom mp42":           "video/mp4",
		"qt   qt  ":                "video/quicktime",
		"M4V  M4V  mp42 isom":      "video/x-m4v",
		"M4A  M4A  mp42 isom":      "audio/mp4",
		"3gp4 isom 3gp4":           "video/mp4",
		"3gp5 3gp5":                "video/3gpp",
		"3g2a 3g2a":                "video/3gpp2",
		"heic mif1 heic":           "image/heic",
		"heix mif1 heix":           "image/heic",
		"hevc msf1 hevc iso8":      "image/heic",
		"mif1 mif1 heic":           "image/heic",
		"mif1 mif1 avif miaf":      "image/avif",
		"mif1 mif1":                "image/heif",
		"msf1 msf1 avis":           "image/avif",
		"avif mif1 miaf":           "image/avif",
		"avis avif msf1 iso8":      "image/avif",
		"crx  crx  isom":           "image/x-canon-cr3",
		"evil none":                "",
	}
	for list, want := range tests {
		body := []byte(list[:4] + "\x00\x00\x00\x00")
		for rest := list[5:]; ; rest = rest[5:] {
			body = append(body, rest[:4]...)
			if len(rest) < 5 {
				break
			}
		}
		b, ok := bmff.ParseBrands(box("ftyp", body))
		require.True(t, ok, list)
		require.Equal(t, want, b.MediaType(), list)
	}
	for _, bad := range []string{"", "abcdftypisom\x00\x00\x00\x00", "\x00\x00\x00\x08ftypisom\x00\x00\x00\x00", "\x00\x00\x00\x10ftyp"} {
		_, ok := bmff.ParseBrands([]byte(bad))
		require.False(t, ok, "%q", bad)
	}
}
