package vips

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/h2non/bimg"
)

var (
	// errTooManyPixels and errTooManyFrames are the gates before decoding.
	errTooManyPixels = errors.New("more pixels than allowed")
	errTooManyFrames = errors.New("more frames than allowed")
	// errFormat refuses what is none of the accepted formats, before libvips guesses.
	errFormat = errors.New("not a picture of an accepted format")
)

// accepted are the formats of the category "image".
var accepted = []bimg.ImageType{bimg.JPEG, bimg.PNG, bimg.WEBP, bimg.GIF, bimg.HEIF, bimg.AVIF}

// heifBrands are the major brands of HEIF files that bimg knows. Others (heix, mif2, ...) are shown to it as
// mif1, which only says "a HEIF file"; libheif goes by the content.
var heifBrands = []string{"heic", "heis", "hevc", "mif1", "msf1", "avif"}

// source is a picture whose header has been read and found small enough.
type source struct {
	bytes         []byte
	width, height int
	frames        int
	orientation   int
	alpha         bool
	// space is the interpretation to shrink in. bimg converts to it before it looks at the colour profile.
	space bimg.Interpretation
}

// open reads the header. It may change picture.
func open(picture []byte, maxPixels int64, maxFrames int) (source, error) {
	if !looksAccepted(picture) {
		return source{}, errFormat
	}
	if string(picture[4:8]) == "ftyp" && !slices.Contains(heifBrands, string(picture[8:12])) {
		copy(picture[8:12], "mif1")
	}
	format := bimg.DetermineImageType(picture)
	if !slices.Contains(accepted, format) {
		return source{}, errFormat
	}
	switch format {
	case bimg.JPEG:
		if err := jpegComplete(picture); err != nil {
			return source{}, err
		}
		picture = leanJPEG(picture)
	case bimg.PNG:
		picture = leanPNG(picture)
	}
	meta, err := bimg.Metadata(picture)
	if err != nil {
		return source{}, fmt.Errorf("read the picture's header: %w", err)
	}
	s := source{picture, meta.Size.Width, meta.Size.Height, 1, meta.Orientation, meta.Alpha, bimg.InterpretationSRGB}
	if meta.Space == "cmyk" && meta.Profile {
		s.space = bimg.InterpretationCMYK // its profile is for inks: going to sRGB first would bypass it
	}
	switch format {
	case bimg.GIF, bimg.WEBP:
		if s.frames, err = countFrames(picture); err != nil {
			return source{}, fmt.Errorf("count the frames: %w", err)
		}
	case bimg.HEIF, bimg.AVIF:
		s.orientation = 0 // libheif has turned it already, whatever EXIF says
	}
	return s, s.gate(maxPixels, maxFrames)
}

func (s source) gate(maxPixels int64, maxFrames int) error {
	switch {
	case s.width < 1 || s.height < 1 || s.frames < 1:
		return fmt.Errorf("the picture's header says %d x %d x %d", s.width, s.height, s.frames)
	case s.frames > maxFrames:
		return fmt.Errorf("%w: %d", errTooManyFrames, s.frames)
	case int64(s.width) > maxPixels/int64(s.frames)/int64(s.height):
		return fmt.Errorf("%w: %d x %d x %d", errTooManyPixels, s.width, s.height, s.frames)
	}
	return nil
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
	pixels *pixels
	// width and height are the upright size of the original, so that every variant is rounded from it.
	width, height int
}

// master shrinks to the long edge, converts to sRGB and sets the picture upright, in this order: turning the
// small picture costs nothing.
func (s source) master(longEdge int) (master, error) {
	w, h := fit(s.width, s.height, longEdge)
	p, err := s.shrink(w, h)
	if err != nil {
		return master{}, fmt.Errorf("decode: %w", err)
	}
	m := master{p, s.width, s.height}
	quarters, mirror := upright(s.orientation)
	if quarters == 0 && !mirror {
		return m, nil
	}
	defer p.free()
	if m.pixels, err = p.upright(quarters, mirror); err != nil {
		return master{}, fmt.Errorf("set upright: %w", err)
	}
	if quarters%2 == 1 {
		m.width, m.height = m.height, m.width
	}
	return m, nil
}

