package mediatest

import (
	"fmt"
	"image"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Looks holds a picture to known colours. It tells of every spot that is wrong. Where a spot is clear only its
// opacity counts.
func Looks(t testing.TB, img *image.NRGBA, want []Spot) {
	t.Helper()
	for _, problem := range missed(img, want) {
		assert.Fail(t, problem)
	}
}

// missed lists the spots that are not as they should be.
func missed(img *image.NRGBA, want []Spot) []string {
	var problems []string
	for _, s := range want {
		got := img.NRGBAAt(img.Rect.Dx()*s.X/100, img.Rect.Dy()*s.Y/100)
		off := channelDistance(got.A, s.Colour.A)
		if s.Colour.A != 0 {
			off = max(off, channelDistance(got.R, s.Colour.R), channelDistance(got.G, s.Colour.G), channelDistance(got.B, s.Colour.B))
		}
		if off > s.Tolerance {
			problems = append(problems, fmt.Sprintf("at %d%%, %d%%: %v instead of %v +-%d", s.X, s.Y, got, s.Colour, s.Tolerance))
		}
	}
	return problems
}

func channelDistance(a, b uint8) int { return max(int(a)-int(b), int(b)-int(a)) }

// SSIM is how alike two pictures of one size are in structure (Wang 2004): the mean over windows of 8 x 8 pixels of
// their brightness, 1 when they are the same. Above 0.95 a difference is hard to see. Transparent places are seen
// before grey.
func SSIM(t testing.TB, a, b *image.NRGBA) float64 {
	t.Helper()
	require.Equal(t, a.Rect.Size(), b.Rect.Size(), "pictures of different sizes")
	la, lb := brightness(a), brightness(b)
	w, h := a.Rect.Dx(), a.Rect.Dy()
	side := min(8, w, h)
	step := max(1, side/2)
	var sum float64
	n := 0
	for y := 0; y+side <= h; y += step {
		for x := 0; x+side <= w; x += step {
			sum += window(la, lb, w, x, y, side)
			n++
		}
	}
	return sum / float64(n)
}

// window is the SSIM of one window.
func window(a, b []float64, w, x0, y0, side int) float64 {
	const c1, c2 = (0.01 * 255) * (0.01 * 255), (0.03 * 255) * (0.03 * 255)
	var sa, sb, saa, sbb, sab float64
	for y := y0; y < y0+side; y++ {
		for x := x0; x < x0+side; x++ {
			va, vb := a[y*w+x], b[y*w+x]
			sa, sb = sa+va, sb+vb
			saa, sbb, sab = saa+va*va, sbb+vb*vb, sab+va*vb
		}
	}
	n := float64(side * side)
	ma, mb := sa/n, sb/n
	va, vb, cov := saa/n-ma*ma, sbb/n-mb*mb, sab/n-ma*mb
	return (2*ma*mb + c1) * (2*cov + c2) / ((ma*ma + mb*mb + c1) * (va + vb + c2))
}

func brightness(img *image.NRGBA) []float64 {
	out := make([]float64, img.Rect.Dx()*img.Rect.Dy())
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			c := img.NRGBAAt(img.Rect.Min.X+x, img.Rect.Min.Y+y)
			alpha := float64(c.A) / 255
			out[y*img.Rect.Dx()+x] = alpha*(0.299*float64(c.R)+0.587*float64(c.G)+0.114*float64(c.B)) + (1-alpha)*128
		}
	}
	return out
}

// PSNR is how little two pictures of one size differ in their colours, in decibels; the same picture gives infinity.
// Above 30 a difference is hard to see.
func PSNR(t testing.TB, a, b *image.NRGBA) float64 {
	t.Helper()
	require.Equal(t, a.Rect.Size(), b.Rect.Size(), "pictures of different sizes")
	var squares float64
	for y := range a.Rect.Dy() {
		for x := range a.Rect.Dx() {
			p, q := a.NRGBAAt(a.Rect.Min.X+x, a.Rect.Min.Y+y), b.NRGBAAt(b.Rect.Min.X+x, b.Rect.Min.Y+y)
			for _, pair := range [][3]uint8{{p.R, q.R}, {p.G, q.G}, {p.B, q.B}} {
				d := float64(pair[0])*float64(p.A)/255 - float64(pair[1])*float64(q.A)/255
				squares += d * d
			}
		}
	}
	mean := squares / float64(3*a.Rect.Dx()*a.Rect.Dy())
	return 10 * math.Log10(255*255/mean)
}
