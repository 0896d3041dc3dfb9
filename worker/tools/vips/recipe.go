package vips

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/h2non/bimg"
)

// errTooManyPixels is the gate before decoding.
var errTooManyPixels = errors.New("more pixels than allowed")

// errFormat refuses what is none of the accepted formats, before libvips guesses.
var errFormat = errors.New("not a picture of an accepted format")

// accepted are the formats of the category "image".
var accepted = []bimg.ImageType{bimg.JPEG, bimg.PNG, bimg.WEBP, bimg.GIF, bimg.HEIF, bimg.AVIF}

// heifBrands are the major brands of HEIF files that bimg knows. Others (heix, mif2, ...) are shown to it as
// mif1, which only says "a HEIF file"; libheif goes by the content.
var heifBrands = []string{"heic", "heis", "hevc", "mif1", "msf1", "avif"}

// source is a picture whose header has been read and found small enough.
type source struct {
	bytes         []byte
	width, height int
	orientation   int
	alpha         bool
	// space is the interpretation to shrink in. bimg converts to it before it looks at the colour profile.
	space bimg.Interpretation
}

// open reads the header. It may change picture.
func open(picture []byte, maxPixels int64) (source, error) {
	if !looksAccepted(picture) {
		return source{}, errFormat
	}
	if string(picture[4:8]) == "ftyp" && !slices.Contains(heifBrands, string(picture[8:12])) {
		copy(picture[8:12], "mif1")
	}
	if !slices.Contains(accepted, bimg.DetermineImageType(picture)) {
		return source{}, errFormat
	}
	if bimg.DetermineImageType(picture) == bimg.JPEG {
		if err := jpegComplete(picture); err != nil {
			return source{}, err
		}
	}
	meta, err := bimg.Metadata(picture)
	if err != nil {
		return source{}, fmt.Errorf("read the picture's header: %w", err)
	}
	w, h := meta.Size.Width, meta.Size.Height
	if w < 1 || h < 1 {
		return source{}, fmt.Errorf("the picture's header says %d x %d", w, h)
	}
	if int64(w) > maxPixels/int64(h) {
		return source{}, fmt.Errorf("%w: %d x %d", errTooManyPixels, w, h)
	}
	space := bimg.InterpretationSRGB
	if meta.Space == "cmyk" && meta.Profile {
		space = bimg.InterpretationCMYK // its profile is for inks: going to sRGB first would bypass it
	}
	return source{picture, w, h, meta.Orientation, meta.Alpha, space}, nil
}

// looksAccepted goes by the first bytes, so that bimg's detection of SVG, PDF and whatever ImageMagick reads
// never runs.
func looksAccepted(b []byte) bool {
	if len(b) < 12 {
		return false
	}
	return bytes.HasPrefix(b, []byte("\xff\xd8\xff")) || bytes.HasPrefix(b, []byte("\x89PNG")) ||
		bytes.HasPrefix(b, []byte("GIF8")) || (string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP") ||
		string(b[4:8]) == "ftyp"
}

// master is the upright sRGB picture, no larger than the largest preset, from which the variants are made.
type master struct {
	tiff []byte
	// width and height are the upright size of the original, so that every variant is rounded from it.
	width, height int
	// now is the size of tiff.
	nowWidth, nowHeight int
	alpha               bool
}

// master shrinks to the long edge, converts to sRGB and sets the picture upright, in this order: turning the
// small picture costs nothing.
func (s source) master(longEdge int) (master, error) {
	w, h := fit(s.width, s.height, longEdge)
	tiff, alpha, err := s.shrink(w, h)
	if err != nil {
		return master{}, fmt.Errorf("decode: %w", err)
	}
	m := master{tiff, s.width, s.height, w, h, alpha}
	turn, mirror := upright(s.orientation)
	if turn == bimg.D0 && !mirror {
		return m, nil
	}
	m.tiff, err = bimg.Resize(tiff, bimg.Options{Rotate: turn, Flip: mirror, NoAutoRotate: true, Type: bimg.TIFF})
	if err != nil {
		return master{}, fmt.Errorf("set upright: %w", err)
	}
	if turn == bimg.D90 || turn == bimg.D270 {
		m.width, m.height, m.nowWidth, m.nowHeight = m.height, m.width, m.nowHeight, m.nowWidth
	}
	return m, nil
}

// shrink decodes the picture to w x h as a TIFF in sRGB, and says whether it has any transparency.
func (s source) shrink(w, h int) ([]byte, bool, error) {
	if careful := s.alpha && int64(s.width)*int64(s.height) <= maxCarefulPixels; careful || narrow(s.width, s.height, w, h) {
		whole, err := s.toTIFF(0, 0)
		if err != nil {
			return nil, false, err
		}
		img, err := readTIFF(whole)
		if err != nil {
			return nil, false, err
		}
		opaque := img.Opaque()
		if !opaque || narrow(s.width, s.height, w, h) {
			tiff, err := writeTIFF(scale(img, w, h))
			return tiff, !opaque, err
		}
	}
	if w == s.width && h == s.height {
		w, h = 0, 0
	}
	tiff, err := s.toTIFF(w, h)
	return tiff, false, err
}

// toTIFF decodes to sRGB, shrunk to exactly w x h unless these are 0.
func (s source) toTIFF(w, h int) ([]byte, error) {
	return bimg.Resize(s.bytes, bimg.Options{
		Width: w, Height: h, NoAutoRotate: true, Interpretation: s.space, OutputICC: "srgb", Type: bimg.TIFF,
	})
}

// webp makes one variant.
func (m master) webp(p variantSpec) ([]byte, error) {
	w, h := fit(m.width, m.height, p.LongEdge)
	tiff := m.tiff
	options := bimg.Options{Quality: p.Quality, Type: bimg.WEBP, StripMetadata: true, NoAutoRotate: true}
	switch same := w == m.nowWidth && h == m.nowHeight; {
	case same:
	case m.alpha || narrow(m.nowWidth, m.nowHeight, w, h):
		img, err := readTIFF(tiff)
		if err != nil {
			return nil, err
		}
		if tiff, err = writeTIFF(scale(img, w, h)); err != nil {
			return nil, err
		}
	default:
		options.Width, options.Height = w, h
	}
	out, err := bimg.Resize(tiff, options)
	if err != nil {
		return nil, fmt.Errorf("encode %d: %w", p.LongEdge, err)
	}
	return strip(out)
}

// fit is the size that has the long edge, or the size itself when it is not larger.
func fit(w, h, longEdge int) (int, int) {
	long := max(w, h)
	if long <= longEdge {
		return w, h
	}
	scaled := func(side int) int { return max(1, (2*side*longEdge+long)/(2*long)) }
	return scaled(w), scaled(h)
}

// upright is what undoes an EXIF orientation: a turn clockwise, then a mirror image left to right.
func upright(orientation int) (turn bimg.Angle, mirror bool) {
	switch orientation {
	case 2:
		return bimg.D0, true
	case 3:
		return bimg.D180, false
	case 4:
		return bimg.D180, true
	case 5:
		return bimg.D90, true
	case 6:
		return bimg.D90, false
	case 7:
		return bimg.D270, true
	case 8:
		return bimg.D270, false
	}
	return bimg.D0, false
}
