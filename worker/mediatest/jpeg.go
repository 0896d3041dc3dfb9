package mediatest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/jpeg"
	"testing"

	"github.com/stretchr/testify/require"
)

// exifMark begins the segment of a JPEG that holds EXIF.
const exifMark = "Exif\x00\x00"

// JPEG is a photo of w x h upright pixels that is stored turned, as its EXIF orientation (1 to 8) says.
func JPEG(t testing.TB, w, h, orientation int) File {
	t.Helper()
	plain := encodeJPEG(t, stored(fourColours(w, h), orientation))
	return File{
		Name: fmt.Sprintf("jpeg-exif-%d", orientation), Ext: "jpg", Width: w, Height: h, Spots: quarterSpots(8),
		Bytes: withSegment(plain, 0xe1, append([]byte(exifMark), exif(orientation)...)),
	}
}

// ProgressiveJPEG is a JPEG in several scans.
func ProgressiveJPEG(t testing.TB, w, h int) File {
	t.Helper()
	return File{
		Name: "jpeg-progressive", Ext: "jpg", Width: w, Height: h, Spots: quarterSpots(8),
		Bytes: vips(t, ppm(fourColours(w, h)), "jpegsave", "progressive.jpg", "", "--interlace", "--Q", "90"),
	}
}

// CMYK is a JPEG for printers, with its profile or with none. It can only be judged roughly by colour: the way to ink
// and back loses some.
func CMYK(t testing.TB, w, h int, profile bool) File {
	t.Helper()
	f := File{
		Name: "jpeg-cmyk-profile", Ext: "jpg", Width: w, Height: h, CMYK: true, Spots: quarterSpots(24),
		Bytes: vips(t, ppm(fourColours(w, h)), "icc_transform", "cmyk.jpg", "[Q=92]", "cmyk", "--input-profile", "srgb"),
	}
	require.Contains(t, string(f.Bytes), iccMark)
	if !profile {
		f.Name, f.Bytes = "jpeg-cmyk", withoutSegments(t, f.Bytes, 0xe2)
		require.NotContains(t, string(f.Bytes), iccMark)
	}
	return f
}

// iccMark begins the segments of a JPEG that hold a colour profile.
const iccMark = "ICC_PROFILE\x00"

// DisplayP3 is a JPEG of a phone with a wide screen: the numbers in it are less lively than the colours they mean.
// Who ignores the profile misses the spots by far more than their tolerance.
func DisplayP3(t testing.TB, w, h int) File {
	t.Helper()
	profiled := vips(t, ppm(fourColours(16, 16)), "icc_transform", "p3.jpg", "", "p3", "--input-profile", "srgb")
	plain := encodeJPEG(t, quarters(w, h, Red, Green, Blue, Yellow))
	return File{
		Name: "jpeg-display-p3", Ext: "jpg", Width: w, Height: h,
		Spots: spots(12, fromP3(Red), fromP3(Green), fromP3(Blue), fromP3(Yellow)),
		Bytes: withSegment(plain, 0xe2, profileSegment(t, profiled)),
	}
}

// profileSegment is the content of the only segment with a colour profile.
func profileSegment(t testing.TB, jpg []byte) []byte {
	t.Helper()
	require.Equal(t, 1, bytes.Count(jpg, []byte(iccMark)))
	at := bytes.Index(jpg, []byte(iccMark))
	return jpg[at : at-2+int(binary.BigEndian.Uint16(jpg[at-2:]))]
}

func encodeJPEG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, jpeg.Encode(&b, img, &jpeg.Options{Quality: 92}))
	return b.Bytes()
}

// withSegment puts a marker segment behind the start of a JPEG.
func withSegment(jpg []byte, marker byte, payload []byte) []byte {
	out := append([]byte{0xff, 0xd8, 0xff, marker}, byte((len(payload)+2)>>8), byte(len(payload)+2))
	return append(append(out, payload...), jpg[2:]...)
}

// withoutSegments leaves out the segments of one marker that stand before the first scan.
func withoutSegments(t testing.TB, jpg []byte, marker byte) []byte {
	t.Helper()
	out := bytes.Clone(jpg[:2])
	for at := 2; ; {
		require.Equal(t, byte(0xff), jpg[at])
		if jpg[at+1] == 0xda { // the first scan
			return append(out, jpg[at:]...)
		}
		end := at + 2 + int(binary.BigEndian.Uint16(jpg[at+2:]))
		if jpg[at+1] != marker {
			out = append(out, jpg[at:end]...)
		}
		at = end
	}
}
