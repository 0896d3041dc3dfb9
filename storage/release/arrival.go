package release

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"gatehouse/storage"
	"gatehouse/storage/meta"
)

// metadata are the extensions of what clients read beside the programs, by kind; those of a program are its platform's.
var metadata = map[Kind][]string{Blockmap: {".blockmap"}, Manifest: {".yml", ".yaml"}}

// Accepts refuses a file before it comes in, by what is known of it then: the release takes no files, or none of that kind or
// name. name may be empty where it is not known yet. Attach judges again, when the bytes are there.
func Accepts(tx *meta.Tx, releaseID string, kind Kind, name string) error {
	r, err := draft(tx, releaseID)
	if err != nil {
		return err
	}
	if !slices.Contains(Kinds, kind) {
		return kindUnknown()
	}
	if name != "" {
		if err := checkKind(kind, name); err != nil {
			return err
		}
	}
	there, err := tx.Artifacts(r.ID)
	if err != nil {
		return fmt.Errorf("read the files of the release: %w", err)
	}
	return fits(there, meta.ReleaseArtifact{ReleaseID: r.ID, Kind: string(kind), Name: name})
}

func checkKind(kind Kind, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	ext := strings.ToLower(path.Ext(name))
	for of, extensions := range metadata {
		if slices.Contains(extensions, ext) != (kind == of) {
			return refuse(storage.CodeMalformedRequest, "artifact_kind",
				fmt.Sprintf("The file %q cannot be the %s of a release: manifests are yml or yaml, block maps are blockmap, and installers and portable programs are neither.", name, kind),
				fmt.Sprintf("文件 %q 不能作为发布版本的 %s：manifest 须为 yml 或 yaml，blockmap 须为 blockmap，installer 和 portable 则不能是这些扩展名。", name, kind))
		}
	}
	return nil
}
