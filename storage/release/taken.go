package release

import (
	"fmt"

	"gatehouse/storage/meta"
	"gatehouse/storage/release/manifest"
)

// taken looks for names that clients of an earlier release of the track ask for without its version's folder, as the manifest says
// that its publisher uploaded: a later release with another file of that name would take them over. Names in folders of versions
// do not meet, so that a file may be named alike in all versions.
func (x *Examined) taken(tx *meta.Tx) ([]Problem, error) {
	if x.Ask.Back || len(x.Files) == 0 {
		return nil, nil // what was published before has its names
	}
	digests, names := map[string]string{}, make([]string, len(x.Files))
	for i, f := range x.Files {
		digests[f.Name], names[i] = f.SHA256, f.Name
	}
	before, err := tx.FilesBefore(x.Release, names)
	if err != nil {
		return nil, fmt.Errorf("read the files of earlier releases: %w", err)
	}
	var out []Problem
	for _, b := range before {
		if is, mine := digests[b.Name]; !mine || is == b.SHA256 {
			continue
		}
		// One that is not understood any more may name everything.
		if info, err := manifest.Parse([]byte(b.Manifest)); err == nil && !info.Beside(b.Name) {
			continue
		}
		delete(digests, b.Name) // once is enough
		out = append(out, Problem{"name_taken", b.Name,
			fmt.Sprintf("Clients of version %s get another file under the name %q, which its manifest names without a folder; give this one another name, best with the version in it.", b.Version, b.Name),
			fmt.Sprintf("版本 %s 的清单不带目录地引用了 %q，其客户端以该名称获取另一个文件；请为此文件另取名称，最好包含版本号。", b.Version, b.Name)})
	}
	return out, nil
}
