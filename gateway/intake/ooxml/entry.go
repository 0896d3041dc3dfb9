package ooxml

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"unicode/utf8"

	"gatehouse/storage"
)

// member is one file of the archive as the central directory describes it.
type member struct {
	name         string
	method       uint16
	crc          uint32
	packed, size int64 // bytes, compressed and plain
	offset       int64 // of the local header
	data         int64 // of the first compressed byte; set by layout
	link         bool  // a symbolic link: its data is where it leads
}

func (m *member) isDir() bool { return strings.HasSuffix(m.name, "/") }

// readEntry reads one central directory header.
func readEntry(r *bufio.Reader) (*member, error) {
	var h [centralLen]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, refuse(zipDamaged, nil)
	}
	le := binary.LittleEndian
	nameLen, extraLen, commentLen := int(le.Uint16(h[28:])), int(le.Uint16(h[30:])), le.Uint16(h[32:])
	if le.Uint32(h[:]) != sigCentral || le.Uint16(h[34:]) != 0 {
		return nil, refuse(zipDamaged, nil)
	}
	if commentLen != 0 {
		return nil, refuse(zipHidden, nil)
	}
	if nameLen > maxMemberName {
		return nil, refuse(zipPath, storage.Details{"limit": maxMemberName})
	}
	rest := make([]byte, nameLen+extraLen)
	if _, err := io.ReadFull(r, rest); err != nil {
		return nil, refuse(zipDamaged, nil)
	}
	m := &member{
		name:   string(rest[:nameLen]),
		method: le.Uint16(h[10:]),
		crc:    le.Uint32(h[16:]),
		packed: int64(le.Uint32(h[20:])),
		size:   int64(le.Uint32(h[24:])),
		offset: int64(le.Uint32(h[42:])),
	}
	if err := judgeName(m.name); err != nil {
		return nil, err
	}
	if err := judgeKind(m, le.Uint16(h[8:]), le.Uint16(h[4:]), le.Uint32(h[38:])); err != nil {
		return nil, err
	}
	return m, applyExtra(m, rest[nameLen:])
}

// applyExtra takes the ZIP64 values, in their fixed order, for the fields that are saturated, and refuses the
// extra fields that make a member something else than its header says.
func applyExtra(m *member, extra []byte) error {
	wide, err := findExtra(extra, extraZip64)
	if err != nil {
		return err
	}
	for _, field := range []*int64{&m.size, &m.packed, &m.offset} {
		if *field != 0xffffffff {
			continue
		}
		if len(wide) < 8 {
			return refuse(zipDamaged, storage.Details{"part": m.name})
		}
		*field = int64(binary.LittleEndian.Uint64(wide))
		if wide = wide[8:]; *field < 0 {
			return refuse(zipDamaged, storage.Details{"part": m.name})
		}
	}
	if aes, err := findExtra(extra, extraAES); err != nil || aes != nil {
		return refuse(zipEncrypted, storage.Details{"part": m.name})
	}
	alias, err := findExtra(extra, extraUnicodeName) // version (1), crc32 of the name (4), name
	if err != nil || alias != nil && (len(alias) < 5 || !bytes.Equal(alias[5:], []byte(m.name))) {
		return refuse(zipPath, storage.Details{"part": m.name})
	}
	return nil
}

// findExtra returns the first extra field of that id; nil when there is none. A second one of the same id is
// damage: readers disagree about which counts. Up to three stray bytes at the end are padding.
func findExtra(extra []byte, id uint16) (found []byte, err error) {
	le := binary.LittleEndian
	for len(extra) >= 4 {
		n := int(le.Uint16(extra[2:]))
		if n > len(extra)-4 {
			return nil, refuse(zipDamaged, nil)
		}
		if le.Uint16(extra) == id {
			if found != nil {
				return nil, refuse(zipDamaged, nil)
			}
			found = extra[4 : 4+n : 4+n]
		}
		extra = extra[4+n:]
	}
	return found, nil
}

// judgeKind refuses what is no plain, readable file.
func judgeKind(m *member, flags, madeBy uint16, attributes uint32) error {
	part := storage.Details{"part": m.name}
	if flags&flagEncrypted != 0 || m.method == methodAES {
		return refuse(zipEncrypted, part)
	}
	if m.method != methodStore && m.method != methodDeflate || flags&flagPatch != 0 {
		return refuse(zipMethod, storage.Details{"part": m.name, "method": int(m.method)})
	}
	// The high half of the attributes is a Unix mode when Unix (3) or macOS (19) made the archive; readers
	// on Unix often look at it whoever made it, so any link or device there is seen.
	const typeMask, regular, folder = 0o170000, 0o100000, 0o040000
	kind := attributes >> 16 & typeMask
	unix := madeBy>>8 == 3 || madeBy>>8 == 19
	m.link = kind == 0o120000
	if !m.link && unix && kind != 0 && kind != regular && kind != folder {
		return refuse(zipSymlink, part)
	}
	return nil
}

// judgeName refuses names that would leave the folder they are unpacked into, or mean two things.
func judgeName(name string) error {
	bad := name == "" || !utf8.ValidString(name) || strings.ContainsAny(name, `\`) ||
		strings.HasPrefix(name, "/") || len(name) > 1 && name[1] == ':' ||
		strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
	for segment := range strings.SplitSeq(strings.TrimSuffix(name, "/"), "/") {
		bad = bad || segment == "" || segment == "." || segment == ".."
	}
	if bad {
		return refuse(zipPath, storage.Details{"part": strings.ToValidUTF8(name, "?")})
	}
	return nil
}
