package vips

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/color/palette"
	"image/draw"
	"image/gif"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/worker/tools/sandbox"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.ChildCommand {
		os.Exit(sandbox.Main(os.Args[2:], children))
	}
	os.Exit(m.Run())
}

var usual = []Preset{{"w2000", 2000, 85, 4, FormatWebP}, {"w1280", 1280, 85, 2, FormatWebP}, {"w640", 640, 85, 2, FormatWebP}, {"w320", 320, 85, 2, FormatWebP}}

// small spares the encoder where the sizes do not matter.
var small = []Preset{{"w160", 160, 85, 4, FormatWebP}}

func runner(t testing.TB, c Config) *Runner {
	t.Helper()
	if c.TempDir == "" {
		c.TempDir = t.TempDir()
	}
	r, err := NewRunner(c)
	require.NoError(t, err)
	t.Cleanup(func() {
		r.Close()
		left, err := os.ReadDir(c.TempDir)
		require.NoError(t, err)
		require.Empty(t, left, "something was left behind")
	})
	return r
}

func webps(t testing.TB, r *Runner, picture []byte, presets ...Preset) []Output {
	t.Helper()
	out, err := r.WebPs(context.Background(), Picture{Bytes: bytes.NewReader(picture)}, presets)
	require.NoError(t, err)
	require.Len(t, out, len(presets))
	t.Cleanup(func() { require.NoError(t, CloseAll(out)) })
	return out
}

func TestSizes(t *testing.T) {
	r := runner(t, Config{})
	for _, row := range []struct {
		w, h int
		want [4]image.Point
	}{
		{2400, 1600, [4]image.Point{{2000, 1333}, {1280, 853}, {640, 427}, {320, 213}}},
		{1600, 2400, [4]image.Point{{1333, 2000}, {853, 1280}, {427, 640}, {213, 320}}},
		{2000, 500, [4]image.Point{{2000, 500}, {1280, 320}, {640, 160}, {320, 80}}},
		{700, 500, [4]image.Point{{700, 500}, {700, 500}, {640, 457}, {320, 229}}},
		{321, 100, [4]image.Point{{321, 100}, {321, 100}, {321, 100}, {320, 100}}},
		{100, 60, [4]image.Point{{100, 60}, {100, 60}, {100, 60}, {100, 60}}},
		{1, 1, [4]image.Point{{1, 1}, {1, 1}, {1, 1}, {1, 1}}},
		{5000, 1, [4]image.Point{{2000, 1}, {1280, 1}, {640, 1}, {320, 1}}},
		{3, 9000, [4]image.Point{{1, 2000}, {1, 1280}, {1, 640}, {1, 320}}},
		{10000, 20, [4]image.Point{{2000, 4}, {1280, 3}, {640, 1}, {320, 1}}},
	} {
		for format, picture := range map[string][]byte{
			"jpeg": asJPEG(t, corners(row.w, row.h)), "png": asPNG(t, corners(row.w, row.h)),
		} {
			t.Run(fmt.Sprintf("%s %dx%d", format, row.w, row.h), func(t *testing.T) {
				for i, o := range webps(t, r, picture, usual...) {
					require.Equal(t, usual[i].Name, o.Preset)
					require.Equal(t, row.want[i], image.Pt(o.Width, o.Height))
					img := decode(t, o)
					if min(o.Width, o.Height) > 8 {
						looks(t, img, 20, 20, red)
						looks(t, img, 80, 80, blue)
					}
					all, err := io.ReadAll(o.File)
					require.NoError(t, err)
					require.Len(t, all, int(o.Size))
					sum := sha256.Sum256(all)
					require.Equal(t, hex.EncodeToString(sum[:]), o.SHA256)
				}
			})
		}
	}
}