// shrink decodes the picture to w x h in sRGB: by bimg, unless it is one of those that bimg gets wrong.
func (s source) shrink(w, h int) (*pixels, error) {
	if s.frames > 1 || s.alpha || narrow(s.width, s.height, w, h) {
		if w == s.width && h == s.height {
			w, h = 0, 0
		}
		return loadPixels(s.bytes, s.frames > 1, w, h)
	}
	options := bimg.Options{NoAutoRotate: true, Interpretation: s.space, OutputICC: "srgb", Type: bimg.TIFF}
	if w != s.width || h != s.height {
		options.Width, options.Height = w, h
	}
	tiff, err := bimg.Resize(s.bytes, options)
	if err != nil {
		return nil, err
	}
	return loadPixels(tiff, false, 0, 0)
}

// narrow reports that shrinking a picture to w x h brings its short side down to almost nothing, where bimg, which
// shrinks by whole numbers first, has none left.
func narrow(fromW, fromH, w, h int) bool {
	return (w != fromW || h != fromH) && min(w, h) < 2
}

// encoding is one file to be made, which may be what several outputs ask for: a small picture has the same size in
// all presets that are larger.
type encoding struct {
	width, height, quality, effort int
	format                         Format
	// outputs are the positions of those that get it.
	outputs []int
}

// plan sorts the encodings by their size.
func (m master) plan(variants []variant) []encoding {
	var all []encoding
	for i, v := range variants {
		w, h := fit(m.width, m.height, v.LongEdge)
		same := func(e encoding) bool {
			return e.width == w && e.height == h && e.quality == v.Quality && e.effort == v.Effort && e.format == v.Format
		}
		at := slices.IndexFunc(all, same)
		if at < 0 {
			at = len(all)
			all = append(all, encoding{w, h, v.Quality, v.Effort, v.Format, nil})
		}
		all[at].outputs = append(all[at].outputs, i)
	}
	slices.SortStableFunc(all, func(a, b encoding) int { return cmp.Compare(a.width*a.height, b.width*b.height) })
	return all
}

// encode makes one file. AVIF shows the first frame only: libvips cannot encode its animations.
func (m master) encode(e encoding) ([]byte, error) {
	p, err := m.sized(e)
	if err != nil {
		return nil, fmt.Errorf("scale to %d x %d: %w", e.width, e.height, err)
	}
	if p != m.pixels {
		defer p.free()
	}
	b, err := p.encode(e.format, e.quality, e.effort)
	if err != nil {
		return nil, fmt.Errorf("encode %d x %d: %w", e.width, e.height, err)
	}
	if e.format == FormatWebP {
		return strip(b)
	}
	return b, nil
}

// sized is the picture in the size of the encoding: the master itself where that fits, else a new one.
func (m master) sized(e encoding) (*pixels, error) {
	p := m.pixels
	if e.format == FormatAVIF && p.frames() > 1 {
		first, err := p.first()
		if err != nil {
			return nil, err
		}
		if first.width() == e.width && first.height() == e.height {
			return first, nil
		}
		defer first.free()
		p = first
	}
	if p.width() == e.width && p.height() == e.height {
		return p, nil
	}
	return p.scaled(e.width, e.height)
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

// upright is what undoes an EXIF orientation: quarter turns clockwise, then a mirror image left to right.
func upright(orientation int) (quarters int, mirror bool) {
	switch orientation {
	case 2:
		return 0, true
	case 3:
		return 2, false
	case 4:
		return 2, true
	case 5:
		return 1, true
	case 6:
		return 1, false
	case 7:
		return 3, true
	case 8:
		return 3, false
	}
	return 0, false
}
