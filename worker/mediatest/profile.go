package mediatest

import (
	"image/color"
	"math"
)

// fromP3 is the sRGB colour of Display P3 numbers: both have the white point D65 and the same curve, so one matrix
// leads from one to the other (CSS Color 4, section 10.2, both matrices in one).
func fromP3(c color.NRGBA) color.NRGBA {
	r, g, b := linear(c.R), linear(c.G), linear(c.B)
	return color.NRGBA{
		curved(1.2249402*r - 0.2249402*g),
		curved(-0.0420570*r + 1.0420570*g),
		curved(-0.0196376*r - 0.0786361*g + 1.0982736*b),
		c.A,
	}
}

func linear(level uint8) float64 {
	v := float64(level) / 255
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

func curved(v float64) uint8 {
	v = max(0, min(1, v))
	if v <= 0.0031308 {
		v *= 12.92
	} else {
		v = 1.055*math.Pow(v, 1/2.4) - 0.055
	}
	return uint8(v*255 + 0.5)
}
