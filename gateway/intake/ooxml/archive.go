package ooxml

import (
	"bufio"
	"io"
	"path"
	"strings"

	"gatehouse/gateway/intake/readfault"
	"gatehouse/storage"
)

// maxLink bounds where a link leads, in bytes: PATH_MAX of Linux.
const maxLink = 4096

var zipLink = storage.Reason{Slug: "zip_link",
	English: "The archive contains a link that leads out of the folder it is unpacked into.",
	Chinese: "压缩包内有指向解压目录之外的链接。"}

var zipLargeMember = storage.Reason{Slug: "zip_large_member",
	English: "The archive contains a file that is too large for the virus scanner to see all of it.",
	Chinese: "压缩包内有文件过大，病毒扫描程序无法完整检查。"}

// CheckArchive reads a whole ZIP archive that is no document, by the same rules: it can be read in one way only, and the scanner
// sees all of it. What is in it is free. Links inside are everyday in applications for macOS; they must lead to somewhere inside.
func CheckArchive(body io.ReaderAt, size int64, lim storage.Limits) error {
	source := readfault.New(body)
	lim.MaxZipUnpackedBytes = lim.MaxReleaseUnpackedBytes
	return source.Judge(checkArchive(source, size, lim))
}

func checkArchive(body io.ReaderAt, size int64, lim storage.Limits) error {
	d, err := findDirectory(body, size)
	if err != nil {
		return err
	}
	members, err := readDirectory(body, d, lim)
	if err != nil {
		return err
	}
	if err := layout(body, members, d.offset); err != nil {
		return err
	}
	u := newUnpacker(body)
	for _, m := range members {
		if m.size > lim.MaxScanBytes {
			return refuse(zipLargeMember, storage.Details{"part": m.name, "limit": lim.MaxScanBytes})
		}
		if err := u.read(m, func(r *bufio.Reader) error { return judgeLink(m, r) }); err != nil {
			return err
		}
	}
	return nil
}

// judgeLink follows a link on paper.
func judgeLink(m *member, r *bufio.Reader) error {
	if !m.link {
		return nil
	}
	raw, err := io.ReadAll(io.LimitReader(r, maxLink+1))
	if err != nil {
		return nil // it comes again when the rest is read
	}
	to := string(raw)
	led := path.Join(path.Dir(m.name), to)
	if to == "" || len(raw) > maxLink || path.IsAbs(to) || led == ".." || strings.HasPrefix(led, "../") || strings.ContainsAny(to, "\\\x00:") {
		return refuse(zipLink, storage.Details{"part": m.name})
	}
	return nil
}
