package mediatest

import (
	"image"
	"image/color"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A comparison that finds everything alike proves nothing: each must tell a wrong picture from a right one.
func TestComparisonsTellWrongFromRight(t *testing.T) {
	right := fourColours(160, 120)
	photo := photoLike(160, 120)
	require.Empty(t, missed(right, quarterSpots(0)))
	require.InDelta(t, 1, SSIM(t, photo, photo), 1e-9)
	require.True(t, math.IsInf(PSNR(t, photo, photo), 1))

	for o := 2; o <= 4; o++ {
		turned := stored(right, o)
		require.NotEmpty(t, missed(turned, quarterSpots(24)), "orientation %d", o)
		require.Less(t, SSIM(t, photo, stored(photo, o)), 0.7)
		require.Less(t, PSNR(t, photo, stored(photo, o)), 20.0)
	}
	p3 := spots(12, fromP3(Red), fromP3(Green), fromP3(Blue), fromP3(Yellow))
	require.Len(t, missed(right, p3), 3, "a profile that was ignored")
	seeThrough := quarters(160, 120, Red, Green, Clear, Yellow)
	require.Len(t, missed(seeThrough, quarterSpots(24)), 1)
	require.Len(t, missed(right, spots(8, Red, Green, Clear, Yellow)), 1, "opacity that came from nowhere")

	paler := image.NewNRGBA(photo.Rect)
	eachPixel(paler, func(x, y int) color.NRGBA {
		c := photo.NRGBAAt(x, y)
		return color.NRGBA{c.R/2 + 90, c.G/2 + 90, c.B/2 + 90, 255}
	})
	require.Less(t, PSNR(t, photo, paler), 25.0, "washed out")
}

func TestOrientationsUndoEachOther(t *testing.T) {
	img := photoLike(40, 20)
	inverse := map[int]int{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
	for o, back := range inverse {
		require.Equal(t, img, stored(stored(img, o), back), "orientation %d", o)
	}
}

func TestAnimatedWebPIsReadBack(t *testing.T) {
	f := AnimatedWebP(t, 128, 64)
	a := ReadWebP(t, f.Bytes)
	require.Equal(t, f.Delays, a.Delays)
	require.Equal(t, f.Plays, a.Plays)
	require.Empty(t, a.Extras)
	require.Len(t, a.Frames, len(f.FrameSpots))
	for i, frame := range a.Frames {
		Looks(t, frame, f.FrameSpots[i])
		require.NotEmpty(t, missed(frame, f.FrameSpots[(i+1)%3]), "the next frame looks like frame %d", i)
	}
	require.Equal(t, 250*time.Millisecond, a.Delays[1])
}

func TestMetadataOfWebPIsSeen(t *testing.T) {
	chunks := append(WebPChunks(t, AnimatedWebP(t, 64, 64).Bytes), Chunk{"EXIF", exif(6)})
	require.Equal(t, []string{"EXIF"}, ReadWebP(t, webpFile(chunks...)).Extras)
}

func TestPhotosAreNotTooSmall(t *testing.T) {
	photo := Photo(t, 4000, 3000, 6)
	require.Greater(t, len(photo), 3<<20)
	require.Less(t, len(photo), 12<<20)
	heic := PhotoHEIC(t, 4032, 3024)
	require.Greater(t, len(heic), 1<<20)
}
