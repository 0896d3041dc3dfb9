package manifest

import "time"

// Info is what a manifest says.
type Info struct {
	Version string
	Files   []File
	// Path and SHA512 are the file for clients older than files; newer ones take them when there are no Files.
	Path, SHA512 string
	ReleaseDate  time.Time
	ReleaseName  string
	ReleaseNotes string
	// MinimumSystemVersion is that of the operating system, as os.release() of Node gives it.
	MinimumSystemVersion string
	// Packages is set when the manifest is that of a web installer, which loads further files.
	Packages bool
	// Staged is set when the manifest itself gives the release to a part of the devices, or says so in a way that is not sure.
	Staged bool
}

// File is one file that a client may download.
type File struct {
	// URL is relative to the folder of the manifest, escaped.
	URL string
	// SHA512 is in base64, as electron-builder writes it.
	SHA512 string
	Size   int64
	// BlockMapSize is that of the block map; 0 when there is none.
	BlockMapSize int64
}

// MaxBytes is how long a manifest may be: a thousand times the usual one, and little enough to keep in memory for every track.
const MaxBytes = 256 << 10

// files are those that electron-updater sees (its getFileList): the old form counts only when there are no Files.
func (i Info) files() []File {
	if len(i.Files) > 0 || i.Path == "" {
		return i.Files
	}
	return []File{{URL: i.Path, SHA512: i.SHA512}}
}
