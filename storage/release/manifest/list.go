package manifest

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
	"time"
)

// Artifact is one file of a release, as the database has it.
type Artifact struct {
	Name string
	// SHA512Hex is in lower case.
	SHA512Hex string
	Size      int64
}

// Artifacts are the files of a release that a manifest can be made of.
type Artifacts struct {
	Installer Artifact
	// Portable has no name when there is none.
	Portable  Artifact
	Blockmaps []Artifact
}

// For is the manifest of a release whose publisher uploaded none. On win32 and linux clients update with the installer; on darwin
// they need the .zip, which comes first, and the other file follows.
func For(platform, version string, date time.Time, a Artifacts) (Info, []Problem) {
	listed := []Artifact{a.Installer}
	if platform == "darwin" {
		switch {
		case isZip(a.Installer.Name) && a.Portable.Name != "":
			listed = []Artifact{a.Installer, a.Portable}
		case isZip(a.Portable.Name):
			listed = []Artifact{a.Portable, a.Installer}
		case !isZip(a.Installer.Name):
			return Info{}, []Problem{noZip()}
		}
	}
	i := Info{Version: version, ReleaseDate: date}
	for _, one := range listed {
		sum, err := hex.DecodeString(one.SHA512Hex)
		if err != nil || len(sum) != sha512Bytes {
			return Info{}, []Problem{badChecksum(one.Name)}
		}
		f := File{URL: URL(version, one.Name), SHA512: base64.StdEncoding.EncodeToString(sum), Size: one.Size}
		if platform != "linux" { // an AppImage has its block map inside, and is asked for it when there is a size
			f.BlockMapSize = blockMapSize(a.Blockmaps, one.Name)
		}
		i.Files = append(i.Files, f)
	}
	i.Path, i.SHA512 = i.Files[0].URL, i.Files[0].SHA512
	return i, nil
}

func isZip(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".zip") }

func blockMapSize(blockmaps []Artifact, name string) int64 {
	for _, b := range blockmaps {
		if b.Name == name+".blockmap" {
			return b.Size
		}
	}
	return 0
}

// URL is where a file lies, seen from the feed's folder. The version is in it as a client writes it, so that it finds the block map
// of the version that it has by putting that in its place.
func URL(version, name string) string { return url.PathEscape(version) + "/" + url.PathEscape(name) }
