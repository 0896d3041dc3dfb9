package picture_test

import (
	"bytes"
	"image"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/intake/picture"
)

func TestJPEG(t *testing.T) {
	good := jpegOf(t, noise(rand.New(rand.NewPCG(1, 1)), 40, 30), 80)
	sof := bytes.Index(good, []byte{0xff, 0xc0})
	sos := bytes.Index(good, []byte{0xff, 0xda})
	patch := func(off int, b ...byte) []byte {
		c := bytes.Clone(good)
		copy(c[off:], b)
		return c
	}
	tests := []struct {
		name string
		data []byte
		want picture.Problem
		end  int // from the start; 0: all of it
	}{
		{"good", good, 0, 0},
		{"fill bytes before a marker", insert(good, sof, []byte{0xff, 0xff, 0xff}), 0, 0},
		{"restart markers", insert(good, len(good)-2, []byte{0xff, 0xd0, 1, 2, 0xff, 0xd1}), 0, 0},
		{"EOI twice", join(good, "\xff\xd9"), 0, 0},
		{"preview behind", join(good, good), 0, 0},
		{"previews behind zeros", join(good, make([]byte, 5000), good, make([]byte, 3), good), 0, 0},
		{"zeros behind", join(good, make([]byte, 5000)), 0, len(good)},
		{"cut preview behind", join(good, good[:len(good)-1]), 0, len(good)},
		{"something behind", join(good, "PK\x03\x04"), 0, len(good)},
		{"height 0", patch(sof+5, 0, 0), picture.Malformed, 0},
		{"width 0", patch(sof+7, 0, 0), picture.Malformed, 0},
		{"65535 high", patch(sof+5, 0xff, 0xff), picture.TooLarge, 0},
		{"two frame headers", insert(good, sof, good[sof:sof+19]), picture.Malformed, 0},
		{"lossless", patch(sof+1, 0xc3), picture.Malformed, 0},
		{"9 components", patch(sof+9, 9), picture.Malformed, 0},
		{"length 1", patch(4, 0, 1), picture.Malformed, 0},
		{"garbage between segments", insert(good, sof, []byte{1, 2, 3}), picture.Malformed, 0},
		{"no scan", join(good[:sos], "\xff\xd9"), picture.Malformed, 0},
		{"scan before the frame", join(good[:2], good[sos:]), picture.Malformed, 0},
		{"nothing", nil, picture.Truncated, 0},
		{"not a JPEG", []byte("GIF89a......"), picture.Malformed, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			info, err := read(tt.data, "image/jpeg")
			require.Equal(t, tt.want, problem(t, err), "%v", err)
			if tt.want == 0 {
				if tt.end == 0 {
					tt.end = len(tt.data)
				}
				require.Equal(t, picture.Info{Width: 40, Height: 30, Frames: 1, End: int64(tt.end)}, info)
			}
		})
	}
}

