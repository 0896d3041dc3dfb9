package mediatest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"testing"

	"github.com/stretchr/testify/require"
)

// HEIC is a phone's picture that is stored turned. HEIF says so by properties of its own (irot, imir), which decoders
// apply.
func HEIC(t testing.TB, w, h, orientation int) File {
	t.Helper()
	f := heic(t, w, h, orientation, 1)
	f.Name = fmt.Sprintf("heic-turned-%d", orientation)
	return f
}

// HEICSaidTwice says its orientation by properties and by EXIF too, as iPhones do: it must be applied once.
func HEICSaidTwice(t testing.TB, w, h, orientation int) File {
	t.Helper()
	f := heic(t, w, h, orientation, orientation)
	f.Name = fmt.Sprintf("heic-turned-%d-and-exif", orientation)
	return f
}

// AVIF is a still picture.
func AVIF(t testing.TB, w, h int) File {
	t.Helper()
	return File{
		Name: "avif", Ext: "avif", Width: w, Height: h, Spots: quarterSpots(8),
		Bytes: vips(t, ppm(fourColours(w, h)), "heifsave", "still.avif", "", "--compression", "av1", "--effort", "1", "--Q", "80"),
	}
}

func heic(t testing.TB, w, h, orientation, exifOrientation int) File {
	t.Helper()
	plain := encodeHEIC(t, stored(fourColours(w, h), orientation), exifOrientation)
	return File{Ext: "heic", Width: w, Height: h, Spots: quarterSpots(8), Bytes: turnHEIC(t, plain, orientation)}
}

// encodeHEIC stores the pixels as they are, with an EXIF block that speaks of an orientation and a position.
func encodeHEIC(t testing.TB, img *image.NRGBA, exifOrientation int) []byte {
	t.Helper()
	// vips would leave out an orientation other than 1, so that one is written into the finished file.
	block := exif(1)
	carrier := withSegment(encodeJPEG(t, img), 0xe1, append([]byte(exifMark), block...))
	out := vips(t, carrier, "heifsave", "small.heic", "", heifOptions(80)...)
	entry := []byte{0x12, 0x01, 3, 0, 1, 0, 0, 0, 1, 0} // vips may order the block's bytes either way
	at := bytes.Index(out, entry)
	value := at + len(entry) - 2
	if at < 0 {
		entry = []byte{0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 1}
		at = bytes.Index(out, entry)
		value = at + len(entry) - 1
	}
	require.Positive(t, at, "the file has no orientation in its EXIF block")
	out[value] = byte(exifOrientation)
	return out
}

func heifOptions(quality int) []string {
	return []string{"--compression", "hevc", "--effort", "0", "--Q", fmt.Sprint(quality)}
}

// turnHEIC adds the properties that say an orientation: irot turns against the clock in quarters, then imir exchanges
// top and bottom (0) or left and right (1).
func turnHEIC(t testing.TB, file []byte, orientation int) []byte {
	t.Helper()
	type turn struct{ quarters, mirror int }
	turns := map[int]turn{1: {0, -1}, 2: {0, 1}, 3: {2, -1}, 4: {0, 0}, 5: {3, 1}, 6: {3, -1}, 7: {3, 0}, 8: {1, -1}}
	how, known := turns[orientation]
	require.True(t, known, "EXIF has no orientation %d", orientation)
	var properties [][]byte
	if how.quarters > 0 {
		properties = append(properties, box("irot", []byte{byte(how.quarters)}))
	}
	if how.mirror >= 0 {
		properties = append(properties, box("imir", []byte{byte(how.mirror)}))
	}
	if len(properties) == 0 {
		return file
	}
	return withProperties(t, file, properties)
}

// withProperties adds properties to the first item of a HEIF file as libheif writes it: meta before mdat, and
// positions in iloc's base offsets.
func withProperties(t testing.TB, file []byte, properties [][]byte) []byte {
	t.Helper()
	meta := findBox(t, file, "meta")
	content := file[meta.body+4 : meta.end] // behind version and flags
	iprp := findBox(t, content, "iprp")
	ipco := findBox(t, content[iprp.body:iprp.end], "ipco")
	ipma := findBox(t, content[iprp.body:iprp.end], "ipma")
	inside := content[iprp.body:iprp.end]

	list := bytes.Clone(inside[ipco.body:ipco.end])
	have := len(boxes(list))
	links := bytes.Clone(inside[ipma.body:ipma.end]) // version and flags, count, then item (2), count (1), links (1 each)
	require.Equal(t, make([]byte, 4), links[:4], "a kind of ipma that libheif does not write for few properties")
	const count = 4 + 4 + 2
	end := count + 1 + int(links[count])
	var added []byte
	for i, p := range properties {
		list = append(list, p...)
		added = append(added, 0x80|byte(have+i+1)) // essential
	}
	links[count] += byte(len(added))
	links = append(links[:end:end], append(added, links[end:]...)...)

	grown := box("iprp", box("ipco", list), box("ipma", links))
	by := len(grown) - (iprp.end - iprp.start)
	newContent := append(bytes.Clone(content[:iprp.start]), append(grown, content[iprp.end:]...)...)
	moveItems(t, newContent, by)
	out := append(bytes.Clone(file[:meta.start]), box("meta", file[meta.body:meta.body+4], newContent)...)
	return append(out, file[meta.end:]...)
}

// moveItems adds to the positions of all items.
func moveItems(t testing.TB, meta []byte, by int) {
	t.Helper()
	iloc := findBox(t, meta, "iloc")
	b := meta[iloc.body:iloc.end]
	require.Equal(t, []byte{0, 0, 0, 0x44, 0x40}, b[1:6], "offsets, lengths and bases of 4 bytes")
	at := 8
	for range binary.BigEndian.Uint16(b[6:]) {
		inside := false
		at += 2 // the item's number
		if b[0] > 0 {
			inside = b[at+1]&0xf != 0 // in meta itself
			at += 2
		}
		base := b[at+2:] // behind the data reference
		if !inside {
			binary.BigEndian.PutUint32(base, binary.BigEndian.Uint32(base)+uint32(by))
		}
		at += 2 + 4
		at += 2 + 8*int(binary.BigEndian.Uint16(b[at:]))
	}
}
