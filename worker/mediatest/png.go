package mediatest

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"testing"

	"github.com/stretchr/testify/require"
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// PNG16 is a PNG with 16 bits a channel.
func PNG16(t testing.TB, w, h int) File {
	t.Helper()
	deep := image.NewNRGBA64(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			deep.Set(x, y, [2][2]color.NRGBA{{Red, Green}, {Yellow, Blue}}[min(1, 2*y/h)][min(1, 2*x/w)])
		}
	}
	return File{Name: "png-16-bit", Ext: "png", Width: w, Height: h, Spots: quarterSpots(8), Bytes: encodePNG(t, deep)}
}

// PalettePNG has a palette whose entries are clear, half clear and opaque.
func PalettePNG(t testing.TB, w, h int) File {
	t.Helper()
	half := color.NRGBA{Blue.R, Blue.G, Blue.B, 128}
	img := image.NewPaletted(image.Rect(0, 0, w, h), color.Palette{Clear, half, Red, Yellow})
	for y := range h {
		for x := range w {
			img.SetColorIndex(x, y, [2][2]uint8{{2, 0}, {3, 1}}[min(1, 2*y/h)][min(1, 2*x/w)])
		}
	}
	return File{
		Name: "png-palette-alpha", Ext: "png", Width: w, Height: h, Alpha: true,
		Spots: spots(8, Red, Clear, half, Yellow), Bytes: encodePNG(t, img),
	}
}

// GreyAlphaPNG has a grey and an alpha channel.
func GreyAlphaPNG(t testing.TB, w, h int) File {
	t.Helper()
	level := [2][2][2]byte{{{200, 255}, {90, 128}}, {{30, 255}, {0, 0}}}
	var rows bytes.Buffer
	for y := range h {
		rows.WriteByte(0) // no filter
		for x := range w {
			p := level[min(1, 2*y/h)][min(1, 2*x/w)]
			rows.Write(p[:])
		}
	}
	grey := func(l, a uint8) color.NRGBA { return color.NRGBA{l, l, l, a} }
	return File{
		Name: "png-grey-alpha", Ext: "png", Width: w, Height: h, Alpha: true, Grey: true,
		Spots: spots(8, grey(200, 255), grey(90, 128), Clear, grey(30, 255)),
		Bytes: pngFile(w, h, 8, 4, deflate(t, rows.Bytes())),
	}
}

// Screenshot is a large flat PNG with sharp lines, as screens are.
func Screenshot(t testing.TB, w, h int) File {
	t.Helper()
	img := fourColours(w, h)
	for x := w / 10; x < w*9/10; x++ { // lines of text in the middle
		for y := h * 45 / 100; y < h*55/100; y++ {
			if y%12 < 6 && x%9 < 6 {
				img.SetNRGBA(x, y, color.NRGBA{0, 0, 0, 255})
			}
		}
	}
	return File{Name: "png-screenshot", Ext: "png", Width: w, Height: h, Spots: quarterSpots(8), Bytes: encodePNG(t, img)}
}

func encodePNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, img))
	return b.Bytes()
}

// pngFile is a PNG with that header around compressed rows.
func pngFile(w, h int, depth, colourType byte, compressed []byte) []byte {
	header := binary.BigEndian.AppendUint32(nil, uint32(w))
	header = binary.BigEndian.AppendUint32(header, uint32(h))
	header = append(header, depth, colourType, 0, 0, 0)
	out := append([]byte(pngSignature), pngChunk("IHDR", header)...)
	out = append(out, pngChunk("IDAT", compressed)...)
	return append(out, pngChunk("IEND", nil)...)
}

func pngChunk(name string, payload []byte) []byte {
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	chunk = append(append(chunk, name...), payload...)
	return binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
}

func deflate(t testing.TB, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, err := w.Write(raw)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}
