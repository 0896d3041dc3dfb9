package release

import (
	"cmp"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// MaxName is how long the name of a file may be, in bytes: NAME_MAX of the common file systems.
const MaxName = 255

// File is what becomes a file of a release.
type File struct {
	Kind Kind
	// Name is that of the asset when empty.
	Name string
	// AssetID is an asset of the platform's tenant, of the category release.
	AssetID string
	// SHA256 and SHA512 are what the caller expects, in hex or in base64; empty is anything.
	SHA256, SHA512 string
}

// Attach makes an asset a file of a draft.
func Attach(tx *meta.Tx, by By, releaseID string, f File) (meta.ReleaseArtifact, error) {
	r, err := draft(tx, releaseID)
	if err != nil {
		return meta.ReleaseArtifact{}, err
	}
	a, err := f.artifact(tx, r.ID)
	if err != nil {
		return a, err
	}
	there, err := tx.Artifacts(r.ID)
	if err != nil {
		return a, fmt.Errorf("read the files of the release: %w", err)
	}
	if err := fits(there, a); err != nil {
		return a, err
	}
	// The revision moves with the files too: a publication that has looked at others must not go on.
	if err := tx.ChangeRelease(r.ID, r.Revision, map[string]any{}); err != nil {
		return a, fmt.Errorf("change the release: %w", err)
	}
	if err := tx.CreateArtifact(&a); errors.Is(err, meta.ErrReleaseTaken) {
		return a, nameTaken(a.Name)
	} else if err != nil {
		return a, fmt.Errorf("create the file: %w", err)
	}
	return a, record(tx, by, "release.artifact_add", r.ID, nil, fileFacts(a), nil)
}

// Detach takes a file out of a draft. Its asset stays.
func Detach(tx *meta.Tx, by By, releaseID, artifactID string) error {
	r, err := draft(tx, releaseID)
	if err != nil {
		return err
	}
	there, err := tx.Artifacts(r.ID)
	if err != nil {
		return fmt.Errorf("read the files of the release: %w", err)
	}
	n := slices.IndexFunc(there, func(a meta.ReleaseArtifact) bool { return a.ID == artifactID })
	if n < 0 {
		return artifactUnknown("artifact_unknown", fmt.Sprintf("This release has no file with the id %q.", artifactID), fmt.Sprintf("该版本没有标识为 %q 的文件。", artifactID))
	}
	if err := tx.ChangeRelease(r.ID, r.Revision, map[string]any{}); err != nil {
		return fmt.Errorf("change the release: %w", err)
	}
	if err := tx.DropArtifact(r.ID, artifactID); err != nil {
		return fmt.Errorf("remove the file: %w", err)
	}
	return record(tx, by, "release.artifact_remove", r.ID, fileFacts(there[n]), nil, nil)
}

// artifact reads what the file stands on.
func (f File) artifact(tx *meta.Tx, releaseID string) (meta.ReleaseArtifact, error) {
	var none meta.ReleaseArtifact
	if !slices.Contains(Kinds, f.Kind) {
		return none, kindUnknown()
	}
	short, err := digest("sha256", f.SHA256, sha256.Size)
	if err != nil {
		return none, err
	}
	long, err := digest("sha512", f.SHA512, sha512.Size)
	if err != nil {
		return none, err
	}
	asset, b, known, err := lockAsset(tx, f.AssetID)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return none, artifactUnknown("asset_unknown", fmt.Sprintf("There is no file with the id %q.", f.AssetID), fmt.Sprintf("没有标识为 %q 的文件。", f.AssetID))
	case err != nil:
		return none, fmt.Errorf("read the asset: %w", err)
	case asset.TenantID != PlatformTenant:
		return none, refuse(storage.CodeReleasePermissionDenied, "asset_of_tenant",
			"This file belongs to a tenant. A release is made of files of the platform only; upload it to the release.", "该文件属于某个租户。发布版本只能由平台自身的文件组成；请将其上传到该版本。")
	case asset.State == storage.AssetDeleted:
		return none, artifactUnknown("asset_deleted", "This file is deleted.", "该文件已被删除。")
	case asset.Category != storage.CategoryRelease:
		return none, artifactUnknown("asset_category", "This file is not of the category release.", "该文件不属于 release 类别。")
	}
	if !known || b.Sweeping {
		return none, artifactUnknown("asset_lost", "The record of this file's bytes is lost.", "该文件内容的记录已丢失。")
	}
	if err := cmp.Or(same("sha256", short, b.SHA256), same("sha512", long, b.SHA512)); err != nil {
		return none, err
	}
	name := f.Name
	if name == "" {
		name = asset.Name
	}
	if err := checkKind(f.Kind, name); err != nil {
		return none, err
	}
	// What the bytes were judged as when they came in is what they are called to clients.
	if ext := strings.TrimPrefix(strings.ToLower(path.Ext(name)), "."); ext != asset.Ext {
		return none, refuse(storage.CodeMalformedRequest, "artifact_extension",
			fmt.Sprintf("This file came in as .%s and must keep that extension: %q does not end so.", asset.Ext, name),
			fmt.Sprintf("该文件上传时的扩展名为 .%s，必须保留：%q 并非以此结尾。", asset.Ext, name))
	}
	return meta.ReleaseArtifact{
		ID: meta.NewID(), ReleaseID: releaseID, Kind: string(f.Kind), Name: name, AssetID: asset.ID, SHA256: b.SHA256, SHA512: b.SHA512,
		Size: b.Size, MediaType: b.MediaType, CreatedAt: meta.Now(),
	}, nil
}

