package manifest

import (
	"fmt"

	"gatehouse/storage"
)

// Problem is one thing that is wrong with a manifest or keeps it from being made, for the operator who publishes.
type Problem = storage.Reason

func problem(slug, english, chinese string, args ...any) Problem {
	return Problem{Slug: slug, English: fmt.Sprintf(english, args...), Chinese: fmt.Sprintf(chinese, args...)}
}

func versionDiffers(says, release string) Problem {
	return problem("manifest_version_differs",
		"The manifest is of version %[1]q, but the release is of version %[2]q.",
		"更新清单的版本为 %[1]q，而该发布的版本为 %[2]q。", says, release)
}

func noFiles() Problem {
	return problem("manifest_without_files", "The manifest names no file to download.", "更新清单未列出任何可下载的文件。")
}

func hasPackages() Problem {
	return problem("manifest_of_web_installer",
		"The manifest is that of a web installer (it has packages), which is not supported; build a full installer.",
		"该更新清单属于网络安装程序（包含 packages），不受支持；请构建完整的安装程序。")
}

func isStaged() Problem {
	return problem("manifest_staging",
		"The manifest has a stagingPercentage of its own, by which clients would ignore the release whatever its percentage is; leave the key out, the percentage of the release decides.",
		"更新清单自带 stagingPercentage，无论发布比例为多少，客户端都会据此忽略该版本；请去掉该键，由发布比例决定。")
}

func badURL(url string) Problem {
	return problem("manifest_url_invalid",
		"The manifest names the file %q. A name must be relative, either the file's name alone or version/name, without a query, a fragment or dots as a folder.",
		"更新清单中的文件地址 %q 无效。地址必须是相对的：仅文件名，或“版本/文件名”，且不得包含查询串、片段或由点组成的目录名。", url)
}

func withoutVersion(url, version string) Problem {
	return problem("manifest_url_without_version",
		"The manifest names the file %[1]q, which carries the version %[2]q neither as its folder nor in its name; the files of two releases could not be told apart.",
		"更新清单中的文件地址 %[1]q 既未以版本 %[2]q 作为目录，文件名中也不含该版本，无法区分不同发布的文件。", url, version)
}

func namedTwice(url string) Problem {
	return problem("manifest_file_twice", "The manifest names the file %q twice.", "更新清单重复列出了文件 %q。", url)
}

func noArtifact(name string) Problem {
	return problem("manifest_file_missing",
		"The manifest names the file %q, which is not among the artifacts of the release.",
		"更新清单列出的文件 %q 不在该发布的文件之中。", name)
}

func badChecksum(name string) Problem {
	return problem("manifest_checksum_differs",
		"The SHA-512 that the manifest gives for %q is not that of the artifact.",
		"更新清单中 %q 的 SHA-512 与实际文件不一致。", name)
}

func badSize(name string, says, is int64) Problem {
	return problem("manifest_size_differs",
		"The manifest says that %[1]q has %[2]d bytes; the artifact has %[3]d.",
		"更新清单称 %[1]q 为 %[2]d 字节，实际文件为 %[3]d 字节。", name, says, is)
}

func noZip() Problem {
	return problem("release_without_zip",
		"A release for darwin needs a .zip among its installer and its portable: updates are installed from it and not from a disk image.",
		"面向 darwin 的发布必须在安装包或便携包中提供 .zip 文件：更新由它安装，而不是由磁盘映像安装。")
}
