package intake

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
)

var pictureFiles = map[string]string{
	"baseline.jpg": "a.jpg", "progressive.jpg": "a.jpg", "anim.png": "a.png", "anim.gif": "a.gif", "lossy.webp": "a.webp",
	"lossless.webp": "a.webp", "anim.webp": "a.webp", "still.heic": "a.heic", "still.avif": "a.avif", "anim.avif": "a.avif",
}

// judgePicture runs the type rule, the image rule and the trailer rule.
func judgePicture(t testing.TB, name string, data []byte) (*Candidate, error) {
	c := mediaCandidate(t, name, data)
	for _, check := range []func(*Candidate) error{checkType, checkImage, checkTrailer} {
		if err := check(c); err != nil {
			return c, err
		}
	}
	return c, nil
}

func TestCheckImageFillsTheCandidate(t *testing.T) {
	for file, name := range pictureFiles {
		data := testdata(t, file)
		c, err := judgePicture(t, name, data)
		require.NoError(t, err, file)
		require.Equal(t, [2]int64{96, 64}, [2]int64{c.Width, c.Height}, file)
		require.Positive(t, c.Frames, file)
		require.Equal(t, int64(len(data)), c.imageEnd, file)
	}
}

// A picture that is cut anywhere is refused, by whichever of the rules.
func TestEveryCutPictureIsRefused(t *testing.T) {
	for file, name := range pictureFiles {
		data := testdata(t, file)
		for n := 1; n < len(data); n += 5 { // package picture tries every byte
			_, err := judgePicture(t, name, data[:n])
			require.NotEmpty(t, storage.CodeOf(err), "%s cut at %d: %v", file, n, err)
		}
	}
}

func TestCheckImageRefusals(t *testing.T) {
	encode := func(w, h int) []byte {
		var b bytes.Buffer
		require.NoError(t, png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))))
		return b.Bytes()
	}
	var j bytes.Buffer
	require.NoError(t, jpeg.Encode(&j, image.NewGray(image.Rect(0, 0, 8, 8)), nil))
	comment := func(text string) []byte {
		segment := append([]byte{0xff, 0xfe, 0, byte(len(text) + 2)}, text...)
		return append(append(bytes.Clone(j.Bytes()[:2]), segment...), j.Bytes()[2:]...)
	}
	broken := encode(10, 10)
	broken[40] ^= 1
	tests := []struct {
		name, file string
		data       []byte
		reason     string
		limit      int64
	}{
		{"too many pixels", "a.png", encode(1001, 1000), "image_too_many_pixels", 1_000_000},
		{"too wide", "a.png", encode(2001, 1), "image_too_large", 2000},
		{"too high", "a.png", encode(1, 2001), "image_too_large", 2000},
		{"cut", "a.jpg", j.Bytes()[:j.Len()-1], "image_truncated", 0},
		{"broken", "a.png", broken, "image_malformed", 0},
		{"php in a comment", "a.jpg", comment("<?php"), "image_hidden_script", 0},
		{"script in a comment", "a.jpg", comment("<script>"), "image_hidden_script", 0},
		{"archive in a comment", "a.jpg", comment("Rar!\x1a\x07\x01\x00"), "image_hidden_archive", 0},
		{"words in a comment", "a.jpg", comment("a day at the sea"), "", 0},
		{"exactly as many pixels", "a.png", encode(1000, 1000), "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := judgePicture(t, tt.file, tt.data)
			if tt.reason == "" {
				require.NoError(t, err)
				return
			}
			refusal := requireRefusal(t, err, storage.CodeContentUnsafe, tt.reason)
			require.NotEmpty(t, refusal.Reason.Chinese)
			if tt.limit > 0 {
				require.Equal(t, tt.limit, refusal.Details["limit"])
				require.Positive(t, refusal.Details["width"])
				require.Positive(t, refusal.Details["height"])
				require.Equal(t, int64(1), refusal.Details["frames"])
			}
		})
	}
	c := mediaCandidate(t, "a.gif", testdata(t, "anim.gif"))
	c.Policy.Limits.MaxFrames = 4
	require.NoError(t, checkType(c))
	refusal := requireRefusal(t, checkImage(c), storage.CodeContentUnsafe, "image_too_many_frames")
	require.Equal(t, int64(4), refusal.Details["limit"])
}

func TestCheckImageLeavesOthersAlone(t *testing.T) {
	c := mediaCandidate(t, "a.pdf", []byte("%PDF-1.4"))
	require.NoError(t, checkType(c))
	require.NoError(t, checkImage(c))
	require.NoError(t, checkTrailer(c))
}

func TestCheckImageFailsClosedOnUnknownFormats(t *testing.T) {
	c := mediaCandidate(t, "a.jpg", testdata(t, "baseline.jpg"))
	c.MediaType = "image/bmp"
	requireRefusal(t, checkImage(c), storage.CodeTypeNotAllowed, "")
}

type failingDisk struct{}

func (failingDisk) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

func TestDiskTroubleIsNoRefusal(t *testing.T) {
	for file, name := range pictureFiles {
		c := mediaCandidate(t, name, testdata(t, file))
		require.NoError(t, checkType(c))
		c.Body = failingDisk{}
		for _, check := range []func(*Candidate) error{checkImage, checkTrailer} {
			err := check(c)
			require.True(t, errors.Is(err, io.ErrClosedPipe), "%v", err)
			require.Empty(t, storage.CodeOf(err))
		}
	}
}
