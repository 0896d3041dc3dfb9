package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"slices"

	"gatehouse/storage"
)

// container is a family of files, named like the only demuxer that may read it.
type container string

const (
	isoMedia container = "mov"
	matroska container = "matroska"
)

// headBytes is how much of a file recognise looks at.
const headBytes = 16

// recognise tells the container by the first bytes, because ffmpeg's own guess can be led to demuxers that open
// other files.
func recognise(head []byte) (container, error) {
	if bytes.HasPrefix(head, []byte{0x1a, 0x45, 0xdf, 0xa3}) {
		return matroska, nil
	}
	// QuickTime files of old and of some cameras have no ftyp and begin with a bare atom.
	if len(head) == headBytes && slices.Contains([]string{"ftyp", "moov", "mdat", "wide", "free", "skip", "pnot"}, string(head[4:8])) {
		if size := binary.BigEndian.Uint32(head); size <= 1 || size >= 8 {
			return isoMedia, nil
		}
	}
	return "", &Unplayable{storage.ReasonVideoFormat, "no ISO media, QuickTime or Matroska file"}
}