// The eight EXIF orientations: which stored corner is seen at the upper left and the upper right.
func TestOrientations(t *testing.T) {
	r := runner(t, Config{})
	upright := corners(900, 600)
	for orientation, seen := range map[uint16][4]color.NRGBA{ // clockwise from the upper left
		1: {red, green, blue, yellow},
		2: {green, red, yellow, blue},
		3: {blue, yellow, red, green},
		4: {yellow, blue, green, red},
		5: {red, yellow, blue, green},
		6: {yellow, red, green, blue},
		7: {blue, green, red, yellow},
		8: {green, blue, yellow, red},
	} {
		t.Run(fmt.Sprint(orientation), func(t *testing.T) {
			picture := withSegment(asJPEG(t, upright), 0xe1, exif(orientation))
			for _, o := range webps(t, r, picture, Preset{"large", 1000, 85, 4, FormatWebP}, Preset{"small", 320, 85, 2, FormatWebP}) {
				want := image.Pt(900, 600)
				if o.Preset == "small" {
					want = image.Pt(320, 213)
				}
				if orientation >= 5 {
					want.X, want.Y = want.Y, want.X
				}
				require.Equal(t, want, image.Pt(o.Width, o.Height))
				img := decode(t, o)
				for i, at := range []image.Point{{20, 20}, {80, 20}, {80, 80}, {20, 80}} {
					looks(t, img, at.X, at.Y, seen[i])
				}
			}
		})
	}
}

func TestMetadataIsGone(t *testing.T) {
	r := runner(t, Config{})
	photo := withSegment(asJPEG(t, noisy(400, 300)), 0xe1, exif(6))
	photo = withSegment(photo, 0xfe, []byte("taken at home"))
	photo = withSegment(photo, 0xe1, []byte("http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta>home</x:xmpmeta>"))
	require.Contains(t, string(photo), "Exif")
	drawing := withChunk(asPNG(t, noisy(400, 300)), "tEXt", []byte("Comment\x00taken at home"))
	for _, picture := range [][]byte{photo, drawing, converted(t, photo, ".webp", "copy")} {
		for _, o := range webps(t, r, picture, small...) {
			all, err := io.ReadAll(o.File)
			require.NoError(t, err)
			for _, trace := range []string{"Exif", "EXIF", "XMP", "ICCP", "GPS", "home"} {
				require.NotContains(t, string(all), trace)
			}
		}
	}
}

// Every kind of pixel comes out in the right colour.
func TestFormats(t *testing.T) {
	r := runner(t, Config{})
	plain := corners(400, 300)
	deep := image.NewNRGBA64(plain.Rect)
	draw.Draw(deep, deep.Rect, plain, image.Point{}, draw.Src)
	indexed := image.NewPaletted(plain.Rect, color.Palette{red, green, blue, yellow})
	draw.Draw(indexed, indexed.Rect, plain, image.Point{}, draw.Src)
	var still bytes.Buffer
	require.NoError(t, gif.Encode(&still, indexed, nil))
	jpg := asJPEG(t, plain)
	for name, picture := range map[string][]byte{
		"jpeg":        jpg,
		"png":         asPNG(t, plain),
		"16-bit png":  asPNG(t, deep),
		"palette png": asPNG(t, indexed),
		"gif":         still.Bytes(),
		"webp":        converted(t, jpg, ".webp", "copy"),
		"heic":        converted(t, jpg, ".heic", "heifsave"),
		"avif":        converted(t, jpg, ".avif", "heifsave", "--compression=av1", "--effort=0"),
	} {
		t.Run(name, func(t *testing.T) {
			for _, o := range webps(t, r, picture, small...) {
				img := decode(t, o)
				looks(t, img, 20, 20, red)
				looks(t, img, 80, 20, green)
				looks(t, img, 80, 80, blue)
				looks(t, img, 20, 80, yellow)
			}
		})
	}
}

