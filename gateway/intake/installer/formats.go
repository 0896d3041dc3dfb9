package installer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"gatehouse/gateway/intake/window"
)

// format is what an extension stands for.
type format struct {
	mediaType string
	// head must be what the file begins with; enough of the file is there to see it.
	head string
	// whole judges the rest; nil where the head says everything.
	whole func(w *window.Reader) (bool, error)
}

// formats is THE list.
var formats = map[string]format{
	"exe":      {"application/vnd.microsoft.portable-executable", "MZ", isPE},
	"msi":      {"application/x-msi", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", isCompound},
	"dmg":      {"application/x-apple-diskimage", "", isUDIF},
	"pkg":      {"application/x-xar", "xar!", isXAR},
	"zip":      {"application/zip", "PK\x03\x04", nil},
	"appimage": {"application/vnd.appimage", "\x7fELF", isAppImage},
	"deb":      {"application/vnd.debian.binary-package", "!<arch>\ndebian-binary ", isDeb},
	"rpm":      {"application/x-rpm", "\xed\xab\xee\xdb", isRPM},
	"gz":       {"application/gzip", "\x1f\x8b\x08", nil},
	"blockmap": {"application/gzip", "\x1f\x8b\x08", nil},
	"yml":      {"application/yaml", "", nil},
	"yaml":     {"application/yaml", "", nil},
}

// MediaType is what files of an extension (lower case, no dot) are; ok is false for one that is no file of a release.
func MediaType(ext string) (mediaType string, ok bool) {
	f, ok := formats[ext]
	return f.mediaType, ok
}

// Begins reports whether a file may be what its extension says, by its first bytes: 32 of them, or all of a shorter file.
func Begins(ext string, head []byte) bool { return bytes.HasPrefix(head, []byte(formats[ext].head)) }

// Is reports whether the whole file is what its extension says. An error is a fault of r.
func Is(ext string, r io.ReaderAt, size int64) (bool, error) {
	f, ok := formats[ext]
	if !ok || f.whole == nil {
		return ok, nil
	}
	is, err := f.whole(window.New(r, size))
	if errors.Is(err, window.ErrShort) {
		return false, nil
	}
	return is, err
}

// isPE looks for the header that the DOS stub leads to ("PE Format", Microsoft): COFF header and optional header.
func isPE(w *window.Reader) (bool, error) {
	stub, err := w.View(0, 0x40)
	if err != nil {
		return false, err
	}
	at := int64(binary.LittleEndian.Uint32(stub[0x3c:]))
	h, err := w.View(at, 26)
	if err != nil {
		return false, err
	}
	le := binary.LittleEndian
	magic := le.Uint16(h[24:]) // PE32, PE32+
	return at >= 0x40 && string(h[:4]) == "PE\x00\x00" && le.Uint16(h[6:]) > 0 && (magic == 0x10b || magic == 0x20b), nil
}

// isCompound reads the header of a compound file ([MS-CFB] 2.2).
func isCompound(w *window.Reader) (bool, error) {
	h, err := w.View(0, 512)
	if err != nil {
		return false, err
	}
	le := binary.LittleEndian
	major, shift := le.Uint16(h[26:]), le.Uint16(h[30:])
	return le.Uint16(h[28:]) == 0xfffe && (major == 3 && shift == 9 || major == 4 && shift == 12), nil
}

// kolyLen is the length of the trailer that makes a file a disk image (UDIF).
const kolyLen = 512

// isUDIF reads the trailer: its own length, and where the forks and the property list lie.
func isUDIF(w *window.Reader) (bool, error) {
	end := w.Size() - kolyLen
	h, err := w.View(end, kolyLen)
	if err != nil {
		return false, err
	}
	be := binary.BigEndian
	inside := func(at int) bool {
		off, n := be.Uint64(h[at:]), be.Uint64(h[at+8:])
		return off <= uint64(end) && n <= uint64(end)-off
	}
	return string(h[:4]) == "koly" && be.Uint32(h[4:]) == 4 && be.Uint32(h[8:]) == kolyLen && inside(24) && inside(216) && be.Uint64(h[224:]) > 0, nil
}

// isXAR reads the header of a flat package: its length, the version, and a table of contents that is inside of the file.
func isXAR(w *window.Reader) (bool, error) {
	h, err := w.View(0, 28)
	if err != nil {
		return false, err
	}
	be := binary.BigEndian
	length, toc := uint64(be.Uint16(h[4:])), be.Uint64(h[8:])
	return length >= 28 && be.Uint16(h[6:]) == 1 && toc > 0 && toc <= uint64(w.Size()) && length+toc <= uint64(w.Size()), nil
}

// isAppImage wants type 2 (AppImage specification, "Magic bytes"): type 1 is an ISO image that nobody makes any more.
func isAppImage(w *window.Reader) (bool, error) {
	h, err := w.View(0, 64)
	if err != nil {
		return false, err
	}
	class, data := h[4], h[5] // 32 or 64 bits, little endian
	return string(h[8:11]) == "AI\x02" && (class == 1 || class == 2) && data == 1, nil
}

// isDeb wants the three members in their order (deb(5)): debian-binary, control.tar, data.tar.
func isDeb(w *window.Reader) (bool, error) {
	at := int64(8)
	for _, name := range []string{"debian-binary", "control.tar", "data.tar"} {
		h, err := w.View(at, 60)
		if err != nil {
			return false, err
		}
		size, ok := decimal(h[48:58])
		if !ok || string(h[58:60]) != "`\n" || !bytes.HasPrefix(h, []byte(name)) || size > w.Size()-at-60 {
			return false, nil
		}
		at += 60 + size + size%2
	}
	return at >= w.Size(), nil // nothing behind, where another reader may begin
}

// decimal reads a number that is padded with spaces.
func decimal(b []byte) (n int64, ok bool) {
	b = bytes.TrimRight(b, " ")
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0') // ten digits at most
	}
	return n, len(b) > 0
}

// isRPM reads the lead and the magic of the signature behind it.
func isRPM(w *window.Reader) (bool, error) {
	h, err := w.View(0, 100)
	if err != nil {
		return false, err
	}
	return (h[4] == 3 || h[4] == 4) && string(h[96:100]) == "\x8e\xad\xe8\x01", nil
}
