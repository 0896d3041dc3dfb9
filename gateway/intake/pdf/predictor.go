package pdf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// maxRow bounds a row of predicted data; object streams, if predicted at all, have rows of a few bytes.
const maxRow = 64 << 10

// unpredict undoes the PNG predictors (ISO 32000-1, 7.4.4.4). TIFF's predictor is for pictures only.
func unpredict(r io.Reader, params map[string]int64) (io.Reader, error) {
	predictor := params["Predictor"]
	if predictor <= 1 {
		return r, nil
	}
	columns, colors, bits := param(params, "Columns", 1), param(params, "Colors", 1), param(params, "BitsPerComponent", 8)
	if predictor < 10 || predictor > 15 || columns > maxRow || colors > 32 || bits > 16 || columns*colors*bits == 0 {
		return nil, fmt.Errorf("%w: predictor %d", errUnreadable, predictor)
	}
	row, pixel := (columns*colors*bits+7)/8, (colors*bits+7)/8
	if row > maxRow {
		return nil, errUnreadable
	}
	return &pngRows{
		r: bufio.NewReader(r), pixel: int(pixel),
		row: make([]byte, row), above: make([]byte, row),
	}, nil
}

func param(params map[string]int64, key string, otherwise int64) int64 {
	if v, ok := params[key]; ok {
		return v
	}
	return otherwise
}

// pngRows undoes one row after the other. The last row may be short.
type pngRows struct {
	r          *bufio.Reader
	pixel      int // bytes from a byte to its left neighbour
	row, above []byte
	ready      []byte // of row, not handed out yet
}

func (d *pngRows) Read(p []byte) (int, error) {
	if len(d.ready) == 0 {
		if err := d.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, d.ready)
	d.ready = d.ready[n:]
	return n, nil
}

func (d *pngRows) next() error {
	filter, err := d.r.ReadByte()
	if err != nil {
		return err
	}
	d.row, d.above = d.above, d.row
	n, err := io.ReadFull(d.r, d.row)
	if n == 0 || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	d.ready = d.row[:n]
	for i := range d.ready {
		var left, corner byte
		if i >= d.pixel {
			left, corner = d.row[i-d.pixel], d.above[i-d.pixel]
		}
		switch filter {
		case 0:
		case 1:
			d.row[i] += left
		case 2:
			d.row[i] += d.above[i]
		case 3:
			d.row[i] += byte((int(left) + int(d.above[i])) / 2)
		case 4:
			d.row[i] += paeth(left, d.above[i], corner)
		default:
			return errUnreadable
		}
	}
	return nil
}

// paeth is the predictor of the PNG specification, section 9.4.
func paeth(left, above, corner byte) byte {
	a, b, c := int(left), int(above), int(corner)
	p := a + b - c
	pa, pb, pc := abs(p-a), abs(p-b), abs(p-c)
	if pa <= pb && pa <= pc {
		return left
	}
	if pb <= pc {
		return above
	}
	return corner
}

func abs(n int) int { return max(n, -n) }
