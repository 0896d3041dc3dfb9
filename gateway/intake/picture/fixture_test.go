package picture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/intake/picture"
)

var limits = picture.Limits{Pixels: 100_000_000, Dimension: 16383, Frames: 500}

func file(t testing.TB, name string) []byte {
	b, err := os.ReadFile("../testdata/" + name)
	require.NoError(t, err)
	return b
}

func read(data []byte, mediaType string) (picture.Info, error) {
	return picture.Read(bytes.NewReader(data), int64(len(data)), mediaType, limits, nil)
}

// problem returns what is wrong with the picture, 0 for nothing; any other error fails the test.
func problem(t testing.TB, err error) picture.Problem {
	if err == nil {
		return 0
	}
	fault, ok := errors.AsType[*picture.Error](err)
	require.True(t, ok, "not about the picture: %v", err)
	return fault.Problem
}

func noise(rng *rand.Rand, w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = byte(rng.Uint32())
	}
	return m
}

func jpegOf(t testing.TB, m image.Image, quality int) []byte {
	var b bytes.Buffer
	require.NoError(t, jpeg.Encode(&b, m, &jpeg.Options{Quality: quality}))
	return b.Bytes()
}

func pngOf(t testing.TB, m image.Image) []byte {
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, m))
	return b.Bytes()
}

func gifOf(t testing.TB, rng *rand.Rand, w, h, frames int) []byte {
	g := &gif.GIF{}
	palette := color.Palette{}
	for range 256 {
		palette = append(palette, color.RGBA{byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32()), 255})
	}
	for range frames {
		m := image.NewPaletted(image.Rect(0, 0, w, h), palette)
		for i := range m.Pix {
			m.Pix[i] = byte(rng.Uint32())
		}
		g.Image, g.Delay = append(g.Image, m), append(g.Delay, 10)
	}
	var b bytes.Buffer
	require.NoError(t, gif.EncodeAll(&b, g))
	return b.Bytes()
}

func be16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func be32(v int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }
func le32(v int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }

func join(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		case int:
			b = append(b, byte(p))
		}
	}
	return b
}

func segment(marker byte, body ...any) []byte {
	b := join(body...)
	return join(0xff, []byte{marker}, be16(len(b)+2), b)
}

func chunk(typ string, body ...any) []byte {
	b := join(append([]any{typ}, body...)...)
	return join(be32(len(b)-4), b, be32(int(crc32.ChecksumIEEE(b))))
}

func riff(body ...any) []byte {
	b := join(append([]any{"WEBP"}, body...)...)
	return join("RIFF", le32(len(b)), b)
}

func riffChunk(typ string, body ...any) []byte {
	b := join(body...)
	out := join(typ, le32(len(b)), b)
	if len(b)%2 == 1 {
		out = append(out, 0)
	}
	return out
}

func box(typ string, body ...any) []byte {
	b := join(body...)
	return join(be32(len(b)+8), typ, b)
}

// insert puts extra into data at off.
func insert(data []byte, off int, extra []byte) []byte {
	return join(data[:off], extra, data[off:])
}
