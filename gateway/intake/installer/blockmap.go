package installer

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
)

// MaxBlockmap is the most that a block map unpacks to: blocks have 8 to 32 KiB, so that one of 600 MiB has some 40,000 of 40
// bytes each. No file of a block map is larger packed.
const MaxBlockmap = 16 << 20

// checksumLen is that of a block: 18 bytes of BLAKE2b, as app-builder writes them.
const checksumLen = 18

// blockmap is what app-builder writes and electron-updater reads (builder-util-runtime, blockMapApi.ts).
type blockmap struct {
	Version string `json:"version"`
	Files   []struct {
		Name      string   `json:"name"`
		Offset    int64    `json:"offset"`
		Checksums []string `json:"checksums"`
		Sizes     []int64  `json:"sizes"`
	} `json:"files"`
}

// Blockmap demands a block map: packed JSON that a client can follow without stumbling. Whether it is that of a certain file
// is for whoever has both.
func Blockmap(r io.ReaderAt, size int64) error {
	return unpack(r, size, MaxBlockmap, func(plain io.Reader) error {
		var m blockmap
		d := json.NewDecoder(plain)
		err := d.Decode(&m)
		if err != nil && !isJSON(err) {
			return err // of the gzip stream
		}
		if err != nil || !m.valid() {
			return ErrContent
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return ErrContent
		}
		return nil
	})
}

func isJSON(err error) bool {
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, kind := errors.AsType[*json.UnmarshalTypeError](err)
	return syntax || kind || errors.Is(err, io.EOF)
}

func (m blockmap) valid() bool {
	if m.Version == "" || len(m.Files) == 0 {
		return false
	}
	for _, f := range m.Files {
		if f.Name == "" || f.Offset < 0 || len(f.Checksums) != len(f.Sizes) {
			return false
		}
		for i, sum := range f.Checksums {
			raw, err := base64.StdEncoding.DecodeString(sum)
			if err != nil || len(raw) != checksumLen || f.Sizes[i] <= 0 {
				return false
			}
		}
	}
	return true
}
