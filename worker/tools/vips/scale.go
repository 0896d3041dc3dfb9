package vips

import (
	"bytes"
	"fmt"
	"image"
	"image/draw"

	xdraw "golang.org/x/image/draw"
	"golang.org/x/image/tiff"
)

// maxCarefulPixels bounds the pictures with transparency that are shrunk in Go, at about 40 bytes a pixel.
// Above it bimg does it; seams are hardly seen when so many pixels become one.
const maxCarefulPixels = 16_000_000

// narrow reports that shrinking a picture to w x h brings its short side down to almost nothing, where
// libvips, which shrinks by whole numbers first, has none left.
func narrow(fromW, fromH, w, h int) bool {
	return (w != fromW || h != fromH) && min(w, h) < 2
}

// scale shrinks with colours weighted by their opacity.
func scale(img *image.NRGBA, w, h int) *image.NRGBA {
	if img.Rect.Dx() == w && img.Rect.Dy() == h {
		return img
	}
	weighted := image.NewRGBA(image.Rect(0, 0, w, h)) // RGBA is premultiplied in Go
	xdraw.CatmullRom.Scale(weighted, weighted.Rect, img, img.Rect, draw.Src, nil)
	out := image.NewNRGBA(weighted.Rect)
	draw.Draw(out, out.Rect, weighted, image.Point{}, draw.Src)
	return out
}

// readTIFF reads what libvips has written in this process.
func readTIFF(b []byte) (*image.NRGBA, error) {
	img, err := tiff.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("read the decoded picture: %w", err)
	}
	if n, ok := img.(*image.NRGBA); ok {
		return n, nil
	}
	n := image.NewNRGBA(image.Rect(0, 0, img.Bounds().Dx(), img.Bounds().Dy()))
	draw.Draw(n, n.Rect, img, img.Bounds().Min, draw.Src)
	return n, nil
}

func writeTIFF(img *image.NRGBA) ([]byte, error) {
	var b bytes.Buffer
	if err := tiff.Encode(&b, img, nil); err != nil {
		return nil, fmt.Errorf("write the shrunk picture: %w", err)
	}
	return b.Bytes(), nil
}