func TestPNG(t *testing.T) {
	good := pngOf(t, image.NewRGBA(image.Rect(0, 0, 40, 30)))
	idat, iend := 33, len(good)-12
	ihdr := func(w, h int, rest ...byte) []byte { return chunk("IHDR", be32(w), be32(h), rest) }
	with := func(head []byte) []byte { return join(good[:8], head, good[33:]) }
	control := chunk("fcTL", be32(0), be32(40), be32(30), be32(0), be32(0), be32(0), 0, 0)
	badCRC := bytes.Clone(good)
	badCRC[len(good)-1] ^= 1
	badData := bytes.Clone(good)
	badData[idat+12] ^= 1
	tests := []struct {
		name   string
		data   []byte
		want   picture.Problem
		frames int64
	}{
		{"good", good, 0, 1},
		{"bad checksum at the end", badCRC, picture.Malformed, 0},
		{"bad data", badData, picture.Malformed, 0},
		{"4 billion wide", with(ihdr(1<<32-1, 1<<32-1, 8, 6, 0, 0, 0)), picture.TooLarge, 0},
		{"16000 x 16000", with(ihdr(16000, 16000, 8, 6, 0, 0, 0)), picture.TooManyPixels, 0},
		{"width 0", with(ihdr(0, 30, 8, 6, 0, 0, 0)), picture.Malformed, 0},
		{"depth 3", with(ihdr(40, 30, 3, 6, 0, 0, 0)), picture.Malformed, 0},
		{"colour 5", with(ihdr(40, 30, 8, 5, 0, 0, 0)), picture.Malformed, 0},
		{"palette missing", with(ihdr(40, 30, 8, 3, 0, 0, 0)), picture.Malformed, 0},
		{"interlace 2", with(ihdr(40, 30, 8, 6, 0, 0, 2)), picture.Malformed, 0},
		{"long IHDR", with(ihdr(40, 30, 8, 6, 0, 0, 0, 0)), picture.Malformed, 0},
		{"IHDR twice", insert(good, idat, good[8:33]), picture.Malformed, 0},
		{"chunk before IHDR", insert(good, 8, chunk("gAMA", be32(1))), picture.Malformed, 0},
		{"chunk of 4 GiB", insert(good, idat, join(be32(1<<32-1), "tEXt")), picture.Malformed, 0},
		{"chunk of 2 GiB", insert(good, idat, join(be32(1<<31-1), "tEXt")), picture.Truncated, 0},
		{"unknown critical chunk", insert(good, idat, chunk("EVIL", "x")), picture.Malformed, 0},
		{"unknown chunk", insert(good, idat, chunk("evIl", "x")), 0, 1},
		{"no chunk name", insert(good, idat, chunk("ev l", "x")), picture.Malformed, 0},
		{"no IDAT", join(good[:idat], good[iend:]), picture.Malformed, 0},
		{"IEND with content", join(good[:iend], chunk("IEND", "x")), picture.Malformed, 0},
		{"two frames", insert(good, idat, join(chunk("acTL", be32(2), be32(0)), control, control)), 0, 2},
		{"more frames than said", insert(good, idat, join(chunk("acTL", be32(1), be32(0)), control, control)), 0, 2},
		{"frame flood said", insert(good, idat, join(chunk("acTL", be32(1<<31), be32(0)), control)), picture.TooManyFrames, 0},
		{"frame flood", insert(good, idat, join(chunk("acTL", be32(1), be32(0)), bytes.Repeat(control, 501))), picture.TooManyFrames, 0},
		{"no frames", insert(good, idat, chunk("acTL", be32(0), be32(0))), picture.Malformed, 0},
		{"frames without control", insert(good, idat, chunk("acTL", be32(2), be32(0))), picture.Malformed, 0},
		{"frame outside", insert(good, idat, chunk("fcTL", be32(0), be32(40), be32(30), be32(1), be32(0), be32(0), 0, 0)), picture.Malformed, 0},
		{"frame far outside", insert(good, idat, chunk("fcTL", be32(0), be32(40), be32(30), be32(1<<32-40), be32(0), be32(0), 0, 0)), picture.Malformed, 0},
		{"trailer", join(good, "abc"), 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			info, err := read(tt.data, "image/png")
			require.Equal(t, tt.want, problem(t, err), "%v", err)
			require.Equal(t, tt.frames, info.Frames)
			if tt.name == "trailer" {
				require.Equal(t, int64(len(good)), info.End)
			}
		})
	}
}

func TestGIF(t *testing.T) {
	frame := func(x, y, w, h byte) []byte {
		return []byte{0x2c, x, 0, y, 0, w, 0, h, 0, 0, 2, 2, 0x4c, 1, 0}
	}
	head := join("GIF89a", 10, 0, 10, 0, 0x80, 0, 0, "rgbRGB")
	tests := []struct {
		name string
		data []byte
		want picture.Problem
		info picture.Info
	}{
		{"one frame", join(head, frame(0, 0, 10, 10), ";"), 0, picture.Info{Width: 10, Height: 10, Frames: 1, End: 35}},
		{"frame grows the canvas", join(head, frame(5, 5, 10, 20), ";"), 0, picture.Info{Width: 15, Height: 25, Frames: 1, End: 35}},
		{"no canvas", join("GIF89a\x00\x00\x00\x00\x00\x00\x00", frame(0, 0, 10, 10), ";"), 0, picture.Info{Width: 10, Height: 10, Frames: 1, End: 29}},
		{"trailer", join(head, frame(0, 0, 10, 10), ";more"), 0, picture.Info{Width: 10, Height: 10, Frames: 1, End: 35}},
		{"extension", join(head, "\x21\xf9\x04\x00\x00\x00\x00\x00", frame(0, 0, 1, 1), ";"), 0, picture.Info{Width: 10, Height: 10, Frames: 1, End: 43}},
		{"frame flood", join(head, bytes.Repeat(frame(0, 0, 1, 1), 501), ";"), picture.TooManyFrames, picture.Info{}},
		{"no frame", join(head, ";"), picture.Malformed, picture.Info{}},
		{"empty frame", join(head, frame(0, 0, 0, 1), ";"), picture.Malformed, picture.Info{}},
		{"no data", join(head, []byte{0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 0}, ";"), picture.Malformed, picture.Info{}},
		{"unknown block", join(head, "\x22", ";"), picture.Malformed, picture.Info{}},
		{"no trailer", join(head, frame(0, 0, 1, 1)), picture.Truncated, picture.Info{}},
		{"palette cut", head[:15], picture.Truncated, picture.Info{}},
		{"version", []byte("GIF88a\x01\x00\x01\x00\x00\x00\x00;"), picture.Malformed, picture.Info{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			info, err := read(tt.data, "image/gif")
			require.Equal(t, tt.want, problem(t, err), "%v", err)
			require.Equal(t, tt.info, info)
		})
	}
	huge := join("GIF89a\xff\xff\xff\xff\x00\x00\x00", frame(0, 0, 1, 1), ";")
	_, err := read(huge, "image/gif")
	require.Equal(t, picture.TooLarge, problem(t, err))
}

