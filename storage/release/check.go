package release

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/release/manifest"
)

// Problem is a reason why a release cannot be published.
type Problem struct {
	Slug string `json:"reason" doc:"Stable, for programs."`
	// Artifact is the name of the file that it is about; empty: it is about the release.
	Artifact string `json:"artifact" doc:"The name of the file that it is about; empty when it is about the release."`
	English  string `json:"sentence"`
	Chinese  string `json:"sentence_zh" doc:"The sentence in Simplified Chinese."`
}

// OtherBytes reports whether the file is not the one that was uploaded, as far as its rows or its bytes tell: nobody's mistake can
// do that, only a store or a database that fails or was changed.
func (p Problem) OtherBytes() bool {
	return p.Slug == slugChecksum || p.Slug == slugDamaged || p.Slug == slugChanged
}

// NotPublishable refuses a publication; details.reasons has the problems.
func NotPublishable(problems []Problem) error {
	var english, chinese []string
	for _, p := range problems {
		english, chinese = append(english, p.English), append(chinese, p.Chinese)
	}
	return storage.Refuse(storage.CodeReleaseNotPublishable, storage.Details{"reasons": problems}).Because(storage.Reason{
		Slug: problems[0].Slug, English: strings.Join(english, " "), Chinese: strings.Join(chinese, ""),
	})
}

// composition looks at which files there are.
func composition(platform string, files []meta.ArtifactFacts) []Problem {
	var out []Problem
	named, installer := map[string]bool{}, false
	for _, f := range files {
		switch Kind(f.Kind) {
		case Installer:
			installer = true
			named[f.Name+".blockmap"] = true
		case Portable:
			named[f.Name+".blockmap"] = true
		case Blockmap, Manifest:
		}
	}
	if !installer {
		out = append(out, Problem{Slug: "installer_missing", English: "The release has no installer.", Chinese: "该版本没有安装程序。"})
	}
	for _, f := range files {
		out = append(out, extension(platform, f)...)
		if Kind(f.Kind) == Manifest && f.Size > manifest.MaxBytes { // it is not read then
			out = append(out, Problem{"manifest_too_long", f.Name,
				fmt.Sprintf("%q is longer than the %d bytes that a manifest may have.", f.Name, manifest.MaxBytes),
				fmt.Sprintf("%q 超过了清单允许的最大长度 %d 字节。", f.Name, manifest.MaxBytes)})
		}
		if Kind(f.Kind) == Blockmap && !named[f.Name] {
			out = append(out, Problem{"blockmap_alone", f.Name,
				fmt.Sprintf("%q is the blockmap of no file here: it must have the name of the installer or of the portable, followed by .blockmap.", f.Name),
				fmt.Sprintf("%q 不对应任何文件：其名称必须为安装程序或便携版的名称加上 .blockmap。", f.Name)})
		}
	}
	return out
}

// programs are the extensions of what runs on a platform or unpacks there, of those that intake takes.
var programs = map[string]map[Kind][]string{
	"win32":  {Installer: {".exe", ".msi"}, Portable: {".exe", ".msi", ".zip"}},
	"darwin": {Installer: {".zip", ".dmg", ".pkg"}, Portable: {".zip", ".dmg", ".pkg"}},
	"linux":  {Installer: {".appimage", ".deb", ".rpm"}, Portable: {".appimage", ".deb", ".rpm", ".gz", ".zip"}},
}

// extension looks at what the name of a file says that it is. A blockmap is found by its name anyway.
func extension(platform string, f meta.ArtifactFacts) []Problem {
	kind, slug := Kind(f.Kind), "kind_of_platform"
	allowed, of, zh := programs[platform][kind], "for "+platform, platform+" "
	switch kind {
	case Installer, Portable:
	case Manifest:
		slug, allowed, of, zh = "artifact_kind", metadata[Manifest], "of a release", ""
	case Blockmap:
		return nil
	}
	if slices.Contains(allowed, strings.ToLower(path.Ext(f.Name))) {
		return nil
	}
	list := strings.Join(allowed, ", ")
	return []Problem{{slug, f.Name,
		fmt.Sprintf("%q cannot be the %s %s: its name must end in one of %s.", f.Name, kind, of, list),
		fmt.Sprintf("%q 不能作为 %s%s 文件：其名称必须以下列扩展名之一结尾：%s。", f.Name, zh, kind, list)}}
}

