package mediatest

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
)

// The colours of the quarters, clockwise from the upper left. None is at the edge of what a profile can say, so
// that a printer's profile keeps them too.
var (
	Red    = color.NRGBA{200, 60, 50, 255}
	Green  = color.NRGBA{60, 140, 80, 255}
	Blue   = color.NRGBA{80, 100, 150, 255}
	Yellow = color.NRGBA{230, 210, 70, 255}
)

// Clear is a transparent place; what colour lies under it does not matter.
var Clear = color.NRGBA{}

// Spot is a colour that a picture must have at a place, given in hundredths of width and height. Tolerance is the
// largest difference of a channel, of 255.
type Spot struct {
	X, Y      int
	Colour    color.NRGBA
	Tolerance int
}

// quarterSpots are the middles of the four quarters.
func quarterSpots(tolerance int) []Spot { return spots(tolerance, Red, Green, Blue, Yellow) }

// spots are the middles of quarters in these colours, clockwise from the upper left.
func spots(tolerance int, c1, c2, c3, c4 color.NRGBA) []Spot {
	return []Spot{{25, 25, c1, tolerance}, {75, 25, c2, tolerance}, {75, 75, c3, tolerance}, {25, 75, c4, tolerance}}
}

// quarters is a picture with one colour in each quarter.
func quarters(w, h int, c1, c2, c3, c4 color.NRGBA) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetNRGBA(x, y, [2][2]color.NRGBA{{c1, c2}, {c4, c3}}[min(1, 2*y/h)][min(1, 2*x/w)])
		}
	}
	return img
}

func fourColours(w, h int) *image.NRGBA { return quarters(w, h, Red, Green, Blue, Yellow) }

// photoLike is a picture that costs a codec what a photo costs: soft gradients, edges, texture and a sensor's noise.
// Its quarters lean to the four colours.
func photoLike(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	noise := rand.New(rand.NewPCG(1, 2))
	wave := make([]float64, w)
	for x := range wave {
		wave[x] = 12*math.Sin(float64(x)/37) + 6*math.Sin(float64(x)/5)
	}
	var grain uint64
	for y := range h {
		row := 10*math.Cos(float64(y)/53) + 24*float64(y)/float64(h) - 12
		for x := range w {
			c := [2][2]color.NRGBA{{Red, Green}, {Yellow, Blue}}[min(1, 2*y/h)][min(1, 2*x/w)]
			if x%16 == 0 {
				grain = noise.Uint64()
			}
			shade := row + wave[x] + float64(grain>>(4*(x%16))&15) - 7.5
			i := img.PixOffset(x, y)
			img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = shift(c.R, shade), shift(c.G, shade), shift(c.B, shade), 255
		}
	}
	return img
}

func shift(level uint8, by float64) uint8 { return uint8(max(0, min(255, float64(level)+by))) }

// stored is an upright picture as a camera stores it that says the EXIF orientation. The orientation tells where row
// 0 and column 0 of what is stored lie when the picture is upright: 1 top left, 2 top right, 3 bottom right, 4 bottom
// left, 5 left top, 6 right top, 7 right bottom, 8 left bottom.
func stored(upright *image.NRGBA, orientation int) *image.NRGBA {
	w, h := upright.Rect.Dx(), upright.Rect.Dy()
	swapped := orientation >= 5
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	if swapped {
		out = image.NewNRGBA(image.Rect(0, 0, h, w))
	}
	rightFirst := orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7
	bottomFirst := orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8
	for row := range out.Rect.Dy() {
		for column := range out.Rect.Dx() {
			x, y := column, row
			if swapped {
				x, y = row, column
			}
			if rightFirst {
				x = w - 1 - x
			}
			if bottomFirst {
				y = h - 1 - y
			}
			out.SetNRGBA(column, row, upright.NRGBAAt(x, y))
		}
	}
	return out
}

// ppm is the plainest file of an opaque picture.
func ppm(img *image.NRGBA) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "P6 %d %d 255\n", img.Rect.Dx(), img.Rect.Dy())
	for i := 0; i < len(img.Pix); i += 4 {
		b.Write(img.Pix[i : i+3])
	}
	return b.Bytes()
}
