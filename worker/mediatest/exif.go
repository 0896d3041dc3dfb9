package mediatest

import "encoding/binary"

// Latitude is the number in the GPS position of every file that has one, as the bytes of an EXIF rational: no result
// may contain them.
var Latitude = []byte{0x39, 0x30, 0, 0, 0x07, 0, 0, 0} // 12345/7

// exif is an EXIF block, from the TIFF header on, with an orientation and a GPS position.
func exif(orientation int) []byte {
	le := binary.LittleEndian
	b := []byte("II*\x00\x08\x00\x00\x00")
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
	b = append(b, Latitude...)
	for _, v := range []uint32{31, 1, 12, 1} {
		b = le.AppendUint32(b, v)
	}
	return b
}
