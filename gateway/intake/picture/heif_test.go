package picture_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/intake/picture"
)

// heifOptions bends a well-formed HEIF. Zero values mean: as it should be.
type heifOptions struct {
	grid                   bool
	width, height          int // of the primary item
	gridWidth              int // inside the grid's data
	tiles                  int // references of the grid
	columns                int
	tileWidth              int
	offset, length         uint64 // of the primary's extent
	extraBoxes, extraProps int
	twoSizes               bool
	inIdat                 bool
}

// heif builds a picture of 100 x 50: one item, or a grid of 2 x 1 tiles of 50 x 50 with its data in idat.
func heif(o heifOptions) []byte {
	or := func(v, d int) int {
		if v != 0 {
			return v
		}
		return d
	}
	full := func(typ string, version int, body ...any) []byte {
		return box(typ, append([]any{version, 0, 0, 0}, body...)...)
	}
	infe := func(id int, typ string) []byte { return full("infe", 2, be16(id), be16(0), typ, 0) }
	ispe := func(w, h int) []byte { return full("ispe", 0, be32(w), be32(h)) }
	width, height := or(o.width, 100), or(o.height, 50)
	ftyp := box("ftyp", "heic", be32(0), "mif1heic")
	payload := bytes.Repeat([]byte("data"), 8)

	build := func(offset uint64) []byte {
		be64 := func(v uint64) []byte { return join(be32(int(v>>32)), be32(int(uint32(v)))) }
		loc := func(id, method int, offset, length uint64) []byte {
			return join(be16(id), be16(method), be16(0), be16(1), be64(offset), be64(length))
		}
		length := uint64(len(payload))
		if o.offset != 0 {
			offset = o.offset
		}
		if o.length != 0 {
			length = o.length
		}
		props := join(ispe(width, height), ispe(or(o.tileWidth, 50), 50))
		for range o.extraProps {
			props = append(props, box("colr")...)
		}
		assoc := join(be32(1), be16(1), 1, 0x81)
		infos := join(be16(1), infe(1, "hvc1"))
		iloc := join(0x88, 0x00, be16(1), loc(1, 0, offset, length))
		refs := []byte{}
		idat := []byte{}
		if o.twoSizes {
			assoc = join(be32(1), be16(1), 2, 0x81, 0x82)
		}
		if o.inIdat {
			iloc = join(0x88, 0x00, be16(1), loc(1, 1, o.offset, or64(o.length, 8)))
			idat = box("idat", make([]byte, 8))
		}
		if o.grid {
			assoc = join(be32(3), be16(1), 1, 0x81, be16(2), 1, 0x82, be16(3), 1, 0x82)
			infos = join(be16(3), infe(1, "grid"), infe(2, "hvc1"), infe(3, "hvc1"))
			iloc = join(0x88, 0x00, be16(3), loc(1, 1, 0, 8), loc(2, 0, offset, length), loc(3, 0, offset, length))
			n := or(o.tiles, 2)
			list := join(be16(1), be16(n))
			for i := range n {
				list = append(list, be16(2+i%2)...)
			}
			refs = full("iref", 0, box("dimg", list))
			idat = box("idat", 0, 0, 0, or(o.columns, 2)-1, be16(or(o.gridWidth, 100)), be16(50))
		}
		extra := bytes.Repeat(box("free"), o.extraBoxes)
		meta := full("meta", 0, full("hdlr", 0, be32(0), "pict", make([]byte, 13)), full("pitm", 0, be16(1)),
			full("iloc", 1, iloc), full("iinf", 0, infos), refs,
			box("iprp", box("ipco", props), full("ipma", 0, assoc)), idat, extra)
		return join(ftyp, meta, box("mdat", payload))
	}
	return build(uint64(len(build(0)) - len(payload)))
}

func or64(v, d uint64) uint64 {
	if v != 0 {
		return v
	}
	return d
}

func TestHEIF(t *testing.T) {
	tests := []struct {
		name string
		data []byte
		want picture.Problem
	}{
		{"one item", heif(heifOptions{}), 0},
		{"grid", heif(heifOptions{grid: true}), 0},
		{"item in idat", heif(heifOptions{inIdat: true}), 0},
		{"4 billion wide", heif(heifOptions{width: 1<<32 - 1}), picture.TooLarge},
		{"too many pixels", heif(heifOptions{width: 16000, height: 16000}), picture.TooManyPixels},
		{"two sizes", heif(heifOptions{twoSizes: true}), picture.Malformed},
		{"extent behind the file", heif(heifOptions{offset: 1 << 30}), picture.Truncated},
		{"extent past the file", heif(heifOptions{length: 1 << 30}), picture.Truncated},
		{"extent overflows", heif(heifOptions{offset: math.MaxUint64}), picture.Malformed},
		{"extent overflows by its length", heif(heifOptions{length: math.MaxInt64}), picture.Malformed},
		{"extent outside idat", heif(heifOptions{inIdat: true, length: 9}), picture.Malformed},
		{"grid larger than its item", heif(heifOptions{grid: true, gridWidth: 60000}), picture.Malformed},
		{"grid with missing tiles", heif(heifOptions{grid: true, tiles: 1}), picture.Malformed},
		{"grid with tiles to spare", heif(heifOptions{grid: true, columns: 200, tiles: 200}), picture.Malformed},
		{"tiles too small", heif(heifOptions{grid: true, tileWidth: 49}), picture.Malformed},
		{"tiles too large", heif(heifOptions{grid: true, tileWidth: 100}), picture.Malformed},
		{"tiles of 20000", heif(heifOptions{grid: true, tileWidth: 20000}), picture.TooLarge},
		{"box flood", heif(heifOptions{extraBoxes: 20000}), picture.Malformed},
		{"property flood", heif(heifOptions{extraProps: 5000}), picture.Malformed},
		{"two meta boxes", join(heif(heifOptions{}), heif(heifOptions{})[24:]), picture.Malformed},
		{"only ftyp", box("ftyp", "heic", be32(0), "mif1heic"), picture.Malformed},
		{"no ftyp", heif(heifOptions{})[24:], picture.Malformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			info, err := read(tt.data, "image/heic")
			require.Equal(t, tt.want, problem(t, err), "%v", err)
			if tt.want == 0 {
				require.Equal(t, picture.Info{Width: 100, Height: 50, Frames: 1, End: int64(len(tt.data))}, info)
			}
		})
	}
}

func TestHEIFEndsBeforeForeignBoxes(t *testing.T) {
	good := heif(heifOptions{})
	for name, rest := range map[string][]byte{
		"motion video": box("mpvd", "video"), "vendor data": box("sefd", "x"), "unknown": box("evil", "x"),
		"no box": []byte("PK\x03\x04 and more"), "cut unknown": join(be32(1000), "evil"),
	} {
		info, err := read(join(good, rest), "image/heic")
		require.NoError(t, err, name)
		require.Equal(t, int64(len(good)), info.End, name)
	}
	_, err := read(join(good, be32(1000), "free"), "image/heic")
	require.Equal(t, picture.Truncated, problem(t, err))
}

func TestDeepBoxesCostNothing(t *testing.T) {
	deep := box("free")
	for range 3000 {
		deep = box("meta", be32(0), deep)
	}
	_, err := read(join(box("ftyp", "heic", be32(0), "mif1heic"), deep), "image/heic")
	require.Equal(t, picture.Malformed, problem(t, err))
}