// lockAsset reads an asset, and its blob if it is one of the platform's. Whoever deletes an asset locks the blob first: once it is
// locked, the asset stays, or is deleted when it is read again.
func lockAsset(tx *meta.Tx, id string) (a meta.Asset, b meta.Blob, known bool, err error) {
	if a, err = tx.AnyAsset(id); err != nil || a.TenantID != PlatformTenant {
		return a, b, false, err
	}
	switch b, err = tx.Tenant(PlatformTenant).LockBlob(a.SHA256); {
	case err == nil:
		known = true
	case !errors.Is(err, storage.ErrNotFound):
		return a, b, false, err
	}
	a, err = tx.AnyAsset(id)
	return a, b, known, err
}

// digest reads a digest of so many bytes, in hex or in base64 as manifests have it, and gives it in small hex.
func digest(field, s string, size int) (string, error) {
	if s == "" {
		return "", nil
	}
	sum, err := hex.DecodeString(s)
	if len(s) != hex.EncodedLen(size) {
		sum, err = base64.StdEncoding.Strict().DecodeString(s)
	}
	if err != nil || len(sum) != size {
		return "", refuse(storage.CodeMalformedRequest, field,
			fmt.Sprintf("%s must be %d hexadecimal digits, or the same %d bytes in Base64.", field, hex.EncodedLen(size), size),
			fmt.Sprintf("%s 必须是 %d 位十六进制数字，或同样 %d 字节的 Base64 编码。", field, hex.EncodedLen(size), size))
	}
	return hex.EncodeToString(sum), nil
}

// same refuses a digest that is not the expected one; both are in small hex.
func same(algorithm, expected, stored string) error {
	if expected == "" || expected == stored {
		return nil
	}
	return storage.Refuse(storage.CodeReleaseChecksumMismatch, storage.Details{"algorithm": algorithm, "expected": expected, "stored": stored}).Because(storage.Reason{
		Slug: "checksum", English: "What is stored has another checksum than you expect.", Chinese: "存储的文件校验和与您期望的不同。",
	})
}

// CheckName refuses what cannot be one segment of an address, and of a path on every platform that clients run on, or can look like
// another name to people. White space at the end is nothing to MariaDB's comparisons, and to Windows like a dot there.
func CheckName(name string) error {
	bad := name == "" || len(name) > MaxName || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.TrimSpace(name) != name ||
		!utf8.ValidString(name) || strings.ContainsAny(name, `/\:`) || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) })
	if bad {
		return refuse(storage.CodeFilenameInvalid, "artifact_name",
			"The name of a file of a release has 1 to 255 bytes, no slash, no backslash, no colon and no control or invisible characters, and no white space and no dot at its ends.",
			"发布文件的名称须为 1 到 255 字节，不得包含斜杠、反斜杠、半角冒号、控制字符或不可见字符，首尾不得有空白或点。")
	}
	return nil
}

// fits refuses a second file of a name, or of a kind of which a release has one.
func fits(there []meta.ReleaseArtifact, a meta.ReleaseArtifact) error {
	of := 0
	for _, t := range there {
		if t.Name == a.Name {
			return nameTaken(a.Name)
		}
		if t.Kind == a.Kind {
			of++
		}
	}
	most := 1
	if Kind(a.Kind) == Blockmap {
		most = 2 // for the installer and for the portable
	}
	if of >= most {
		return refuse(storage.CodeConflict, "kind_taken",
			fmt.Sprintf("This release has its %s already; remove that first.", a.Kind), fmt.Sprintf("该版本已有 %s 文件；请先移除它。", a.Kind))
	}
	return nil
}

func fileFacts(a meta.ReleaseArtifact) map[string]any {
	return map[string]any{"artifact": a.ID, "kind": a.Kind, "name": a.Name, "asset": a.AssetID, "sha256": a.SHA256, "sha512": a.SHA512, "size": a.Size}
}

func kindUnknown() error {
	return refuse(storage.CodeMalformedRequest, "kind", "The kind must be installer, portable, blockmap or manifest.", "kind 必须是 installer、portable、blockmap 或 manifest。")
}

func nameTaken(name string) error {
	return refuse(storage.CodeConflict, "name_taken", fmt.Sprintf("This release has a file %q already.", name), fmt.Sprintf("该版本已有名为 %q 的文件。", name))
}

func artifactUnknown(slug, english, chinese string) error {
	return refuse(storage.CodeReleaseArtifactNotFound, slug, english, chinese)
}
