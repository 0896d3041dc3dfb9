package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
)

// stamped makes files that differ from each other in a few bytes only, so that making them costs nothing while
// the clock runs.
type stamped struct {
	name  string
	bytes []byte
	// at is where the stamp goes.
	at int
}

// next returns the file with a new stamp; it is the caller's until the next call on the same copy.
func (s stamped) next(into []byte) []byte {
	copy(into, s.bytes)
	_, _ = rand.Read(into[s.at : s.at+16])
	for i := s.at; i < s.at+16; i++ {
		into[i] = 'a' + into[i]%26 // harmless wherever it stands
	}
	return into
}

// jpegOf makes a valid JPEG of about size bytes: a small picture and a comment behind its start that fills it up.
func jpegOf(size int) stamped {
	img := image.NewRGBA(image.Rect(0, 0, 320, 240))
	for i := range img.Pix {
		img.Pix[i] = byte(i * 31)
	}
	img.Set(1, 1, color.Black)
	var pic bytes.Buffer
	if err := jpeg.Encode(&pic, img, &jpeg.Options{Quality: 85}); err != nil {
		panic(err) // an in-memory encode of a fixed picture
	}
	raw := pic.Bytes()
	out := append([]byte{}, raw[:2]...) // SOI
	at := len(out) + 4
	for left := size - len(raw); left > 8; {
		n := min(left-4, 65000)
		segment := make([]byte, 4+n)
		segment[0], segment[1] = 0xff, 0xfe // COM
		binary.BigEndian.PutUint16(segment[2:], uint16(n+2))
		for i := range n {
			segment[4+i] = 'a' + byte(i*7%26)
		}
		out = append(out, segment...)
		left -= len(segment)
	}
	return stamped{name: "photo.jpg", bytes: append(out, raw[2:]...), at: at}
}

// mp4Head is the beginning of an MP4 of size bytes in all: everything up to its sample data.
func mp4Head(size int) *bytes.Buffer {
	box := func(kind string, payload []byte) []byte {
		out := binary.BigEndian.AppendUint32(nil, uint32(8+len(payload)))
		return append(append(out, kind...), payload...)
	}
	mvhd := make([]byte, 100)
	binary.BigEndian.PutUint32(mvhd[12:], 1000) // timescale
	binary.BigEndian.PutUint32(mvhd[16:], 1000) // duration
	out := box("ftyp", []byte("isom\x00\x00\x02\x00isomiso2avc1mp41"))
	out = append(out, box("moov", box("mvhd", mvhd))...)
	out = binary.BigEndian.AppendUint32(out, uint32(size-len(out)))
	return bytes.NewBuffer(append(out, "mdat"...))
}

// mp4Of makes an MP4 whose sample data fills size bytes.
func mp4Of(size int) stamped {
	out := mp4Head(size).Bytes()
	at := len(out)
	data := make([]byte, size-at)
	_, _ = rand.Read(data)
	return stamped{name: "clip.mp4", bytes: append(out, data...), at: at}
}
