package vips

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/png"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAVIF(t *testing.T) {
	require.True(t, AVIF(), "libheif's AV1 encoder is installed")
	r := runner(t, Config{})
	glass := corners(400, 300)
	for y := range 150 {
		for x := range 200 {
			glass.Pix[glass.PixOffset(x, y)+3] = 0
		}
	}
	presets := []Preset{{"moving", 400, 85, 2, FormatWebP}, {"still", 400, 85, 0, FormatAVIF}, {"small", 100, 85, 0, FormatAVIF}}
	for name, picture := range map[string][]byte{
		"jpeg": withSegment(asJPEG(t, corners(400, 300)), 0xe1, exif(1)), "opacity": asPNG(t, glass), "odd": asPNG(t, corners(333, 211)),
	} {
		t.Run(name, func(t *testing.T) {
			for _, o := range webps(t, r, picture, presets[1:]...) {
				require.Equal(t, "image/avif avif 1", o.MediaType+" "+o.Ext+" "+string(rune('0'+o.Frames)))
				img := still(t, o)
				looks(t, img, 80, 80, blue)
				if name == "opacity" {
					require.Zero(t, colourAt(img, o.Width/4, o.Height/4).A)
				}
			}
		})
	}
	t.Run("first frame of an animation", func(t *testing.T) {
		out := webps(t, r, animated(t, 400, 300, flags...), presets...)
		require.Equal(t, 3, out[0].Frames)
		for _, o := range out[1:] {
			require.Equal(t, 1, o.Frames)
			looks(t, still(t, o), 80, 80, flags[0])
		}
	})
}

// still has the vips program show an output.
func still(t testing.TB, o Output) image.Image {
	t.Helper()
	b, err := io.ReadAll(o.File)
	require.NoError(t, err)
	img, err := png.Decode(bytes.NewReader(converted(t, b, ".png", "copy")))
	require.NoError(t, err)
	require.Equal(t, image.Pt(o.Width, o.Height), img.Bounds().Size())
	return img
}

func look(b []byte) (shape, error) {
	return plainAVIF(io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b))))
}

func TestPlainAVIF(t *testing.T) {
	o := webps(t, runner(t, Config{}), asPNG(t, corners(40, 30)), Preset{"p", 40, 85, 0, FormatAVIF})[0]
	good, err := io.ReadAll(o.File)
	require.NoError(t, err)
	got, err := look(good)
	require.NoError(t, err)
	require.Equal(t, shape{40, 30, 1}, got)
	jpg := withSegment(asJPEG(t, corners(40, 30)), 0xe1, exif(1))
	for name, bad := range map[string][]byte{
		"behind": append(bytes.Clone(good), 0), "box behind": append(bytes.Clone(good), 0, 0, 0, 12, 'f', 'r', 'e', 'e', 1, 2, 3, 4),
		"cut off": good[:len(good)-1], "empty": {}, "other brand": bytes.Replace(good, []byte("ftypavif"), []byte("ftypheic"), 1),
		"other item": bytes.Replace(good, []byte("av01"), []byte("Exif"), 2), "profile": bytes.Replace(good, []byte("nclx"), []byte("prof"), 1),
		"property": bytes.Replace(good, []byte("pixi"), []byte("irot"), 1),
		"metadata": converted(t, jpg, ".avif", "heifsave", "--compression=av1", "--effort=0"),
		"heic":     converted(t, jpg, ".heic", "heifsave", "--strip"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := look(bad)
			require.Error(t, err)
		})
	}
}

func FuzzPlainAVIF(f *testing.F) {
	box := func(name string, inside ...[]byte) []byte {
		b := append([]byte{0, 0, 0, 0}, name...)
		b = append(b, bytes.Join(inside, nil)...)
		binary.BigEndian.PutUint32(b, uint32(len(b)))
		return b
	}
	ispe := box("ispe", []byte{0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 3})
	infe := box("infe", []byte{2, 0, 0, 0, 0, 1, 0, 0}, []byte("av01"))
	meta := box("meta", make([]byte, 4), box("iinf", make([]byte, 6), infe), box("iprp", box("ipco", ispe), box("ipma")))
	whole := bytes.Join([][]byte{box("ftyp", []byte("avif\x00\x00\x00\x00")), meta, box("mdat", []byte("data"))}, nil)
	f.Add(whole)
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := look(b); err == nil {
			require.Positive(t, got.width)
			require.Positive(t, got.height)
			require.Equal(t, 1, got.frames)
		}
	})
}
