package ffmpeg

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/worker/tools/sandbox"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.ChildCommand {
		os.Exit(sandbox.Main(os.Args[2:], nil))
	}
	os.Exit(m.Run())
}

// small is a preset that spares the encoder where the size does not matter.
var small = Preset{Name: "small", Codec: H264, LongEdge: 320, Speed: "superfast"}

var full = Preset{Name: "full", Codec: H264, LongEdge: 1920, Speed: "superfast"}

func runner(t testing.TB, c Config) *Runner {
	t.Helper()
	if c.TempDir == "" {
		c.TempDir = t.TempDir()
	}
	c.Require = true
	r, err := NewRunner(c)
	require.NoError(t, err)
	t.Cleanup(func() {
		left, err := os.ReadDir(c.TempDir)
		require.NoError(t, err)
		require.Empty(t, left, "something was left behind")
	})
	return r
}

// clip makes a file with plain ffmpeg; args are those between the global options and the file.
func clip(t testing.TB, name, args string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	byHand(t, append(strings.Fields(args), path)...)
	return path
}

func byHand(t testing.TB, args ...string) {
	t.Helper()
	out, err := exec.Command("ffmpeg", append([]string{"-hide_banner", "-nostdin", "-loglevel", "error", "-y"}, args...)...).CombinedOutput()
	require.NoError(t, err, "%s: %s", args, out)
}

func open(t testing.TB, r *Runner, path string) *Video {
	t.Helper()
	v, err := tryOpen(r, path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	return v
}

func tryOpen(r *Runner, path string) (*Video, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return r.Open(context.Background(), f)
}

// made is a variant on disk with what plain ffprobe says of it.
type made struct {
	Output
	path   string
	probed map[string]any
	video  map[string]any
	audio  map[string]any
}

// transcode makes a variant, and checks what holds for all.
func transcode(t testing.TB, v *Video, p Preset) made {
	t.Helper()
	var shares []float64
	out, err := v.Transcode(context.Background(), p, func(s float64) { shares = append(shares, s) })
	require.NoError(t, err)
	require.NotEmpty(t, shares)
	require.IsIncreasing(t, append([]float64{-1}, shares...))
	require.Equal(t, 1.0, shares[len(shares)-1])
	return keep(t, out)
}

// fps is the mean rate of the picture, frames a second.
func (m made) fps(t testing.TB) float64 {
	t.Helper()
	rate, err := frameRate(m.video["avg_frame_rate"].(string))
	require.NoError(t, err)
	return rate
}

func keep(t testing.TB, out Output) made {
	t.Helper()
	m := made{Output: out, path: filepath.Join(t.TempDir(), "out.mp4")}
	b, err := os.ReadFile("/proc/self/fd/" + strconv.Itoa(int(out.File.Fd())))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(m.path, b, 0o600))
	require.NoError(t, out.File.Close())
	require.EqualValues(t, len(b), out.Size)
	require.Less(t, bytes.Index(b, []byte("moov")), bytes.Index(b, []byte("mdat")))
	for _, word := range []string{"S3CRET", "Lavf", "x264 - core", "\xa9xyz", "+48.1"} {
		require.False(t, bytes.Contains(b, []byte(word)), "%q is in the variant", word)
	}
	m.probed = probeByHand(t, m.path)
	for _, s := range m.probed["streams"].([]any) {
		s := s.(map[string]any)
		switch s["codec_type"] {
		case "video":
			require.Nil(t, m.video)
			m.video = s
		case "audio":
			require.Nil(t, m.audio)
			m.audio = s
		default:
			t.Fatalf("a stream of type %v", s["codec_type"])
		}
	}
	require.Equal(t, "yuv420p", m.video["pix_fmt"])
	require.EqualValues(t, out.Width, m.video["width"])
	require.EqualValues(t, out.Height, m.video["height"])
	require.Empty(t, m.video["side_data_list"])
	require.Empty(t, m.probed["chapters"])
	return m
}

func probeByHand(t testing.TB, path string) map[string]any {
	t.Helper()
	text, err := exec.Command("ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", "-show_chapters", path).Output()
	require.NoError(t, err)
	var v map[string]any
	require.NoError(t, json.Unmarshal(text, &v))
	return v
}

// frame is the picture at a time, by plain ffmpeg with the filter; "null" for none.
func frame(t testing.TB, path, at, filter string) image.Image {
	t.Helper()
	to := filepath.Join(t.TempDir(), "frame.png")
	byHand(t, "-ss", at, "-i", path, "-vf", filter, "-frames:v", "1", "-pix_fmt", "rgb24", to)
	return readPNG(t, to)
}

func readPNG(t testing.TB, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	return decodePNG(t, f)
}

func decodePNG(t testing.TB, r io.Reader) image.Image {
	t.Helper()
	img, err := png.Decode(r)
	require.NoError(t, err)
	return img
}

// withMatrix puts a display matrix into the only track's header.
func withMatrix(t testing.TB, mov []byte, m [4]int32) []byte {
	t.Helper()
	at := bytes.Index(mov, []byte("tkhd"))
	require.Positive(t, at)
	out := bytes.Clone(mov)
	for i, n := range []int32{m[0] << 16, m[1] << 16, 0, m[2] << 16, m[3] << 16, 0} {
		binary.BigEndian.PutUint32(out[at+44+4*i:], uint32(n))
	}
	return out
}

// near requires a colour at a place given in parts of the sides.
func near(t testing.TB, img image.Image, x, y float64, want color.RGBA, tolerance int) {
	t.Helper()
	b := img.Bounds()
	r, g, bl, _ := img.At(int(x*float64(b.Dx())), int(y*float64(b.Dy()))).RGBA()
	for _, c := range [][2]int{{int(r >> 8), int(want.R)}, {int(g >> 8), int(want.G)}, {int(bl >> 8), int(want.B)}} {
		require.InDelta(t, c[1], c[0], float64(tolerance), "at %v, %v: %d %d %d, want %v", x, y, r>>8, g>>8, bl>>8, want)
	}
}

// alike requires that two pictures of one size differ little on average, 0 to 255.
func alike(t testing.TB, a, b image.Image, most float64) {
	t.Helper()
	require.Equal(t, a.Bounds().Size(), b.Bounds().Size())
	var sum, n float64
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			r1, g1, b1, _ := a.At(x, y).RGBA()
			r2, g2, b2, _ := b.At(x, y).RGBA()
			for _, d := range []int{int(r1>>8) - int(r2>>8), int(g1>>8) - int(g2>>8), int(b1>>8) - int(b2>>8)} {
				sum, n = sum+float64(max(d, -d)), n+1
			}
		}
	}
	require.Less(t, sum/n, most, "mean difference")
}

func unplayable(t testing.TB, err error, reason storage.Reason) {
	t.Helper()
	require.ErrorIs(t, err, ErrUnplayable)
	u, ok := errors.AsType[*Unplayable](err)
	require.True(t, ok)
	require.Equal(t, reason.Slug, u.Reason.Slug, "%v", err)
}
