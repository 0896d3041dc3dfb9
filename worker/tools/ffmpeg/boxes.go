package ffmpeg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// kept are the boxes that a variant consists of, by the path of their parents; moov's own children have "moov".
// What else the muxer copies from the upload (matrices, mastering data, captions, tags) is overwritten.
var kept = map[string]string{
	"moov":                               "mvhd trak",
	"moov/trak":                          "tkhd edts mdia",
	"moov/trak/mdia":                     "mdhd hdlr minf",
	"moov/trak/mdia/minf":                "vmhd smhd dinf stbl",
	"moov/trak/mdia/minf/stbl":           "stsd stts stss ctts cslg stsc stsz stco co64 sgpd sbgp sdtp",
	"moov/trak/mdia/minf/stbl/stsd":      "avc1 hvc1 mp4a",
	"moov/trak/mdia/minf/stbl/stsd/avc1": "avcC pasp colr btrt",
	"moov/trak/mdia/minf/stbl/stsd/hvc1": "hvcC pasp colr btrt",
	"moov/trak/mdia/minf/stbl/stsd/mp4a": "esds btrt",
}

// headerBytes are what parents hold before their children (ISO 14496-12 and -14).
var headerBytes = map[string]int64{"stsd": 8, "avc1": 78, "hvc1": 78, "mp4a": 28}

// maxBoxes bounds the walk; a variant has some forty.
const maxBoxes = 1000

// mp4 is a file that tidy makes anonymous.
type mp4 interface {
	io.ReaderAt
	io.WriterAt
}

// errBoxes says that a result is no MP4 as we want it: at our end of the pipe, but made from foreign bytes.
var errBoxes = errors.New("unusual boxes")

// tidy requires an MP4 whose index comes before its data, and leaves in the index nothing but what plays the tracks:
// other boxes become free space, the encoder's name is blanked, and the picture is upright.
func tidy(f mp4, size int64) error {
	t := &tidier{file: f}
	var seen []string
	err := t.each(0, size, func(b mp4Box) error {
		seen = append(seen, b.name)
		if b.name == "moov" {
			return t.inside("moov", b)
		}
		return nil
	})
	if err != nil {
		return err
	}
	seen = slices.DeleteFunc(seen, func(name string) bool { return name == "free" })
	if !slices.Equal(seen, []string{"ftyp", "moov", "mdat"}) {
		return fmt.Errorf("%w: %q", errBoxes, seen[:min(len(seen), 8)])
	}
	return nil
}

// mp4Box is one box: where it is, where its content begins, and where it ends.
type mp4Box struct {
	name          string
	at, body, end int64
}

type tidier struct {
	file  mp4
	boxes int
}

// each calls visit for the boxes that fill a range.
func (t *tidier) each(from, to int64, visit func(mp4Box) error) error {
	for at := from; at < to; {
		var head [16]byte
		if n, err := t.file.ReadAt(head[:min(16, to-at)], at); n < 8 {
			return fmt.Errorf("%w: %d bytes behind the last (%w)", errBoxes, n, err)
		}
		size, body := int64(binary.BigEndian.Uint32(head[:4])), at+8
		if size == 1 {
			size, body = int64(binary.BigEndian.Uint64(head[8:])), at+16
		}
		if t.boxes++; size < body-at || size > to-at || t.boxes > maxBoxes {
			return fmt.Errorf("%w: one of %d bytes at %d", errBoxes, size, at)
		}
		if err := visit(mp4Box{string(head[4:8]), at, body, at + size}); err != nil {
			return err
		}
		at += size
	}
	return nil
}

// inside tidies the children of a box.
func (t *tidier) inside(path string, parent mp4Box) error {
	names := strings.Fields(kept[path])
	return t.each(parent.body+headerBytes[parent.name], parent.end, func(b mp4Box) error {
		if !slices.Contains(names, b.name) {
			return t.free(b)
		}
		switch b.name {
		case "tkhd":
			return t.upright(b)
		case "avc1", "hvc1":
			if err := t.blank(b.body+42, b.body+42+32, b); err != nil { // compressorname
				return err
			}
		}
		if below := path + "/" + b.name; kept[below] != "" {
			return t.inside(below, b)
		}
		return nil
	})
}

// free turns a box into free space and blanks it.
func (t *tidier) free(b mp4Box) error {
	if _, err := t.file.WriteAt([]byte("free"), b.at+4); err != nil {
		return fmt.Errorf("tidy the output: %w", err)
	}
	return t.blank(b.body, b.end, b)
}

// blank zeroes a part of a box.
func (t *tidier) blank(from, to int64, b mp4Box) error {
	if to > b.end {
		return fmt.Errorf("%w: %s ends too early", errBoxes, b.name)
	}
	zeros := make([]byte, min(to-from, 64<<10))
	for from < to {
		n, err := t.file.WriteAt(zeros[:min(to-from, int64(len(zeros)))], from)
		if err != nil {
			return fmt.Errorf("tidy the output: %w", err)
		}
		from += int64(n)
	}
	return nil
}

// upright writes the identity into a track's display matrix.
func (t *tidier) upright(b mp4Box) error {
	var version [1]byte
	if _, err := t.file.ReadAt(version[:], b.body); err != nil {
		return fmt.Errorf("%w: tkhd: %w", errBoxes, err)
	}
	at := b.body + 40
	if version[0] == 1 {
		at += 12 // longer times
	}
	var matrix []byte
	for _, n := range []uint32{1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30} {
		matrix = binary.BigEndian.AppendUint32(matrix, n)
	}
	if at+int64(len(matrix)) > b.end {
		return fmt.Errorf("%w: tkhd ends too early", errBoxes)
	}
	if _, err := t.file.WriteAt(matrix, at); err != nil {
		return fmt.Errorf("tidy the output: %w", err)
	}
	return nil
}
