package mediatest

import (
	"image"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPicturesAreWhatTheySay(t *testing.T) {
	names := map[string]bool{}
	for _, f := range Pictures(t) {
		t.Run(f.Name, func(t *testing.T) {
			require.False(t, names[f.Name], "two of that name")
			names[f.Name] = true
			img := Reference(t, f, 10_000)
			require.Equal(t, image.Pt(f.Width, f.Height), img.Rect.Size())
			Looks(t, img, f.Spots)
		})
	}
}