// Pictures in other colour spaces come out in sRGB, in the colours that the vips program makes of them.
func TestColourSpaces(t *testing.T) {
	r := runner(t, Config{})
	jpg := asJPEG(t, corners(800, 600))
	wide := converted(t, jpg, ".jpg", "icc_export", "--output-profile=p3")
	ink := converted(t, jpg, ".jpg", "icc_export", "--output-profile=cmyk")
	for name, picture := range map[string][]byte{"Display P3": wide, "CMYK": ink, "turned P3": withSegment(wide, 0xe1, exif(3))} {
		t.Run(name, func(t *testing.T) {
			reference, err := png.Decode(bytes.NewReader(converted(t, picture, ".png", "icc_transform", "srgb", "--embedded")))
			require.NoError(t, err)
			for _, o := range webps(t, r, picture, small...) {
				out := decode(t, o)
				for _, at := range []image.Point{{20, 20}, {80, 20}, {80, 80}, {20, 80}} {
					want := colourAt(reference, at.X*8, at.Y*6)
					if strings.HasPrefix(name, "turned") {
						at = image.Pt(100-at.X, 100-at.Y)
					}
					looks(t, out, at.X, at.Y, want)
				}
			}
		})
	}
	// A profile that does not fit the picture is no reason to lose it.
	grey := image.NewGray(image.Rect(0, 0, 800, 600))
	draw.Draw(grey, grey.Rect, image.NewUniform(color.Gray{100}), image.Point{}, draw.Src)
	for name, profile := range map[string][]byte{"colour": iccOf(t, wide), "nonsense": []byte("no profile at all")} {
		t.Run("grey with a profile of "+name, func(t *testing.T) {
			for _, o := range webps(t, r, withICC(asJPEG(t, grey), profile), small...) {
				looks(t, decode(t, o), 50, 50, color.NRGBA{100, 100, 100, 255})
			}
		})
	}
	t.Run("colour with a profile of ink", func(t *testing.T) {
		webps(t, r, withICC(jpg, iccOf(t, ink)[:60000]), small...)
	})
}

func TestGrey(t *testing.T) {
	r := runner(t, Config{})
	grey, deep := image.NewGray(image.Rect(0, 0, 800, 600)), image.NewGray16(image.Rect(0, 0, 800, 600))
	for i := range grey.Pix {
		grey.Pix[i] = 100
	}
	draw.Draw(deep, deep.Rect, grey, image.Point{}, draw.Src)
	for name, picture := range map[string][]byte{
		"png": asPNG(t, grey), "16-bit png": asPNG(t, deep), "jpeg": asJPEG(t, grey),
	} {
		t.Run(name, func(t *testing.T) {
			for _, o := range webps(t, r, picture, small...) {
				looks(t, decode(t, o), 50, 50, color.NRGBA{100, 100, 100, 255})
			}
		})
	}
}

// Alpha is kept, and colours that nobody can see do not bleed into those that one can: here the invisible half
// is red and must not tint the green edge.
func TestAlpha(t *testing.T) {
	r := runner(t, Config{})
	img := image.NewNRGBA(image.Rect(0, 0, 1500, 1000))
	for y := range 1000 {
		for x := range 1500 {
			c := color.NRGBA{0, 200, 0, 255}
			if (x/3)%2 == 0 {
				c = color.NRGBA{255, 0, 0, 0}
			}
			if x < 300 {
				c = color.NRGBA{0, 0, 200, 128}
			}
			img.SetNRGBA(x, y, c)
		}
	}
	indexed := image.NewPaletted(image.Rect(0, 0, 800, 600), append(color.Palette{color.NRGBA{}}, palette.WebSafe...))
	draw.Draw(indexed, image.Rect(400, 0, 800, 600), image.NewUniform(color.NRGBA{0, 204, 0, 255}), image.Point{}, draw.Src)

	for _, o := range webps(t, r, asPNG(t, img), Preset{"w640", 640, 85, 4, FormatWebP}, Preset{"w100", 100, 100, 4, FormatWebP}) {
		out := decode(t, o)
		looks(t, out, 10, 50, color.NRGBA{0, 0, 200, 128})
		for x := 30; x < 95; x++ {
			c := colourAt(out, o.Width*x/100, o.Height/2)
			require.True(t, c.A < 16 || c.R < 40, "an invisible colour has bled at %d%% of %s: %v", x, o.Preset, c)
		}
	}
	for _, o := range webps(t, r, asPNG(t, indexed), small...) {
		out := decode(t, o)
		require.Zero(t, colourAt(out, o.Width/4, o.Height/2).A)
		looks(t, out, 75, 50, color.NRGBA{0, 204, 0, 255})
	}
}

// What encoders are known to leave out or add is not taken for damage.
func TestHarmlessFlaws(t *testing.T) {
	r := runner(t, Config{})
	jpg := asJPEG(t, corners(400, 300))
	var g bytes.Buffer
	require.NoError(t, gif.Encode(&g, corners(400, 300), nil))
	for name, picture := range map[string][]byte{
		"bytes behind a jpeg":      append(bytes.Clone(jpg), bytes.Repeat([]byte{0xff, 0xe0}, 500)...),
		"bytes behind a png":       append(asPNG(t, corners(400, 300)), "and more"...),
		"a gif without its end":    g.Bytes()[:g.Len()-1],
		"fill bytes before an end": append(bytes.Clone(jpg[:len(jpg)-2]), 0xff, 0xff, 0xff, 0xd9),
	} {
		t.Run(name, func(t *testing.T) { looks(t, decode(t, webps(t, r, picture, small[0])[0]), 20, 20, red) })
	}
}

