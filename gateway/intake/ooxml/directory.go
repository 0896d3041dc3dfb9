package ooxml

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"gatehouse/storage"
)

// Signatures and sizes are from APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.16.
const (
	sigLocal      = 0x04034b50
	sigDescriptor = 0x08074b50
	sigCentral    = 0x02014b50
	sigEnd        = 0x06054b50
	sigEnd64      = 0x06064b50
	sigLocator64  = 0x07064b50

	localLen     = 30
	centralLen   = 46
	endLen       = 22
	end64Len     = 56
	locator64Len = 20

	flagEncrypted  = 1<<0 | 1<<6 | 1<<13 // traditional, strong, masked local headers
	flagDescriptor = 1 << 3
	flagPatch      = 1 << 5

	methodStore   = 0
	methodDeflate = 8
	methodAES     = 99

	extraZip64       = 0x0001
	extraAES         = 0x9901
	extraUnicodeName = 0x7075

	maxMemberName = 512 // bytes; Office itself stays under 100
)

var (
	zipDamaged = storage.Reason{Slug: "zip_damaged",
		English: "The file is damaged or incomplete: it cannot be unpacked.",
		Chinese: "文件已损坏或不完整，无法解包。"}
	zipTooManyMembers = storage.Reason{Slug: "zip_too_many_members",
		English: "The file consists of more parts than are allowed.",
		Chinese: "文件内部包含的部件数量超过限制。"}
	zipBomb = storage.Reason{Slug: "zip_bomb",
		English: "The file unpacks to far more data than is allowed.",
		Chinese: "文件解压后的数据量远超限制。"}
	zipEncrypted = storage.Reason{Slug: "zip_encrypted",
		English: "The file is encrypted or password-protected, so it cannot be checked; please upload it without a password.",
		Chinese: "文件已加密或受密码保护，无法检查；请取消密码后再上传。"}
	zipMethod = storage.Reason{Slug: "zip_method",
		English: "The file is packed with a compression method that is not accepted here; pack it with Deflate, or without compression.",
		Chinese: "文件使用了此处不接受的压缩方法；请使用 Deflate 或不压缩。"}
	zipPath = storage.Reason{Slug: "zip_path",
		English: "The file contains a part whose name points outside of it or is malformed.",
		Chinese: "文件内某个部件的名称指向文件之外或格式不正确。"}
	zipDuplicate = storage.Reason{Slug: "zip_duplicate_member",
		English: "The file contains the same part twice, so that different programs would show different content.",
		Chinese: "文件内存在重复的部件，不同程序可能显示不同的内容。"}
	zipSymlink = storage.Reason{Slug: "zip_symlink",
		English: "The file contains a link or a special file instead of data.",
		Chinese: "文件内包含链接或特殊文件，而不是普通数据。"}
)

// directory is where the central directory lies and how many entries it has.
type directory struct {
	offset, size int64
	entries      uint64
}

func refuse(r storage.Reason, d storage.Details) error {
	return storage.Refuse(storage.CodeContentUnsafe, d).Because(r)
}

// findDirectory reads the end of the archive. The end record must be the last 22 bytes: a comment or trailing
// bytes would be room for a second archive, and Office writes neither.
func findDirectory(body io.ReaderAt, size int64) (directory, error) {
	var tail [endLen + locator64Len]byte
	if size < int64(len(tail)) {
		return directory{}, refuse(zipDamaged, nil)
	}
	if _, err := body.ReadAt(tail[:], size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return directory{}, err
	}
	le := binary.LittleEndian
	end := tail[locator64Len:]
	if le.Uint32(end) != sigEnd || le.Uint16(end[20:]) != 0 {
		return directory{}, noEndRecord(body, size)
	}
	d := directory{
		entries: uint64(le.Uint16(end[10:])),
		size:    int64(le.Uint32(end[12:])),
		offset:  int64(le.Uint32(end[16:])),
	}
	disks := le.Uint16(end[4:]) | le.Uint16(end[6:])
	limit := size - endLen // where the directory must end
	if le.Uint32(tail[:]) == sigLocator64 && d.offset+d.size != limit {
		return findDirectory64(body, limit-locator64Len, int64(le.Uint64(tail[8:])), d)
	}
	if disks != 0 || le.Uint16(end[8:]) != le.Uint16(end[10:]) || d.offset+d.size != limit {
		return directory{}, refuse(zipDamaged, nil)
	}
	return d, nil
}