// standing looks at the rows that each file stands on, and whether the workers say what a verdict must be of.
func standing(files []meta.ArtifactFacts, now signatures) []Problem {
	var out []Problem
	for _, f := range files {
		if p, bad := standingOf(f, now); bad {
			p.Artifact = f.Name
			out = append(out, p)
		}
	}
	if now.doubt != nil {
		out = append(out, *now.doubt)
	}
	return out
}

// The slugs of problems that a rescan may end, and of files that are others than they were.
const (
	slugStale   = "verdict_stale"
	slugPending = "scan_pending"
	slugDamaged = "damaged"
	slugChanged = "asset_changed"
)

func standingOf(f meta.ArtifactFacts, now signatures) (Problem, bool) {
	about := func(slug, english, chinese string) (Problem, bool) {
		return Problem{Slug: slug, English: fmt.Sprintf(english, f.Name), Chinese: fmt.Sprintf(chinese, f.Name)}, true
	}
	switch {
	case f.Asset == nil || f.Asset.State == storage.AssetDeleted:
		return about("asset_deleted", "%q is deleted.", "%q 已被删除。")
	case f.Blob == nil || f.Blob.Sweeping:
		return about("asset_lost", "The record of the bytes of %q is lost.", "%q 的内容记录已丢失。")
	case f.Asset.SHA256 != f.SHA256 || f.Blob.Size != f.Size || f.SHA512 != "" && f.Blob.SHA512 != "" && f.Blob.SHA512 != f.SHA512:
		return about(slugChanged, "%q is not the file that was added to the release.", "%q 不是添加到该版本时的文件。")
	case f.Blob.ScanStatus == storage.ScanInfected:
		return about("infected", "%q is infected.", "%q 已被判定为感染。")
	case f.Blob.ScanStatus == storage.ScanUnscannable:
		return about("unscannable", "%q could not be scanned.", "%q 无法扫描。")
	case f.Blob.ScanStatus != storage.ScanClean:
		return about(slugPending, "%q is not scanned yet.", "%q 尚未完成扫描。")
	case f.Blob.Damage != "":
		return about(slugDamaged, "What is stored of %q is damaged.", "%q 的存储内容已损坏。")
	case !f.Available():
		return about("not_available", "%q is not available.", "%q 不可用。")
	case now.doubt != nil: // which is told once, and not of each file
	case now.database == "":
		return about("scanner_silent", "No worker tells which signature database is current, so the verdict about %q cannot be trusted.",
			"没有 worker 报告当前的病毒特征库，因此无法信任 %q 的扫描结论。")
	case f.Blob.ScanDatabase != now.database:
		return about(slugStale, "The verdict about %q is of an older signature database; the file is scanned again when the release is published, try then once more.",
			"%q 的扫描结论来自旧的病毒特征库；发布时会重新扫描该文件，请在扫描完成后重试。")
	}
	return Problem{}, false
}

// order looks at the version against what holds the track: an update must be later, or no client would take it.
func order(r meta.ClientRelease, current *meta.ClientRelease) []Problem {
	v, ok := ParseVersion(r.Version)
	if !ok {
		return []Problem{{Slug: "version_invalid", English: "The version is not valid.", Chinese: "版本号无效。"}}
	}
	if current == nil {
		return nil
	}
	if now, ok := ParseVersion(current.Version); ok && v.Compare(now) <= 0 {
		return []Problem{{Slug: "version_not_later",
			English: fmt.Sprintf("The version %s is not later than %s, which is published; clients would ignore it.", r.Version, current.Version),
			Chinese: fmt.Sprintf("版本 %s 不高于已发布的 %s，客户端会忽略它。", r.Version, current.Version)}}
	}
	return nil
}
