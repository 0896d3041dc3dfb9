package picture_test

import (
	"bytes"
	"errors"
	"image"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/intake/picture"
)

// whole pairs each format with a good picture of 96 x 64.
var whole = []struct {
	file, mediaType string
	frames          int64
}{
	{"baseline.jpg", "image/jpeg", 1},
	{"progressive.jpg", "image/jpeg", 1},
	{"anim.png", "image/png", 5},
	{"anim.gif", "image/gif", 5},
	{"lossy.webp", "image/webp", 1},
	{"lossless.webp", "image/webp", 1},
	{"anim.webp", "image/webp", 5},
	{"still.heic", "image/heic", 1},
	{"still.avif", "image/avif", 1},
	{"anim.avif", "image/avif", 5},
}

func TestWholePictures(t *testing.T) {
	for _, w := range whole {
		t.Run(w.file, func(t *testing.T) {
			data := file(t, w.file)
			got, err := read(data, w.mediaType)
			require.NoError(t, err)
			require.Equal(t, picture.Info{Width: 96, Height: 64, Frames: w.frames, End: int64(len(data))}, got)
		})
	}
}

// Whatever the cut, a picture is refused, or it ends before the cut so that the rest is a trailer.
func TestEveryCutIsNoticed(t *testing.T) {
	for _, w := range whole {
		t.Run(w.file, func(t *testing.T) {
			data := file(t, w.file)
			for n := range data {
				info, err := read(data[:n], w.mediaType)
				if problem(t, err) == 0 {
					require.Less(t, info.End, int64(n), "cut at %d taken as whole", n)
				}
			}
		})
	}
}

func TestLimits(t *testing.T) {
	tests := []struct {
		name   string
		limits picture.Limits
		want   picture.Problem
		limit  int64
	}{
		{"exactly the pixels", picture.Limits{Pixels: 96 * 64 * 5, Dimension: 96, Frames: 5}, 0, 0},
		{"one pixel less", picture.Limits{Pixels: 96*64*5 - 1, Dimension: 96, Frames: 5}, picture.TooManyPixels, 96*64*5 - 1},
		{"narrower", picture.Limits{Pixels: 1 << 40, Dimension: 95, Frames: 5}, picture.TooLarge, 95},
		{"fewer frames", picture.Limits{Pixels: 1 << 40, Dimension: 96, Frames: 4}, picture.TooManyFrames, 4},
		{"nothing", picture.Limits{}, picture.TooLarge, 0},
	}
	for _, w := range whole {
		if w.frames != 5 {
			continue
		}
		for _, tt := range tests {
			t.Run(w.file+" "+tt.name, func(t *testing.T) {
				data := file(t, w.file)
				_, err := picture.Read(bytes.NewReader(data), int64(len(data)), w.mediaType, tt.limits, nil)
				require.Equal(t, tt.want, problem(t, err))
				if tt.want != 0 {
					fault, _ := errors.AsType[*picture.Error](err)
					require.Equal(t, tt.limit, fault.Limit)
				}
			})
		}
	}
}

// Noise is what compressed data looks like; it must not be taken for structure.
func TestNoisePicturesAreWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 24 {
		w, h := 1+rng.IntN(120), 1+rng.IntN(120)
		for mediaType, data := range map[string][]byte{
			"image/jpeg": jpegOf(t, noise(rng, w, h), 1+rng.IntN(100)),
			"image/png":  pngOf(t, noise(rng, w, h)),
			"image/gif":  gifOf(t, rng, w, h, 1+i%4),
		} {
			info, err := read(data, mediaType)
			require.NoError(t, err, mediaType)
			require.Equal(t, int64(len(data)), info.End, mediaType)
			require.Equal(t, [2]int64{int64(w), int64(h)}, [2]int64{info.Width, info.Height}, mediaType)
		}
	}
}

func TestTextIsShown(t *testing.T) {
	comment := "<?php system('id');"
	j := jpegOf(t, image.NewGray(image.Rect(0, 0, 8, 8)), 50)
	p := pngOf(t, image.NewGray(image.Rect(0, 0, 8, 8)))
	g := gifOf(t, rand.New(rand.NewPCG(1, 1)), 8, 8, 1)
	tests := map[string][]byte{
		"image/jpeg": insert(j, 2, segment(0xfe, comment)),
		"image/png":  insert(p, 33, chunk("tEXt", "Comment\x00", comment)),
		"image/gif":  insert(g, len(g)-1, join("\x21\xfe", len(comment), comment, 0)),
	}
	for mediaType, data := range tests {
		var shown []byte
		_, err := picture.Read(bytes.NewReader(data), int64(len(data)), mediaType, limits, func(from, to int64) error {
			shown = append(shown, data[from:to]...)
			return nil
		})
		require.NoError(t, err, mediaType)
		require.Contains(t, string(shown), comment, mediaType)

		stop := errors.New("stop")
		_, err = picture.Read(bytes.NewReader(data), int64(len(data)), mediaType, limits, func(int64, int64) error { return stop })
		require.ErrorIs(t, err, stop)
	}
}

type brokenDisk struct{ good []byte }

func (d brokenDisk) ReadAt(b []byte, off int64) (int, error) {
	if off+int64(len(b)) > int64(len(d.good)) {
		return 0, io.ErrClosedPipe
	}
	return copy(b, d.good[off:]), nil
}

func TestDiskTroubleIsNotThePicturesFault(t *testing.T) {
	for _, w := range whole {
		data := file(t, w.file)
		_, err := picture.Read(brokenDisk{data[:len(data)/2]}, int64(len(data)), w.mediaType, limits, nil)
		require.ErrorIs(t, err, io.ErrClosedPipe, w.file)
		_, isFault := errors.AsType[*picture.Error](err)
		require.False(t, isFault, w.file)
	}
	_, err := read(nil, "image/bmp")
	require.ErrorContains(t, err, "no reader")
}

func FuzzImageHeader(f *testing.F) {
	for i, w := range whole {
		for j, mediaType := range picture.Formats {
			if mediaType == w.mediaType {
				f.Add(file(f, w.file), byte(j))
			}
		}
		if i == 0 {
			f.Add(jpegOf(f, noise(rand.New(rand.NewPCG(3, 3)), 20, 20), 90), byte(0))
		}
	}
	f.Add(heif(heifOptions{}), byte(4))
	f.Add(heif(heifOptions{grid: true}), byte(4))
	f.Fuzz(func(t *testing.T, data []byte, format byte) {
		mediaType := picture.Formats[int(format)%len(picture.Formats)]
		info, err := read(data, mediaType)
		if problem(t, err) != 0 {
			return
		}
		require.True(t, info.Width > 0 && info.Width <= limits.Dimension)
		require.True(t, info.Height > 0 && info.Height <= limits.Dimension)
		require.True(t, info.Frames > 0 && info.Frames <= limits.Frames)
		require.LessOrEqual(t, info.Width*info.Height*info.Frames, limits.Pixels)
		require.True(t, info.End > 0 && info.End <= int64(len(data)))
	})
}
