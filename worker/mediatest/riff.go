package mediatest

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// Chunk is a chunk of a RIFF file, such as a WebP.
type Chunk struct {
	Name    string
	Content []byte
}

// webpFile makes a WebP of chunks.
func webpFile(chunks ...Chunk) []byte {
	out := []byte("RIFF\x00\x00\x00\x00WEBP")
	for _, c := range chunks {
		out = appendChunk(out, c)
	}
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out
}

func appendChunk(out []byte, c Chunk) []byte {
	out = append(out, c.Name...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(c.Content)))
	out = append(out, c.Content...)
	if len(c.Content)%2 == 1 {
		out = append(out, 0)
	}
	return out
}

// WebPChunks takes a WebP apart; a file that does not fit together fails the test.
func WebPChunks(t testing.TB, file []byte) []Chunk {
	t.Helper()
	require.Greater(t, len(file), 12)
	require.Equal(t, "RIFF", string(file[:4]))
	require.Equal(t, "WEBP", string(file[8:12]))
	require.EqualValues(t, len(file)-8, binary.LittleEndian.Uint32(file[4:]), "the length in the header of the file")
	return chunksOf(t, file[12:])
}

func chunksOf(t testing.TB, b []byte) []Chunk {
	t.Helper()
	var list []Chunk
	for len(b) > 0 {
		require.GreaterOrEqual(t, len(b), 8)
		size := int(binary.LittleEndian.Uint32(b[4:]))
		padded := size + size%2
		require.LessOrEqual(t, 8+padded, len(b), "chunk %q", b[:4])
		list = append(list, Chunk{string(b[:4]), b[8 : 8+size]})
		b = b[8+padded:]
	}
	return list
}

// uint24 is a number as WebP's animation chunks write them.
func uint24(n int) []byte { return []byte{byte(n), byte(n >> 8), byte(n >> 16)} }

func readUint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