func TestWebP(t *testing.T) {
	le24 := func(v int) []byte { return le32(v)[:3] }
	vp8 := func(w, h int) []byte {
		return riffChunk("VP8 ", 0x10, 0, 0, "\x9d\x01\x2a", le32(w)[:2], le32(h)[:2])
	}
	vp8l := func(w, h int) []byte { return riffChunk("VP8L", 0x2f, le32(w-1|(h-1)<<14)) }
	vp8x := func(flags, w, h int) []byte { return riffChunk("VP8X", flags, 0, 0, 0, le24(w-1), le24(h-1)) }
	anmf := func(x, y, w, h int, body []byte) []byte {
		return riffChunk("ANMF", le24(x/2), le24(y/2), le24(w-1), le24(h-1), le24(100), 0, body)
	}
	tests := []struct {
		name   string
		data   []byte
		want   picture.Problem
		frames int64
	}{
		{"lossy", riff(vp8(40, 30)), 0, 1},
		{"lossless", riff(vp8l(40, 30)), 0, 1},
		{"extended", riff(vp8x(8, 40, 30), vp8l(40, 30), riffChunk("EXIF", "abc")), 0, 1},
		{"two frames", riff(vp8x(2, 40, 30), riffChunk("ANIM", "\x00\x00\x00\x00\x00\x00"), anmf(0, 0, 40, 30, vp8(40, 30)), anmf(10, 10, 5, 5, join(riffChunk("ALPH", "x"), vp8(5, 5)))), 0, 2},
		{"16384 wide lossless", riff(vp8l(16384, 1)), picture.TooLarge, 0},
		{"canvas of 16 million", riff(vp8x(0, 1<<24, 1<<24), vp8l(40, 30)), picture.TooLarge, 0},
		{"picture larger than its canvas", riff(vp8x(0, 40, 30), vp8l(4000, 3000)), picture.Malformed, 0},
		{"frame outside the canvas", riff(vp8x(2, 40, 30), anmf(2, 0, 40, 30, vp8(40, 30))), picture.Malformed, 0},
		{"frame with a larger picture", riff(vp8x(2, 40, 30), anmf(0, 0, 4, 4, vp8(400, 400))), picture.Malformed, 0},
		{"frame without a picture", riff(vp8x(2, 40, 30), anmf(0, 0, 4, 4, nil)), picture.Malformed, 0},
		{"frame flood", riff(vp8x(2, 40, 30), bytes.Repeat(anmf(0, 0, 1, 1, vp8(1, 1)), 501)), picture.TooManyFrames, 0},
		{"animated without frames", riff(vp8x(2, 40, 30)), picture.Malformed, 0},
		{"frames and not animated", riff(vp8x(0, 40, 30), anmf(0, 0, 4, 4, vp8(4, 4))), picture.Malformed, 0},
		{"two pictures", riff(vp8(40, 30), vp8(40, 30)), picture.Malformed, 0},
		{"no picture", riff(), picture.Malformed, 0},
		{"VP8X late", riff(vp8(40, 30), vp8x(0, 40, 30)), picture.Malformed, 0},
		{"no key frame", riff(riffChunk("VP8 ", 1, 0, 0, "\x9d\x01\x2a", 40, 0, 30, 0)), picture.Malformed, 0},
		{"width 0", riff(vp8(0, 30)), picture.Malformed, 0},
		{"chunk too long", riff("VP8 ", le32(1<<32-1), "0123456789"), picture.Malformed, 0},
		{"file shorter than its header says", riff(vp8(40, 30))[:20], picture.Truncated, 0},
		{"RIFF of something else", join("RIFF", le32(4), "WAVE"), picture.Malformed, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			info, err := read(tt.data, "image/webp")
			require.Equal(t, tt.want, problem(t, err), "%v", err)
			require.Equal(t, tt.frames, info.Frames)
			if tt.want == 0 {
				require.Equal(t, [2]int64{40, 30}, [2]int64{info.Width, info.Height})
			}
		})
	}
}
