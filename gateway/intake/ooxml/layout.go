package ooxml

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"gatehouse/storage"
)

var (
	zipMismatch = storage.Reason{Slug: "zip_mismatch",
		English: "The file's table of contents and its parts contradict each other, so that different programs would show different content.",
		Chinese: "文件的目录与其部件相互矛盾，不同程序可能显示不同的内容。"}
	zipOverlap = storage.Reason{Slug: "zip_overlap",
		English: "Parts of the file lie on top of each other, as in a decompression bomb.",
		Chinese: "文件内的部件相互重叠，这是解压炸弹的特征。"}
	zipHidden = storage.Reason{Slug: "zip_hidden_bytes",
		English: "The file contains bytes that belong to none of its parts; something may be hidden there.",
		Chinese: "文件内存在不属于任何部件的字节，可能藏有其他内容。"}
)

// layout holds every local header against the directory, and demands that the members follow each other from
// the first byte to the directory. It sorts members by offset and fills their data offsets.
func layout(body io.ReaderAt, members []*member, directory int64) error {
	slices.SortFunc(members, func(a, b *member) int { return cmp.Compare(a.offset, b.offset) })
	var end int64
	for _, m := range members {
		if m.offset < end {
			return refuse(zipOverlap, storage.Details{"part": m.name})
		}
		if err := onlyZeros(body, end, m.offset); err != nil {
			return err
		}
		var err error
		if end, err = readLocal(body, m, directory); err != nil {
			return err
		}
	}
	if end > directory {
		return refuse(zipOverlap, nil)
	}
	return onlyZeros(body, end, directory)
}

// onlyZeros accepts padding between members and nothing else. Nothing at all may stand before the first
// member: readers find the start of an archive by its first bytes.
func onlyZeros(body io.ReaderAt, from, to int64) error {
	if from == 0 && to > 0 {
		return refuse(zipHidden, storage.Details{"offset": from})
	}
	if from >= to {
		return nil
	}
	var buf [4096]byte
	for from < to {
		n, err := body.ReadAt(buf[:min(int64(len(buf)), to-from)], from)
		for i, b := range buf[:n] {
			if b != 0 {
				return refuse(zipHidden, storage.Details{"offset": from + int64(i)})
			}
		}
		if n == 0 {
			return err
		}
		from += int64(n)
	}
	return nil
}

// localHeader is the local header of a member as far as it is compared.
type localHeader struct {
	fixed      [localLen]byte
	flags      uint16
	name       string
	extra      []byte
	descriptor bool
}

// readLocal compares the local header of m with its directory entry, sets m.data and returns the offset
// behind the member, its data descriptor included.
func readLocal(body io.ReaderAt, m *member, directory int64) (end int64, err error) {
	h, err := readLocalHeader(body, m, directory)
	if err != nil {
		return 0, err
	}
	part := storage.Details{"part": m.name}
	if h.flags&flagEncrypted != 0 {
		return 0, refuse(zipEncrypted, part)
	}
	if h.name != m.name || binary.LittleEndian.Uint16(h.fixed[8:]) != m.method || h.flags&flagPatch != 0 {
		return 0, refuse(zipMismatch, part)
	}
	if m.packed > directory-m.data {
		return 0, refuse(zipDamaged, part)
	}
	known, err := localAgrees(m, h)
	if err != nil {
		return 0, err
	}
	end = m.data + m.packed
	if !h.descriptor {
		return end, nil
	}
	n, err := descriptorLen(body, m, end, directory)
	if err == nil && n == 0 && !known {
		err = refuse(zipMismatch, part)
	}
	return end + n, err
}

// readLocalHeader reads the header and sets m.data.
func readLocalHeader(body io.ReaderAt, m *member, directory int64) (*localHeader, error) {
	h := new(localHeader)
	if m.offset > directory-localLen {
		return nil, refuse(zipDamaged, storage.Details{"part": m.name})
	}
	if _, err := body.ReadAt(h.fixed[:], m.offset); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	nameLen, extraLen := int64(le.Uint16(h.fixed[26:])), int64(le.Uint16(h.fixed[28:]))
	m.data = m.offset + localLen + nameLen + extraLen
	if le.Uint32(h.fixed[:]) != sigLocal || m.data > directory {
		return nil, refuse(zipDamaged, storage.Details{"part": m.name})
	}
	rest := make([]byte, nameLen+extraLen)
	if _, err := body.ReadAt(rest, m.offset+localLen); err != nil {
		return nil, err
	}
	h.flags = le.Uint16(h.fixed[6:])
	h.descriptor = h.flags&flagDescriptor != 0
	h.name, h.extra = string(rest[:nameLen]), rest[nameLen:]
	return h, nil
}

// localAgrees compares checksum and sizes. With a data descriptor to follow the header may leave each of them
// zero; known tells whether it held all three nevertheless.
func localAgrees(m *member, h *localHeader) (known bool, err error) {
	le := binary.LittleEndian
	crc := le.Uint32(h.fixed[14:])
	local := member{name: m.name, packed: int64(le.Uint32(h.fixed[18:])), size: int64(le.Uint32(h.fixed[22:]))}
	if err := applyExtra(&local, h.extra); err != nil {
		return false, err
	}
	if crc == m.crc && local.packed == m.packed && local.size == m.size {
		return true, nil
	}
	if h.descriptor && (crc == 0 || crc == m.crc) && (local.packed == 0 || local.packed == m.packed) &&
		(local.size == 0 || local.size == m.size) {
		return false, nil
	}
	return false, refuse(zipMismatch, storage.Details{"part": m.name})
}

// descriptorLen returns the length of the data descriptor at offset at: with or without its signature, with
// sizes of 4 or 8 bytes; 0 when there is none that tells the directory's values.
func descriptorLen(body io.ReaderAt, m *member, at, directory int64) (int64, error) {
	var buf [24]byte
	got := buf[:min(int64(len(buf)), directory-at)]
	if _, err := body.ReadAt(got, at); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	le := binary.LittleEndian
	for _, signed := range []bool{true, false} {
		for _, width := range []int{8, 4} { // the longer first: for an empty member both fit
			var want []byte
			if signed {
				want = le.AppendUint32(want, sigDescriptor)
			}
			want = le.AppendUint32(want, m.crc)
			for _, v := range []int64{m.packed, m.size} {
				if width == 8 {
					want = le.AppendUint64(want, uint64(v))
				} else {
					want = le.AppendUint32(want, uint32(v))
				}
			}
			if len(got) >= len(want) && string(got[:len(want)]) == string(want) {
				return int64(len(want)), nil
			}
		}
	}
	return 0, nil
}
