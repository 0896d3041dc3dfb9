//go:build !race

// What needs little memory is shown without the race detector, whose shadow memory counts against a child's limit.

package vips

import (
	"bytes"
	"context"
	"image"
	"testing"

	"github.com/stretchr/testify/require"
)

// Metadata that would take gigabytes or minutes does not get that far: the limits are those of a small picture.
func TestMemoryOfMetadataBombs(t *testing.T) {
	r := runner(t, Config{MemoryBytes: 300 << 20})
	for name, picture := range map[string][]byte{"PNG": textBomb(t), "JPEG": manySegments(asJPEG(t, corners(300, 300)))} {
		t.Run(name, func(t *testing.T) {
			out, err := r.WebPs(context.Background(), Picture{Bytes: bytes.NewReader(picture)}, small)
			require.NoError(t, err)
			looks(t, decode(t, out[0]), 20, 20, red)
			require.NoError(t, CloseAll(out))
		})
	}
}

// A picture that is large when it is decoded does not fit.
func TestMemoryOfPictures(t *testing.T) {
	photo := asPNG(t, image.NewGray(image.Rect(0, 0, 9000, 9000)))
	run := func(change func(*Config)) error {
		c := Config{}
		change(&c)
		_, err := runner(t, c).WebPs(context.Background(), Picture{Bytes: bytes.NewReader(photo)},
			[]Preset{{"whole", 9000, 85, 0, FormatWebP}})
		return err
	}
	require.ErrorIs(t, run(func(c *Config) { c.MemoryBytes = 300 << 20 }), ErrUndecodable)
}
