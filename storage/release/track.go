package release

import (
	"regexp"
	"slices"

	"gatehouse/storage"
)

// Track is where one release at a time is published.
type Track struct {
	Channel  string `json:"channel"`
	Platform string `json:"platform"`
	Arch     string `json:"arch"`
}

// DefaultChannel is that of clients which name none.
const DefaultChannel = "stable"

// Platforms and Archs are as Node names them (process.platform, process.arch); x86 is Node's ia32.
var (
	Platforms = []string{"win32", "darwin", "linux"}
	Archs     = []string{"x64", "x86", "arm64"}
)

var channelName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// Key names the track in the database.
func (t Track) Key() string { return t.Channel + "/" + t.Platform + "/" + t.Arch }

// Versioned is the key of one version of the track. Build metadata does not tell versions apart, for clients neither.
func (t Track) Versioned(v Version) string { return t.Key() + "/" + v.String() }

// The reasons for which there can be no such track, each named like its field.
var (
	reasonPlatform = storage.Reason{
		Slug:    "platform",
		English: "platform must be win32, darwin or linux.",
		Chinese: "platform 必须是 win32、darwin 或 linux。",
	}
	reasonArch = storage.Reason{
		Slug:    "arch",
		English: "arch must be x64, x86 or arm64.",
		Chinese: "arch 必须是 x64、x86 或 arm64。",
	}
	reasonChannel = storage.Reason{
		Slug:    "channel",
		English: "channel must be a lower-case letter and up to 31 more lower-case letters, digits and hyphens; without it, stable is meant.",
		Chinese: "channel 必须以小写字母开头，后接至多 31 个小写字母、数字或连字符；省略时为 stable。",
	}
)

// Wrong tells which part of the track there cannot be.
func (t Track) Wrong() (storage.Reason, bool) {
	switch {
	case !slices.Contains(Platforms, t.Platform):
		return reasonPlatform, true
	case !slices.Contains(Archs, t.Arch):
		return reasonArch, true
	case !channelName.MatchString(t.Channel):
		return reasonChannel, true
	}
	return storage.Reason{}, false
}

// Valid reports whether there can be such a track.
func (t Track) Valid() bool {
	_, wrong := t.Wrong()
	return !wrong
}
