package manifest

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
)

const sha512Bytes = 64

// Check compares a manifest with the release that it stands for: its version, and its artifacts that clients may download. Nothing
// is wrong when there is no Problem. Artifacts that the manifest leaves out are none.
func (i Info) Check(version string, artifacts []Artifact) []Problem {
	var wrong []Problem
	if i.Version != version {
		wrong = append(wrong, versionDiffers(i.Version, version))
	}
	if i.Packages {
		wrong = append(wrong, hasPackages())
	}
	if i.Staged {
		wrong = append(wrong, isStaged())
	}
	files := i.files()
	if len(files) == 0 {
		wrong = append(wrong, noFiles())
	}
	named := map[place]bool{}
	for _, f := range files {
		p, ok := placeOf(f.URL)
		if !ok {
			wrong = append(wrong, badURL(f.URL))
			continue
		}
		if named[p] {
			wrong = append(wrong, namedTwice(f.URL))
			continue
		}
		named[p] = true
		wrong = append(wrong, p.check(f, version, artifacts)...)
	}
	if len(i.Files) > 0 && i.Path != "" {
		for _, p := range i.checkOld(version, artifacts) {
			if !slices.Contains(wrong, p) { // it is one of the files as a rule
				wrong = append(wrong, p)
			}
		}
	}
	return wrong
}

// Beside reports whether clients look for a file of that name beside the manifest, and not in the folder of its version: one that it
// names so, or the block map of one.
func (i Info) Beside(name string) bool {
	for _, f := range append([]File{{URL: i.Path}}, i.files()...) {
		p, ok := placeOf(f.URL)
		if ok && p.folder == "" && (p.name == name || p.name+".blockmap" == name) {
			return true
		}
	}
	return false
}

// checkOld is about the file that old clients take. Without a checksum they refuse it by themselves.
func (i Info) checkOld(version string, artifacts []Artifact) []Problem {
	p, ok := placeOf(i.Path)
	switch {
	case !ok:
		return []Problem{badURL(i.Path)}
	case i.SHA512 == "":
		return nil
	}
	return p.check(File{URL: i.Path, SHA512: i.SHA512}, version, artifacts)
}

func (p place) check(f File, version string, artifacts []Artifact) []Problem {
	var wrong []Problem
	if !p.carries(version) {
		wrong = append(wrong, withoutVersion(f.URL, version))
	}
	for _, a := range artifacts {
		if a.Name != p.name {
			continue
		}
		if !sameSum(f.SHA512, a.SHA512Hex) {
			wrong = append(wrong, badChecksum(a.Name))
		}
		if f.Size != 0 && f.Size != a.Size {
			wrong = append(wrong, badSize(a.Name, f.Size, a.Size))
		}
		return wrong
	}
	return append(wrong, noArtifact(p.name))
}

// sameSum compares a SHA-512 in base64, or in hexadecimal as electron-updater also takes it, with one in hexadecimal.
func sameSum(says, is string) bool {
	if len(says) == hex.EncodedLen(sha512Bytes) {
		return says == is
	}
	sum, err := base64.StdEncoding.Strict().DecodeString(says)
	return err == nil && len(sum) == sha512Bytes && !strings.ContainsAny(says, "\r\n") && hex.EncodeToString(sum) == is
}