// noEndRecord tells a truncated archive from one with something behind its end.
func noEndRecord(body io.ReaderAt, size int64) error {
	tail := make([]byte, min(size, 1<<16+endLen)) // a comment has at most 64 KiB
	if _, err := body.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	le := binary.LittleEndian
	if i := bytes.LastIndex(tail, le.AppendUint32(nil, sigEnd)); i >= 0 && i+endLen <= len(tail) {
		at := size - int64(len(tail)-i)
		if int64(le.Uint32(tail[i+12:]))+int64(le.Uint32(tail[i+16:])) == at { // a whole archive ends here
			return refuse(zipHidden, storage.Details{"offset": at + endLen})
		}
	}
	return refuse(zipDamaged, nil)
}

// findDirectory64 reads the ZIP64 end record at offset at; it must end where its locator starts, and agree
// with every field of the plain record that is not saturated.
func findDirectory64(body io.ReaderAt, locator, at int64, plain directory) (directory, error) {
	var rec [end64Len]byte
	if at < 0 || at != locator-end64Len {
		return directory{}, refuse(zipDamaged, nil)
	}
	if _, err := body.ReadAt(rec[:], at); err != nil && !errors.Is(err, io.EOF) {
		return directory{}, err
	}
	le := binary.LittleEndian
	d := directory{
		entries: le.Uint64(rec[32:]),
		size:    int64(le.Uint64(rec[40:])),
		offset:  int64(le.Uint64(rec[48:])),
	}
	switch {
	case le.Uint32(rec[:]) != sigEnd64, le.Uint64(rec[4:]) != end64Len-12,
		le.Uint32(rec[16:]) != 0, le.Uint32(rec[20:]) != 0, le.Uint64(rec[24:]) != d.entries,
		d.offset < 0, d.size < 0, d.offset > at, d.size != at-d.offset,
		plain.entries != 0xffff && plain.entries != d.entries,
		plain.size != 0xffffffff && plain.size != d.size,
		plain.offset != 0xffffffff && plain.offset != d.offset:
		return directory{}, refuse(zipDamaged, nil)
	}
	return d, nil
}

// readDirectory reads all entries and judges each by itself; totals are bounded before anything is inflated.
func readDirectory(body io.ReaderAt, d directory, lim storage.Limits) ([]*member, error) {
	if d.entries > uint64(lim.MaxZipMembers) {
		return nil, refuse(zipTooManyMembers, storage.Details{"limit": lim.MaxZipMembers, "members": int64(d.entries)})
	}
	r := bufio.NewReader(io.NewSectionReader(body, d.offset, d.size))
	members := make([]*member, 0, d.entries)
	seen := make(map[string]bool, d.entries)
	var total, packed int64
	for range d.entries {
		m, err := readEntry(r)
		if err != nil {
			return nil, err
		}
		folded := strings.TrimSuffix(strings.ToLower(m.name), "/")
		if seen[folded] {
			return nil, refuse(zipDuplicate, storage.Details{"part": m.name})
		}
		seen[folded] = true
		if err := judgeSize(m, lim); err != nil {
			return nil, err
		}
		if total, packed = total+m.size, packed+m.packed; total > lim.MaxZipUnpackedBytes {
			return nil, refuse(zipBomb, storage.Details{"limit": lim.MaxZipUnpackedBytes, "unpacked": total})
		}
		members = append(members, m)
	}
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, refuse(zipDamaged, nil) // more entries than announced, or bytes that are none
	}
	return members, judgeRatio(total, packed, lim)
}

// ratioFloor is the size under which a high ratio means nothing: a blank part of 100 KB packs 1000:1.
const ratioFloor = 1 << 20

func judgeSize(m *member, lim storage.Limits) error {
	if m.size > lim.MaxZipUnpackedBytes {
		return refuse(zipBomb, storage.Details{"limit": lim.MaxZipUnpackedBytes, "unpacked": m.size})
	}
	if m.method == methodStore && m.size != m.packed || m.isDir() && m.size != 0 {
		return refuse(zipDamaged, storage.Details{"part": m.name})
	}
	return judgeRatio(m.size, m.packed, lim)
}

func judgeRatio(size, packed int64, lim storage.Limits) error {
	if ratio := size / max(packed, 1); size > ratioFloor && ratio > lim.MaxZipRatio {
		return refuse(zipBomb, storage.Details{"limit": lim.MaxZipRatio, "ratio": ratio})
	}
	return nil
}
