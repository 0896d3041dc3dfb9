package mediatest

import (
	"bytes"
	"encoding/binary"
)

// piece is a part of a file with the place of its length, which may be missing.
type piece struct {
	start, end            int
	lengthAt, lengthBytes int
}

// pieces are the parts that a file of a known format is made of, at all depths.
func pieces(b []byte) []piece {
	switch {
	case bytes.HasPrefix(b, []byte(pngSignature)):
		return pngPieces(b)
	case bytes.HasPrefix(b, []byte("RIFF")):
		return riffPieces(b, 12, len(b))
	case bytes.HasPrefix(b, []byte{0xff, 0xd8}):
		return jpegPieces(b)
	case bytes.HasPrefix(b, []byte("GIF8")):
		return gifPieces(b)
	case bytes.HasPrefix(b, []byte{0x1a, 0x45, 0xdf, 0xa3}):
		return ebmlPieces(b, 0, len(b))
	case len(b) > 8 && string(b[4:8]) == "ftyp":
		return boxPieces(b, 0)
	}
	return nil
}

func pngPieces(b []byte) []piece {
	var list []piece
	for at := len(pngSignature); at+12 <= len(b); {
		end := at + 12 + int(binary.BigEndian.Uint32(b[at:]))
		if end > len(b) {
			break
		}
		list = append(list, piece{at, end, at, 4})
		at = end
	}
	return list
}

func riffPieces(b []byte, at, end int) []piece {
	var list []piece
	for at+8 <= end {
		size := int(binary.LittleEndian.Uint32(b[at+4:]))
		next := at + 8 + size + size%2
		if next > end {
			break
		}
		list = append(list, piece{at, next, at + 4, 4})
		if string(b[at:at+4]) == "ANMF" {
			list = append(list, riffPieces(b, at+8+16, next)...)
		}
		at = next
	}
	return list
}

func jpegPieces(b []byte) []piece {
	var list []piece
	for at := 2; at+4 <= len(b) && b[at] == 0xff; {
		end := at + 2 + int(binary.BigEndian.Uint16(b[at+2:]))
		if end > len(b) {
			break
		}
		list = append(list, piece{at, end, at + 2, 2})
		if b[at+1] == 0xda { // the data of a scan follows, up to the next marker
			for end+1 < len(b) && (b[end] != 0xff || b[end+1] == 0 || b[end+1]&0xf8 == 0xd0) {
				end++
			}
		}
		at = end
	}
	return list
}

// gifPieces are the extensions and pictures; a length is that of a block in them.
func gifPieces(b []byte) []piece {
	if len(b) < 13 {
		return nil
	}
	at := 13
	if b[10]&0x80 != 0 {
		at += 3 << (b[10]&7 + 1)
	}
	var list []piece
	for at+10 < len(b) && b[at] != 0x3b {
		start, body := at, at+2
		if b[at] == 0x2c {
			body = at + 11
			if b[at+9]&0x80 != 0 {
				body += 3 << (b[at+9]&7 + 1)
			}
		}
		lengthAt := body
		for body < len(b) && b[body] != 0 {
			body += 1 + int(b[body])
		}
		at = body + 1
		if at > len(b) {
			break
		}
		list = append(list, piece{start, at, lengthAt, 1})
	}
	return list
}

// parents are the boxes that hold boxes, with how many bytes stand before these.
var parents = map[string]int{
	"moov": 0, "trak": 0, "mdia": 0, "minf": 0, "dinf": 0, "stbl": 0, "edts": 0, "udta": 0, "meta": 4, "iprp": 0, "ipco": 0,
	"dref": 8, "stsd": 8, "iinf": 6, "iref": 4,
}

func boxPieces(b []byte, base int) []piece {
	var list []piece
	for _, p := range boxes(b) {
		list = append(list, piece{base + p.start, base + p.end, base + p.start, 4})
		if skip, holds := parents[p.kind]; holds && p.body+skip <= p.end {
			list = append(list, boxPieces(b[p.body+skip:p.end], base+p.body+skip)...)
		}
	}
	return list
}

// ebmlPieces are the elements of Matroska.
func ebmlPieces(b []byte, at, end int) []piece {
	var list []piece
	for at < end {
		id, idBytes := vint(b[at:end], false)
		if idBytes == 0 {
			break
		}
		size, sizeBytes := vint(b[at+idBytes:end], true)
		body := at + idBytes + sizeBytes
		if sizeBytes == 0 {
			break
		}
		if size > uint64(end-body) { // also "unknown"
			size = uint64(end - body)
		}
		next := body + int(size)
		list = append(list, piece{at, next, at + idBytes, sizeBytes})
		switch id {
		case 0x18538067, 0x1549a966, 0x1654ae6b, 0xae, 0xe0, 0xe1, 0x1f43b675, 0x114d9b74, 0x4dbb, 0x1c53bb6b, 0xbb, 0xb7, 0xa0:
			list = append(list, ebmlPieces(b, body, next)...)
		}
		at = next
	}
	return list
}

// vint is a number of Matroska and how many bytes it takes; 0 bytes mean that there is none. In lengths the bit that
// says how many bytes there are does not count.
func vint(b []byte, length bool) (v uint64, n int) {
	if len(b) == 0 || b[0] == 0 {
		return 0, 0
	}
	n = 1
	for mask := byte(0x80); b[0]&mask == 0; mask >>= 1 {
		n++
	}
	if n > len(b) {
		return 0, 0
	}
	for _, c := range b[:n] {
		v = v<<8 | uint64(c)
	}
	if length {
		v &^= 1 << (7 * n)
	}
	return v, n
}
