package mediatest

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Flood is a small file that unpacks to more than anybody has memory for.
type Flood struct {
	Name, Ext string
	Bytes     []byte
	// What its header says, as intake would note it.
	Width, Height, Frames int
}

// Floods are floods of each format.
func Floods(t testing.TB) []Flood {
	t.Helper()
	const edge = 20_000
	tall, small := encodeJPEG(t, fourColours(64, 64)), fourColours(64, 64)
	heic := bytes.Clone(encodeHEIC(t, small, 1))
	setHEICSize(t, heic, 60_000, 60_000)
	return []Flood{
		{"png", "png", FloodPNG(t, edge, edge), edge, edge, 1},
		{"gif-frames", "gif", floodGIF(4000, 4000, 1, 5000), 4000, 4000, 5000},
		{"gif-canvas", "gif", floodGIF(65_535, 65_535, 65_535, 1), 65_535, 65_535, 1},
		{"webp", "webp", floodWebP(maxWebP, maxWebP), maxWebP, maxWebP, 1},
		{"webp-frames", "webp", floodAnimatedWebP(4000, 4000, 5000), 4000, 4000, 5000},
		{"webp-canvas", "webp", floodAnimatedWebP(1<<24, 1<<8, 3), 1 << 24, 1 << 8, 3},
		{"jpeg", "jpg", setJPEGSize(t, tall, 65_500, 65_500), 65_500, 65_500, 1},
		{"heic", "heic", heic, 60_000, 60_000, 1},
	}
}

// maxWebP is the largest side of a WebP.
const maxWebP = 16_383

// FloodPNG is a real black picture of any size, with every check sum right, made in no time: one packed piece of
// zeros is repeated.
func FloodPNG(t testing.TB, w, h int) []byte {
	t.Helper()
	raw := h * (1 + 3*w) // a filter byte, then RGB
	const piece = 1 << 20
	var b bytes.Buffer
	f, err := flate.NewWriter(&b, flate.BestCompression)
	require.NoError(t, err)
	write := func(n int) {
		_, err := f.Write(make([]byte, n))
		require.NoError(t, err)
		require.NoError(t, f.Flush())
	}
	require.GreaterOrEqual(t, raw, piece, "no flood")
	write(piece)
	first := bytes.Clone(b.Bytes())
	b.Reset()
	write(piece) // refers to the zeros before it, and so may follow itself
	middle := bytes.Clone(b.Bytes())
	b.Reset()
	write(raw % piece)
	require.NoError(t, f.Close())

	packed := append([]byte{0x78, 0xda}, first...)
	packed = append(append(packed, bytes.Repeat(middle, raw/piece-1)...), b.Bytes()...)
	packed = binary.BigEndian.AppendUint32(packed, uint32(raw%65_521)<<16|1) // Adler-32 of zeros
	return pngFile(w, h, 8, 2, packed)
}

// floodGIF has frames of edge x edge pixels, of which only one is written, on a larger canvas: each frame is a whole
// picture to who draws it.
func floodGIF(w, h, edge, frames int) []byte {
	le := binary.LittleEndian
	out := le.AppendUint16(le.AppendUint16([]byte("GIF89a"), uint16(w)), uint16(h))
	out = append(out, 0x80, 0, 0, 255, 0, 0, 0, 0, 255)             // two colours
	frame := []byte{0x21, 0xf9, 4, 0, 1, 0, 0, 0, 0x2c, 0, 0, 0, 0} // shown for 10 ms, at the upper left
	frame = le.AppendUint16(le.AppendUint16(frame, uint16(edge)), uint16(edge))
	frame = append(frame, 0, 2, 2, 0x44, 0x01, 0) // clear, 0, end
	return append(append(out, bytes.Repeat(frame, frames)...), 0x3b)
}

// floodWebP is lossless and of one colour: every symbol takes no bit at all.
func floodWebP(w, h int) []byte { return webpFile(Chunk{"VP8L", oneColour(w, h)}) }

// oneColour is a lossless bitstream without pixels: each of the five codes has one symbol.
func oneColour(w, h int) []byte {
	var bits bitWriter
	bits.write(0x2f, 8)
	bits.write(uint64(w-1), 14)
	bits.write(uint64(h-1), 14)
	bits.write(0, 1+3) // no alpha, version 0
	bits.write(0, 1)   // no transform
	bits.write(0, 1)   // no colour cache
	bits.write(0, 1)   // one group of codes
	for range 5 {
		bits.write(1, 1) // a simple code
		bits.write(0, 1) // of one symbol
		bits.write(0, 1) // that has one bit
		bits.write(0, 1) // and is 0
	}
	return bits.bytes()
}

func floodAnimatedWebP(w, h, frames int) []byte {
	dot := appendChunk(slices.Concat(uint24(0), uint24(0), uint24(0), uint24(0), uint24(10), []byte{0}),
		Chunk{"VP8L", oneColour(1, 1)})
	return animatedWebP(w, h, 0, slices.Repeat([]Chunk{{"ANMF", dot}}, frames))
}

// bitWriter packs bits, the lowest first.
type bitWriter struct {
	out  []byte
	held uint64
	n    uint
}

func (b *bitWriter) write(v uint64, n uint) {
	b.held |= v << b.n
	for b.n += n; b.n >= 8; b.n -= 8 {
		b.out = append(b.out, byte(b.held))
		b.held >>= 8
	}
}

func (b *bitWriter) bytes() []byte { return append(b.out, byte(b.held), 0, 0, 0) }

// setJPEGSize lies about the size of a JPEG.
func setJPEGSize(t testing.TB, jpg []byte, w, h int) []byte {
	t.Helper()
	at := bytes.Index(jpg, []byte{0xff, 0xc0, 0, 17, 8})
	require.Positive(t, at)
	binary.BigEndian.PutUint16(jpg[at+5:], uint16(h))
	binary.BigEndian.PutUint16(jpg[at+7:], uint16(w))
	return jpg
}

// setHEICSize lies about the size of a HEIF picture.
func setHEICSize(t testing.TB, file []byte, w, h int) {
	t.Helper()
	meta := within(t, file, "meta")
	size := within(t, meta[4:], "iprp", "ipco", "ispe")
	binary.BigEndian.PutUint32(size[4:], uint32(w))
	binary.BigEndian.PutUint32(size[8:], uint32(h))
}
