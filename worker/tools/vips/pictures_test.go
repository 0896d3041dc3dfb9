package vips

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/image/webp"
)

// The corners of corners(): clockwise from the upper left.
var (
	red    = color.NRGBA{220, 30, 30, 255}
	green  = color.NRGBA{30, 180, 30, 255}
	blue   = color.NRGBA{30, 30, 220, 255}
	yellow = color.NRGBA{220, 220, 30, 255}
)

// corners is a picture with one colour in each quarter.
func corners(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := [2][2]color.NRGBA{{red, green}, {yellow, blue}}[min(1, 2*y/h)][min(1, 2*x/w)]
			img.SetNRGBA(x, y, c)
		}
	}
	return img
}

// noisy is a photo-like picture that does not compress to nothing.
func noisy(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	s := uint32(1)
	for i := range img.Pix {
		s = s*1664525 + 1013904223
		img.Pix[i] = uint8(s>>27) + uint8(i*128/len(img.Pix)) + uint8(i/4%w*96/w)
		if i%4 == 3 {
			img.Pix[i] = 255
		}
	}
	return img
}

func asJPEG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, jpeg.Encode(&b, img, &jpeg.Options{Quality: 92}))
	return b.Bytes()
}

func asPNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, img))
	return b.Bytes()
}

// exif is an EXIF block with an orientation and a GPS position.
func exif(orientation uint16) []byte {
	le := binary.LittleEndian
	b := []byte("Exif\x00\x00II*\x00\x08\x00\x00\x00")
	entry := func(tag, kind uint16, count, value uint32) {
		b = le.AppendUint16(b, tag)
		b = le.AppendUint16(b, kind)
		b = le.AppendUint32(b, count)
		b = le.AppendUint32(b, value)
	}
	b = le.AppendUint16(b, 2)
	entry(0x0112, 3, 1, uint32(orientation)) // Orientation, SHORT
	entry(0x8825, 4, 1, 38)                  // GPS IFD, at 8 + 2 + 2*12 + 4
	b = le.AppendUint32(b, 0)
	b = le.AppendUint16(b, 2)
	entry(0x0001, 2, 2, uint32('N')) // GPSLatitudeRef
	entry(0x0002, 5, 3, 68)          // GPSLatitude, behind this IFD
	b = le.AppendUint32(b, 0)
	for _, v := range []uint32{52, 1, 31, 1, 12, 1} {
		b = le.AppendUint32(b, v)
	}
	return b
}

// withSegment puts a marker segment behind the start of a JPEG.
func withSegment(jpg []byte, marker byte, payload []byte) []byte {
	out := append([]byte{0xff, 0xd8, 0xff, marker}, byte((len(payload)+2)>>8), byte(len(payload)+2))
	return append(append(out, payload...), jpg[2:]...)
}

// withICC puts a colour profile into a JPEG.
func withICC(jpg, profile []byte) []byte {
	return withSegment(jpg, 0xe2, append([]byte("ICC_PROFILE\x00\x01\x01"), profile...))
}

// withChunk puts a chunk behind the header of a PNG.
func withChunk(picture []byte, name string, payload []byte) []byte {
	const ihdrEnd = 8 + 25
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	chunk = append(append(chunk, name...), payload...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	return append(append(bytes.Clone(picture[:ihdrEnd]), chunk...), picture[ihdrEnd:]...)
}

// converted has the vips program turn a picture into another format; "copy-all" takes all its frames.
func converted(t testing.TB, picture []byte, to string, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out"+to)
	require.NoError(t, os.WriteFile(in, picture, 0o600))
	if args[0] == "copy-all" {
		args, in = []string{"copy"}, in+"[n=-1]"
	}
	// The program takes the two names behind the operation's.
	said, err := exec.Command("vips", append([]string{args[0], in, out}, args[1:]...)...).CombinedOutput()
	require.NoError(t, err, string(said))
	b, err := os.ReadFile(out)
	require.NoError(t, err)
	return b
}

// decode reads an output.
func decode(t testing.TB, o Output) image.Image {
	t.Helper()
	img, err := webp.Decode(io.NewSectionReader(o.File, 0, o.Size))
	require.NoError(t, err)
	require.Equal(t, image.Rect(0, 0, o.Width, o.Height), img.Bounds())
	return img
}

// looks compares the colour at a place, given in hundredths of width and height.
func looks(t testing.TB, img image.Image, x, y int, want color.NRGBA) {
	t.Helper()
	b := img.Bounds()
	got := colourAt(img, b.Dx()*x/100, b.Dy()*y/100)
	for _, pair := range [][2]uint8{{got.R, want.R}, {got.G, want.G}, {got.B, want.B}, {got.A, want.A}} {
		require.InDelta(t, pair[1], pair[0], 8, "at %d%%, %d%%: %v instead of %v", x, y, got, want)
	}
}

// colourAt is the colour of a lossy WebP's pixel. Go's decoder hands out its samples right but takes them for
// those of a JPEG; WebP's have the range of television (BT.601, 16 to 235).
func colourAt(img image.Image, x, y int) color.NRGBA {
	var c color.YCbCr
	alpha := uint8(255)
	switch m := img.(type) {
	case *image.YCbCr:
		c = m.YCbCrAt(x, y)
	case *image.NYCbCrA:
		c, alpha = m.YCbCrAt(x, y), m.NYCbCrAAt(x, y).A
	default:
		return color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
	}
	luma, cb, cr := 1.164*(float64(c.Y)-16), float64(c.Cb)-128, float64(c.Cr)-128
	level := func(v float64) uint8 { return uint8(max(0, min(255, v+0.5))) }
	return color.NRGBA{level(luma + 1.596*cr), level(luma - 0.813*cr - 0.392*cb), level(luma + 2.017*cb), alpha}
}

// iccOf takes the colour profile, or its first piece, out of a JPEG.
func iccOf(t testing.TB, jpg []byte) []byte {
	t.Helper()
	const mark = "ICC_PROFILE\x00" // number and count of the segment follow
	at := bytes.Index(jpg, []byte(mark))
	require.Positive(t, at)
	size := int(binary.BigEndian.Uint16(jpg[at-2:]))
	return jpg[at+len(mark)+2 : at-2+size]
}
