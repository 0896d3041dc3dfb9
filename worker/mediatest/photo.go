package mediatest

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// photoVersion is to be raised when the photos change.
const photoVersion = "1"

// Photo is a JPEG that costs as much as a camera's: of w x h upright pixels, stored as the EXIF orientation says.
func Photo(t testing.TB, w, h, orientation int) []byte {
	t.Helper()
	recipe := []string{"photo", photoVersion, fmt.Sprint(w, h, orientation)}
	return readFile(t, cached(t, "photo.jpg", recipe, func(out string) {
		plain := encodeJPEG(t, stored(photoLike(w, h), orientation))
		block := append([]byte(exifMark), exif(orientation)...)
		require.NoError(t, os.WriteFile(out, withSegment(plain, 0xe1, block), 0o600))
	}))
}

// PhotoFile is such a photo for the list of pictures. Its quarters only lean to their colours.
func PhotoFile(t testing.TB, w, h, orientation int) File {
	t.Helper()
	return File{
		Name: fmt.Sprintf("jpeg-photo-%d", orientation), Ext: "jpg", Width: w, Height: h, Spots: quarterSpots(48),
		Bytes: Photo(t, w, h, orientation),
	}
}

// PhotoHEIC is such a picture as phones store it. The first time takes half a minute.
func PhotoHEIC(t testing.TB, w, h int) []byte {
	t.Helper()
	_, version := tool(t, "vips")
	recipe := []string{"photo", photoVersion, version, fmt.Sprint(w, h)}
	return readFile(t, cached(t, "photo.heic", recipe, func(out string) {
		carrier := withSegment(encodeJPEG(t, photoLike(w, h)), 0xe1, append([]byte(exifMark), exif(1)...))
		runVips(t, carrier, "heifsave", out, "", heifOptions(50)...)
	}))
}

// RotatedHEIC is PhotoHEIC stored turned.
func RotatedHEIC(t testing.TB, w, h, orientation int) []byte {
	t.Helper()
	sideways := orientation >= 5
	if sideways {
		w, h = h, w
	}
	return turnHEIC(t, bytes.Clone(PhotoHEIC(t, w, h)), orientation)
}
