package sniff

import (
	"bytes"
	"encoding/binary"
)

// ebmlDocType reads the document type of a Matroska file (RFC 8794, section 11.2). ok is false when head does not
// begin with an EBML header at all.
func ebmlDocType(head []byte) (mediaType string, ok bool) {
	rest, ok := bytes.CutPrefix(head, []byte{0x1a, 0x45, 0xdf, 0xa3})
	if !ok {
		return "", false
	}
	size, n := vint(rest, true)
	if n == 0 {
		return Unknown, true
	}
	rest = rest[n:]
	rest = rest[:min(size, uint64(len(rest)))]
	for len(rest) > 0 {
		id, n := vint(rest, false)
		if n == 0 {
			break
		}
		size, m := vint(rest[n:], true)
		if m == 0 || size > uint64(len(rest)-n-m) {
			break
		}
		body := rest[n+m:][:size]
		if id == 0x4282 {
			switch string(bytes.TrimRight(body, "\x00")) {
			case "webm":
				return "video/webm", true
			case "matroska":
				return "video/x-matroska", true
			}
			return Unknown, true
		}
		rest = rest[n+m:][size:]
	}
	return Unknown, true
}

// vint reads one EBML variable-length number; masked drops the length marker (sizes), else it stays (ids). n is 0
// when there is none.
func vint(b []byte, masked bool) (v uint64, n int) {
	if len(b) == 0 || b[0] == 0 {
		return 0, 0
	}
	n = 1
	for bit := byte(0x80); b[0]&bit == 0; bit >>= 1 {
		n++
	}
	if n > len(b) {
		return 0, 0
	}
	v = uint64(b[0])
	if masked {
		v &= 0xff >> n
	}
	for _, c := range b[1:n] {
		v = v<<8 | uint64(c)
	}
	return v, n
}

// quickTimeWithoutBrands recognises the MOV files of old and of some cameras, which begin with a bare atom.
func quickTimeWithoutBrands(head []byte) bool {
	if len(head) < 16 || textBytes(head) {
		return false
	}
	size := uint64(binary.BigEndian.Uint32(head))
	body := head[8:]
	switch string(head[4:8]) {
	case "moov":
		return size >= 16 && knownType(body[4:8], "mvhd", "cmov", "udta", "iods", "rmra", "trak", "meta", "free")
	case "mdat":
		return size == 0 || size == 1 || size >= 8 && size < 1<<31
	case "wide", "free", "skip", "pnot":
		// These are short and another atom follows.
		return size >= 8 && size <= 1<<20 && (size+8 > uint64(len(head)) ||
			knownType(head[size+4:size+8], "ftyp", "mdat", "moov", "wide", "free", "skip", "pnot", "PICT"))
	}
	return false
}

func knownType(t []byte, types ...string) bool {
	for _, s := range types {
		if string(t) == s {
			return true
		}
	}
	return false
}
