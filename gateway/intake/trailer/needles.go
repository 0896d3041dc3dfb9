package trailer

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// needle is a signature worth looking for at any offset. sig is compared without case where fold is set; check,
// when given, decides from what begins at the signature (up to lookahead bytes of it).
type needle struct {
	kind  Kind
	what  string
	sig   string
	fold  bool
	check func(b []byte) bool
}

// lookahead is how many bytes a check may ask for.
const lookahead = 512

// textNeedles are for bytes that are text or metadata: a plain occurrence is enough.
var textNeedles = []needle{
	{Script, "php", "<?php", true, spaceAfter(5)},
	{Script, "html", "<script", true, nil},
	{Archive, "rar", "Rar!\x1a\x07", false, rarVersion},
	{Archive, "7z", "7z\xbc\xaf\x27\x1c", false, nil},
	{Data, "pdf", "%PDF-", false, digitAfter(5)},
}

// compressedNeedles are for whole pictures, pixels included: only what noise cannot look like, and what readers
// find in the middle of a file.
var compressedNeedles = []needle{
	{Script, "php", "<?php", true, textAfter(5)},
	{Script, "html", "<script", true, textAfter(7)},
	{Archive, "rar", "Rar!\x1a\x07", false, rarVersion},
	{Archive, "7z", "7z\xbc\xaf\x27\x1c", false, sevenZipHeader},
}

// trailerNeedles name what stands behind a file's end, or in a vendor's block. The bytes are refused or under
// suspicion already; here a magic number with a little structure is enough.
var trailerNeedles = append([]needle{
	{Archive, "zip", "PK\x03\x04", false, zipLocalHeader},
	{Archive, "zip", "PK\x01\x02", false, zipDirectoryHeader},
	{Archive, "zip", "PK\x05\x06", false, zipEndRecord},
	{Archive, "xz", "\xfd7zXZ\x00", false, nil},
	{Archive, "cab", "MSCF\x00\x00\x00\x00", false, nil},
	{Archive, "bzip2", "BZh", false, func(b []byte) bool { return len(b) > 9 && string(b[4:10]) == "1AY&SY" }},
	{Archive, "ole", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", false, nil},
	{Executable, "pe", "MZ", false, portableExecutable},
	{Executable, "elf", "\x7fELF", false, elfHeader},
	{Executable, "dex", "dex\n0", false, nil},
	{Script, "html", "<html", true, nil},
	{Script, "html", "<!doctype html", true, nil},
	{Script, "html", "<iframe", true, nil},
	{Script, "svg", "<svg", true, textAfter(4)},
	{Script, "shell", "#!/bin/", false, nil},
	{Script, "shell", "#!/usr/", false, nil},
}, textNeedles...)

// startNeedles count only where the bytes in question begin: too short to be looked for elsewhere.
var startNeedles = []needle{
	{Archive, "gzip", "\x1f\x8b\x08", false, nil},
	{Archive, "zip", "PK\x03\x04", false, nil},
	{Archive, "rar", "Rar!", false, nil},
	{Archive, "zstd", "\x28\xb5\x2f\xfd", false, nil},
	{Archive, "compress", "\x1f\x9d", false, nil},
	{Executable, "pe", "MZ", false, nil},
	{Executable, "elf", "\x7fELF", false, nil},
	{Executable, "mach-o", "\xfe\xed\xfa\xce", false, nil},
	{Executable, "mach-o", "\xfe\xed\xfa\xcf", false, nil},
	{Executable, "mach-o", "\xce\xfa\xed\xfe", false, nil},
	{Executable, "mach-o", "\xcf\xfa\xed\xfe", false, nil},
	{Executable, "mach-o or java class", "\xca\xfe\xba\xbe", false, nil},
	{Executable, "wasm", "\x00asm", false, nil},
	{Script, "shell", "#!", false, nil},
	{Script, "php", "<?=", false, nil},
}

// spaceAfter asks for what PHP asks for behind its tag: white space, or the end.
func spaceAfter(n int) func([]byte) bool {
	return func(b []byte) bool { return len(b) == n || bytes.IndexByte([]byte(" \t\r\n"), b[n]) >= 0 }
}

func digitAfter(n int) func([]byte) bool {
	return func(b []byte) bool { return len(b) > n && '0' <= b[n] && b[n] <= '9' }
}

// textAfter asks for eight printable bytes behind the first n. Noise has them once in some two thousand times, and
// source code always.
func textAfter(n int) func([]byte) bool {
	return func(b []byte) bool {
		if len(b) < n+8 {
			return false
		}
		for _, c := range b[n : n+8] {
			if (c < 0x20 || c > 0x7e) && c != '\t' && c != '\n' && c != '\r' {
				return false
			}
		}
		return true
	}
}

// rarVersion: 0 for RAR 4, 1 and a zero byte for RAR 5.
func rarVersion(b []byte) bool {
	return len(b) > 7 && (b[6] == 0 || b[6] == 1 && b[7] == 0)
}

// sevenZipHeader checks the CRC that the signature header has over itself.
func sevenZipHeader(b []byte) bool {
	return len(b) >= 32 && binary.LittleEndian.Uint32(b[8:]) == crc32.ChecksumIEEE(b[12:32])
}

// zipLocalHeader checks what a local file header can hold: a version, a method that exists, a name.
func zipLocalHeader(b []byte) bool {
	if len(b) < 31 {
		return false
	}
	method, name := binary.LittleEndian.Uint16(b[8:]), binary.LittleEndian.Uint16(b[26:])
	return b[4] <= 63 && method <= 99 && name > 0 && name <= 4096
}

// zipDirectoryHeader checks the same fields of a central directory entry.
func zipDirectoryHeader(b []byte) bool {
	if len(b) < 46 {
		return false
	}
	method, name := binary.LittleEndian.Uint16(b[10:]), binary.LittleEndian.Uint16(b[28:])
	return b[6] <= 63 && method <= 99 && name > 0 && name <= 4096
}

// zipEndRecord: one disk, the same count of entries twice.
func zipEndRecord(b []byte) bool {
	return len(b) >= eocdLen && bytes.Equal(b[4:8], []byte{0, 0, 0, 0}) && bytes.Equal(b[8:10], b[10:12])
}

func portableExecutable(b []byte) bool {
	if len(b) < 64 {
		return false
	}
	at := binary.LittleEndian.Uint32(b[60:])
	return at >= 64 && int64(at)+4 <= int64(len(b)) && bytes.Equal(b[at:at+4], []byte("PE\x00\x00"))
}

// elfHeader: class, byte order and version are 1 or 2, 1 or 2, and 1.
func elfHeader(b []byte) bool {
	return len(b) >= 16 && (b[4] == 1 || b[4] == 2) && (b[5] == 1 || b[5] == 2) && b[6] == 1
}
