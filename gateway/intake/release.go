package intake

import (
	"errors"
	"fmt"

	"gatehouse/gateway/intake/installer"
	"gatehouse/gateway/intake/ooxml"
	"gatehouse/gateway/intake/readfault"
	"gatehouse/gateway/intake/sniff"
	"gatehouse/storage"
	"gatehouse/storage/release/manifest"
)

// notReleased says for each extension what the file should be and is not.
var notReleased = map[string]storage.Reason{
	"exe":      notA("exe", "a program for Windows (a PE file)", "Windows 程序（PE 文件）"),
	"msi":      notA("msi", "a Windows Installer package", "Windows Installer 安装包"),
	"dmg":      notA("dmg", "an Apple disk image that is whole to its end", "完整的 Apple 磁盘映像"),
	"pkg":      notA("pkg", "a flat installer package for macOS", "macOS 平面安装包"),
	"zip":      notA("zip", "a ZIP archive", "ZIP 压缩包"),
	"appimage": notA("appimage", "an AppImage of type 2", "类型 2 的 AppImage"),
	"deb":      notA("deb", "a Debian package", "Debian 软件包"),
	"rpm":      notA("rpm", "an RPM package", "RPM 软件包"),
	"gz":       notA("gz", "a single gzip stream", "单个 gzip 数据流"),
	"blockmap": notA("blockmap", "a block map as electron-builder writes it (gzip of JSON)", "electron-builder 生成的块映射（gzip 压缩的 JSON）"),
}

func notA(ext, english, chinese string) storage.Reason {
	return storage.Reason{Slug: "release_" + ext,
		English: "The file is called ." + ext + ", but it is not " + english + "; it may be damaged or incomplete. Build it again and upload that file.",
		Chinese: "文件的扩展名是 ." + ext + "，但内容不是" + chinese + "，可能已损坏或不完整。请重新构建后再上传。"}
}

var (
	reasonPackedTooLarge = storage.Reason{Slug: "release_unpacks_too_large",
		English: "The file unpacks to more than is allowed here, so that the virus scanner would not see all of it.",
		Chinese: "文件解压后的大小超过限制，病毒扫描程序无法完整检查。"}
	reasonPackedTrailing = storage.Reason{Slug: "release_trailing_data",
		English: "Something lies behind the end of the compressed data, where the virus scanner does not look. Compress the file again as one stream.",
		Chinese: "压缩数据结尾之后还有其他内容，病毒扫描程序不会检查该部分。请重新压缩为单个数据流。"}
)

// checkReleaseType holds the first bytes of a release's file against its extension. It fills MediaType.
func checkReleaseType(c *Candidate) error {
	if c.Category != storage.CategoryRelease {
		return nil
	}
	mediaType, known := installer.MediaType(c.Ext)
	if !known { // an extension that was added to the category has no rules that could look inside
		return storage.Refuse(storage.CodeTypeNotAllowed, storage.Details{"detected": sniff.Type(c.Head)})
	}
	if !installer.Begins(c.Ext, c.Head) {
		return notAsNamed(c, mediaType)
	}
	c.MediaType = mediaType
	return releaseFits(c, c.DeclaredSize)
}

func notAsNamed(c *Candidate, expected string) error {
	return storage.Refuse(storage.CodeTypeMismatch, storage.Details{
		"extension": c.Ext, "detected": sniff.Type(c.Head), "expected": expected,
	}).Because(notReleased[c.Ext])
}

// releaseFits bounds what is no program, and never as large as one.
func releaseFits(c *Candidate, size int64) error {
	limit := map[string]int64{"yml": manifest.MaxBytes, "yaml": manifest.MaxBytes, "blockmap": installer.MaxBlockmap}[c.Ext]
	if limit == 0 || size <= limit {
		return nil
	}
	return storage.Refuse(storage.CodeFileTooLarge, storage.Details{"limit": limit, "category": string(c.Category)})
}

// checkRelease proves that a release's file is what its extension says, and that the scanner will see all of what is packed in it
// where it would not say otherwise.
func checkRelease(c *Candidate) error {
	if c.Category != storage.CategoryRelease {
		return nil
	}
	if err := releaseFits(c, c.Size); err != nil {
		return err
	}
	source := readfault.New(c.Body)
	switch c.Ext {
	case "zip":
		return ooxml.CheckArchive(c.Body, c.Size, c.Policy.Limits)
	case "yml", "yaml":
		return source.Judge(judgeUpdateInfo(source, c.Size))
	case "gz":
		limit := min(c.Policy.Limits.MaxReleaseUnpackedBytes, c.Policy.Limits.MaxScanBytes)
		return source.Judge(refusePacked(c, installer.Gzip(source, c.Size, limit)))
	case "blockmap":
		return source.Judge(refusePacked(c, installer.Blockmap(source, c.Size)))
	}
	is, err := installer.Is(c.Ext, source, c.Size)
	switch {
	case err != nil:
		return source.Judge(fmt.Errorf("check release: %w", err))
	case !is:
		return notAsNamed(c, c.MediaType)
	}
	return nil
}

// refusePacked turns a finding about a compressed file into a refusal.
func refusePacked(c *Candidate, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, installer.ErrTooLarge):
		return unsafe(reasonPackedTooLarge)
	case errors.Is(err, installer.ErrTrailing):
		return unsafe(reasonPackedTrailing)
	}
	return storage.Refuse(storage.CodeTypeMismatch, storage.Details{
		"extension": c.Ext, "detected": sniff.Type(c.Head), "expected": c.MediaType,
	}).Because(notReleased[c.Ext]).CausedBy(err)
}
