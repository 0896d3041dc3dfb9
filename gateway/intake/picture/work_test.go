package picture_test

import (
	"bytes"
	"image"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/intake/picture"
)

// countingDisk counts the bytes that are read from it.
type countingDisk struct {
	*bytes.Reader
	read int64
}

func (d *countingDisk) ReadAt(b []byte, off int64) (int, error) {
	n, err := d.Reader.ReadAt(b, off)
	d.read += int64(n)
	return n, err
}

// Files made of the smallest possible parts must not make the walk read the disk over and over.
func TestWorkIsBoundedByTheSize(t *testing.T) {
	j := jpegOf(t, image.NewGray(image.Rect(0, 0, 8, 8)), 50)
	p := pngOf(t, image.NewGray(image.Rect(0, 0, 8, 8)))
	g := gifOf(t, rand.New(rand.NewPCG(1, 1)), 8, 8, 1)
	h := heif(heifOptions{})
	var jpegs []byte
	for range 600 {
		jpegs = append(jpegs, j...)
	}
	tests := []struct {
		name, mediaType string
		data            []byte
	}{
		{"comments", "image/jpeg", insert(j, 2, bytes.Repeat(segment(0xfe), 40_000))},
		{"restarts", "image/jpeg", insert(j, len(j)-2, bytes.Repeat([]byte{0xff, 0xd0}, 100_000))},
		{"fill bytes", "image/jpeg", insert(j, 2, bytes.Repeat([]byte{0xff}, 200_000))},
		{"many pictures", "image/jpeg", jpegs},
		{"chunks", "image/png", insert(p, 33, bytes.Repeat(chunk("teSt", "x"), 20_000))},
		{"data chunks", "image/png", insert(p, 33, bytes.Repeat(chunk("IDAT"), 20_000))},
		{"extensions", "image/gif", insert(g, len(g)-1, bytes.Repeat([]byte{0x21, 0xfe, 1, 'x', 0}, 40_000))},
		{"chunks", "image/webp", riff(riffChunk("VP8L", 0x2f, le32(7|7<<14)), bytes.Repeat(riffChunk("teST", "xy"), 20_000))},
		{"boxes", "image/heic", join(h, bytes.Repeat(box("free"), 4_000))},
	}
	for _, tt := range tests {
		t.Run(tt.mediaType+" "+tt.name, func(t *testing.T) {
			disk := &countingDisk{Reader: bytes.NewReader(tt.data)}
			_, err := picture.Read(disk, int64(len(tt.data)), tt.mediaType, limits, func(int64, int64) error { return nil })
			require.NoError(t, err)
			require.LessOrEqual(t, disk.read, 3*int64(len(tt.data))+1<<17)
		})
	}
}
