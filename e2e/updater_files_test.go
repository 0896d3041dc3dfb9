package e2e

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/blake2b"
)

const (
	// blockBytes is how much of a file one entry of a block map is about. electron-builder cuts by content, from 8 to 32 KiB.
	blockBytes = 4 << 10
	// setupBytes is enough for more spots than electron-updater asks for in one request.
	setupBytes = 2048 * blockBytes
)

// noise is what cannot be compressed, always the same.
func noise(size int) []byte {
	out := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(out) // never fails
	return out
}

// setup is an installer for Windows: a program without code that carries data, as those of NSIS do. Of two releases every so
// manyth block differs.
func setup(release byte, every int) []byte {
	out := edited(noise(setupBytes), release, every)
	copy(out, pe())
	return out
}

func edited(content []byte, release byte, every int) []byte {
	for at := 0; at < len(content); at += every * blockBytes {
		content[min(at+blockBytes-1, len(content)-1)] = release
	}
	return content
}

// pe is the head of a program for 64 bits, with one section.
func pe() []byte {
	const headers, section = 0x400, 0x200
	h := make([]byte, headers+section)
	put16 := func(at int, v uint16) { binary.LittleEndian.PutUint16(h[at:], v) }
	put32 := func(at int, v uint32) { binary.LittleEndian.PutUint32(h[at:], v) }
	copy(h, "MZ")
	put32(0x3c, 0x80)
	copy(h[0x80:], "PE\x00\x00")
	put16(0x84, 0x8664) // machine
	put16(0x86, 1)      // sections
	put16(0x94, 240)    // size of what follows
	put16(0x96, 0x22)   // an executable that knows large addresses
	put16(0x98, 0x20b)  // PE32+
	put32(0x9c, section)
	put32(0xa8, 0x1000) // entry
	put32(0xac, 0x1000)
	binary.LittleEndian.PutUint64(h[0xb0:], 0x140000000)
	put32(0xb8, 0x1000) // alignment in memory
	put32(0xbc, 0x200)  // and in the file
	put16(0xc0, 6)
	put16(0xc8, 6)
	put32(0xd0, 0x2000) // size in memory
	put32(0xd4, headers)
	put16(0xdc, 2)   // with windows
	put32(0x104, 16) // directories
	copy(h[0x188:], ".text")
	put32(0x190, section)
	put32(0x194, 0x1000)
	put32(0x198, section)
	put32(0x19c, headers)
	put32(0x1ac, 0x60000020)
	h[headers] = 0xc3 // return
	return h
}

// blockMap describes a file as electron-builder does.
func blockMap(t *testing.T, content []byte) []byte {
	t.Helper()
	type file struct {
		Name      string   `json:"name"`
		Offset    int      `json:"offset"`
		Checksums []string `json:"checksums"`
		Sizes     []int    `json:"sizes"`
	}
	f := file{Name: "file"}
	for at := 0; at < len(content); at += blockBytes {
		block := content[at:min(at+blockBytes, len(content))]
		h, err := blake2b.New(18, nil)
		require.NoError(t, err)
		_, _ = h.Write(block) // never fails
		f.Checksums, f.Sizes = append(f.Checksums, base64.StdEncoding.EncodeToString(h.Sum(nil))), append(f.Sizes, len(block))
	}
	raw, err := json.Marshal(map[string]any{"version": "2", "files": []file{f}})
	require.NoError(t, err)
	return raw
}

// zippedBlockMap is a block map as it lies beside an installer.
func zippedBlockMap(t *testing.T, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	closed(t, gzip.NewWriter(&out), blockMap(t, content))
	return out.Bytes()
}

// appImage is a program for Linux with its block map and the length of that behind it.
func appImage(t *testing.T, release byte, every int) (content []byte, blockMapSize int) {
	t.Helper()
	content = edited(noise(setupBytes/4), release, every)
	copy(content, elf(len(content)))
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	require.NoError(t, err)
	closed(t, w, blockMap(t, content))
	return binary.BigEndian.AppendUint32(append(content, packed.Bytes()...), uint32(packed.Len())), packed.Len()
}

// elf is the head of a program for 64 bits, with one segment, and with the mark of AppImages of type 2.
func elf(size int) []byte {
	h := make([]byte, 64+56)
	copy(h, "\x7fELF\x02\x01\x01\x00AI\x02")
	le := binary.LittleEndian
	le.PutUint16(h[16:], 2)    // executable
	le.PutUint16(h[18:], 0x3e) // x86-64
	le.PutUint32(h[20:], 1)
	le.PutUint64(h[24:], 0x400078) // entry
	le.PutUint64(h[32:], 64)       // segments begin
	le.PutUint16(h[52:], 64)
	le.PutUint16(h[54:], 56)
	le.PutUint16(h[56:], 1)
	s := h[64:]
	le.PutUint32(s, 1)     // loaded
	le.PutUint32(s[4:], 5) // readable, executable
	le.PutUint64(s[16:], 0x400000)
	le.PutUint64(s[24:], 0x400000)
	le.PutUint64(s[32:], uint64(size))
	le.PutUint64(s[40:], uint64(size))
	le.PutUint64(s[48:], 0x1000)
	return h
}

// appZip is what an application for macOS is updated from.
func appZip(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, content := range map[string][]byte{
		"Demo.app/Contents/Info.plist": []byte(`<?xml version="1.0"?><plist version="1.0"><dict/></plist>`), "Demo.app/Contents/Resources/data": noise(1 << 20),
	} {
		w, err := z.Create(name)
		require.NoError(t, err)
		_, err = w.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return out.Bytes()
}

func closed(t *testing.T, w io.WriteCloser, content []byte) {
	t.Helper()
	_, err := w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
}

// base64SHA512 is the checksum as a manifest gives it.
func base64SHA512(content []byte) string {
	sum := sha512.Sum512(content)
	return base64.StdEncoding.EncodeToString(sum[:])
}
