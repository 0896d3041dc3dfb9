package vips

import (
	"fmt"
	"image"

	"go.n16f.net/thumbhash"
)

// placeholderEdge is the long edge of the picture that stands for the whole one; ThumbHash takes no larger.
const placeholderEdge = 100

// Facts are what a page can draw before it has the picture.
type Facts struct {
	// Width and Height are those of the original, upright as it is shown.
	Width  int `json:"width"`
	Height int `json:"height"`
	// Frames of the original: 1 unless it is an animated GIF or WebP.
	Frames int `json:"frames"`
	// DominantColor is "#rrggbb".
	DominantColor string `json:"dominant_color"`
	// ThumbHash is a tiny blurred picture in at most 25 bytes (evanw.github.io/thumbhash); of an animation, its
	// first frame.
	ThumbHash []byte `json:"thumbhash"`
}

func (m master) facts() (Facts, error) {
	first, err := m.pixels.first()
	if err != nil {
		return Facts{}, fmt.Errorf("first frame: %w", err)
	}
	defer first.free()
	w, h := fit(first.width(), first.height(), placeholderEdge)
	tiny, err := first.scaled(w, h)
	if err != nil {
		return Facts{}, fmt.Errorf("shrink to a placeholder: %w", err)
	}
	defer tiny.free()
	img, err := tiny.rgba()
	if err != nil {
		return Facts{}, fmt.Errorf("read the placeholder: %w", err)
	}
	// The library weights colours by their opacity itself; an image.RGBA whose bytes are not weighted yet keeps it
	// from doing so twice.
	plain := &image.RGBA{Pix: img.Pix, Stride: img.Stride, Rect: img.Rect}
	return Facts{m.width, m.height, m.pixels.frames(), dominant(img), thumbhash.EncodeImage(plain)}, nil
}

// dominant is the mean of the most frequent among 512 ranges of colour, weighted by opacity; grey for a picture
// that nobody can see.
func dominant(img *image.NRGBA) string {
	type sum struct{ r, g, b, weight int }
	var ranges [512]sum
	most := 0
	for i := 0; i+3 < len(img.Pix); i += 4 {
		r, g, b, a := int(img.Pix[i]), int(img.Pix[i+1]), int(img.Pix[i+2]), int(img.Pix[i+3])
		at := r>>5<<6 | g>>5<<3 | b>>5
		s := &ranges[at]
		s.r, s.g, s.b, s.weight = s.r+r*a, s.g+g*a, s.b+b*a, s.weight+a
		if s.weight > ranges[most].weight {
			most = at
		}
	}
	s := ranges[most]
	if s.weight == 0 {
		return "#808080"
	}
	mean := func(v int) int { return (v + s.weight/2) / s.weight }
	return fmt.Sprintf("#%02x%02x%02x", mean(s.r), mean(s.g), mean(s.b))
}