func TestHEIFBrands(t *testing.T) {
	r := runner(t, Config{})
	heic := converted(t, asJPEG(t, corners(400, 300)), ".heic", "heifsave")
	for _, brand := range []string{"heic", "heix", "mif1", "mif2", "hevx"} {
		copy(heic[8:12], brand)
		for _, o := range webps(t, r, heic, small...) {
			looks(t, decode(t, o), 20, 20, red)
		}
	}
}

func reason(t *testing.T, err error) string {
	t.Helper()
	require.ErrorIs(t, err, ErrUndecodable)
	u, ok := errors.AsType[*Undecodable](err)
	require.True(t, ok)
	require.NotEmpty(t, u.Reason.Chinese)
	return u.Reason.Slug
}

func TestDamagedPictures(t *testing.T) {
	r := runner(t, Config{})
	whole := asJPEG(t, noisy(350, 250))
	var g bytes.Buffer
	require.NoError(t, gif.Encode(&g, noisy(300, 200), nil))
	pictures := map[string][]byte{
		"empty": {}, "one byte": {0xff}, "text": []byte("this is not a picture, whatever its name"),
		"random": bytes.Repeat([]byte{7, 1, 99, 3}, 5000), "svg": []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>`),
		"pdf": []byte("%PDF-1.4 and so on and on"), "tiff": converted(t, whole, ".tif", "copy"),
		"only a start": []byte("\xff\xd8\xff\xe0 and then nothing"),
	}
	for name, picture := range map[string][]byte{
		"jpeg": whole, "png": asPNG(t, noisy(300, 200)), "gif": g.Bytes(), "webp": converted(t, whole, ".webp", "copy"),
		"heic": converted(t, whole, ".heic", "heifsave"), "avif": converted(t, whole, ".avif", "heifsave", "--compression=av1", "--effort=0"),
	} {
		pictures["a third of "+name] = picture[:len(picture)/3]
		pictures["nine tenths of "+name] = picture[:len(picture)*9/10]
		broken := append(bytes.Clone(picture[:16]), bytes.Repeat([]byte{0x5a}, 4000)...)
		pictures["nonsense behind the start of "+name] = broken
	}
	for name, picture := range pictures {
		t.Run(name, func(t *testing.T) {
			out, err := r.WebPs(context.Background(), Picture{Bytes: bytes.NewReader(picture)}, small)
			require.Equal(t, storage.ReasonPictureDamaged.Slug, reason(t, err))
			require.Nil(t, out)
		})
	}
}

// A flood of pixels is refused by the caller's word without a child, and by the header in the child.
func TestPixelFlood(t *testing.T) {
	r := runner(t, Config{MaxPixels: 1_000_000})
	flood := Picture{Bytes: iotest.ErrReader(errors.New("must not be read")), Width: 1000, Height: 500, Frames: 3}
	_, err := r.WebPs(context.Background(), flood, small)
	require.Equal(t, storage.ReasonPictureTooManyPixels.Slug, reason(t, err))
	flood = Picture{Bytes: flood.Bytes, Width: 1 << 40, Height: 1 << 40}
	_, err = r.WebPs(context.Background(), flood, small)
	require.Equal(t, storage.ReasonPictureTooManyPixels.Slug, reason(t, err))

	_, err = r.WebPs(context.Background(), Picture{Bytes: bytes.NewReader(asPNG(t, image.NewGray(image.Rect(0, 0, 1001, 1000))))}, small)
	require.Equal(t, storage.ReasonPictureTooManyPixels.Slug, reason(t, err))
	webps(t, r, asPNG(t, image.NewGray(image.Rect(0, 0, 1000, 1000))), small...)

	// 1.2 gigapixels in a small file: the header alone ends it.
	huge := asPNG(t, image.NewGray(image.Rect(0, 0, 10, 10)))
	copy(huge[16:24], []byte{0, 0, 0x8c, 0xa0, 0, 0, 0x84, 0xd0})
	huge = append(huge[:29:29], withChunk(huge[:33], "zzzz", nil)[29:]...)
	_, err = runner(t, Config{}).WebPs(context.Background(), Picture{Bytes: bytes.NewReader(huge)}, small)
	require.ErrorIs(t, err, ErrUndecodable)
}

// fileInput is handed over as it is, and read from its middle when it stands there.
func TestFileInput(t *testing.T) {
	r := runner(t, Config{})
	path := filepath.Join(t.TempDir(), "p.jpg")
	require.NoError(t, os.WriteFile(path, append([]byte("12345"), asJPEG(t, corners(800, 600))...), 0o400))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	_, err = r.WebPs(context.Background(), Picture{Bytes: f}, small)
	require.ErrorIs(t, err, ErrUndecodable)
	at, err := f.Seek(0, io.SeekCurrent)
	require.NoError(t, err)
	require.Zero(t, at)
	_, err = f.Seek(5, io.SeekStart)
	require.NoError(t, err)
	out, err := r.WebPs(context.Background(), Picture{Bytes: f, Width: 800, Height: 600, Frames: 1}, small)
	require.NoError(t, err)
	require.NoError(t, CloseAll(out))
}

func TestReaderFails(t *testing.T) {
	r := runner(t, Config{})
	gone := errors.New("the store is gone")
	_, err := r.WebPs(context.Background(), Picture{Bytes: iotest.ErrReader(gone)}, small)
	require.ErrorIs(t, err, gone)
	require.NotErrorIs(t, err, ErrUndecodable)
	_, err = runner(t, Config{MaxBytes: 100}).WebPs(context.Background(), Picture{Bytes: bytes.NewReader(make([]byte, 101))}, small)
	require.Equal(t, storage.ReasonPictureTooCostly.Slug, reason(t, err))
}

func TestManyAtOnce(t *testing.T) {
	r := runner(t, Config{Concurrency: 8})
	picture := asJPEG(t, corners(1000, 700))
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			out, err := r.WebPs(context.Background(), Picture{Bytes: bytes.NewReader(picture)}, []Preset{{"w", 300 + i, 85, 4, FormatWebP}})
			if err != nil || out[0].Width != 300+i {
				t.Errorf("picture %d: %v", i, err)
				return
			}
			if err := CloseAll(out); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// A full queue does not hold a caller who has given up.
func TestWaitingForASlot(t *testing.T) {
	r := runner(t, Config{Concurrency: 1})
	r.pool.slots <- struct{}{}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(gone)
	_, err := r.WebPs(ctx, Picture{Bytes: strings.NewReader("x")}, small)
	require.ErrorIs(t, err, gone)
}

func TestImpossiblePresets(t *testing.T) {
	r := runner(t, Config{})
	for _, presets := range [][]Preset{nil, make([]Preset, 17), {{"a", 0, 85, 4, FormatWebP}}, {{"a", 16384, 85, 2, FormatWebP}}, {{"a", 100, 0, 2, FormatWebP}}, {{"a", 100, 101, 2, FormatWebP}}} {
		_, err := r.WebPs(context.Background(), Picture{Bytes: strings.NewReader("x")}, presets)
		require.Error(t, err)
	}
}

// The end of a JPEG is found or missed, never overrun.
func FuzzChildSide(f *testing.F) {
	f.Add([]byte("\xff\xd8\xff\xe0\x00\x04ab\xff\xda\x00\x02data\xff\x00\xff\xd3more\xff\xd9"))
	f.Add([]byte("\xff\xd8\xff\xe0\xff\xff"))
	f.Add([]byte("RIFF\x1a\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x18\x00\x00\x00\x00\x00\x00\x00\x00\x00EXIF\x01\x00\x00\x00a\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if jpegComplete(b) == nil {
			require.Contains(t, string(b), "\xff\xd9")
		}
	})
}

func FuzzPlainWebP(f *testing.F) {
	f.Add([]byte("RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"))
	f.Add([]byte("RIFF\x04\x00\x00\x00WEBP"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := plainWebP(io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b))))
		if err == nil {
			require.Positive(t, got.width)
			require.Positive(t, got.height)
			require.Positive(t, got.frames)
		}
	})
}
