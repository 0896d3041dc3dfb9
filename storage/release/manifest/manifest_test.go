package manifest_test

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/release/manifest"
)

var day = time.Date(2024, 3, 9, 8, 7, 6, 5_000_000, time.UTC)

// artifact is a file of a release whose content is its name.
func artifact(name string) manifest.Artifact {
	sum := sha512.Sum512([]byte(name))
	return manifest.Artifact{Name: name, SHA512Hex: hex.EncodeToString(sum[:]), Size: int64(len(name))}
}

func base64Sum(name string) string {
	sum := sha512.Sum512([]byte(name))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// awkward is an Info of which each text is one that YAML could take for something else.
func awkward() manifest.Info {
	return manifest.Info{
		Version:      "1.4.0-0x1F.1e3+007",
		Files:        []manifest.File{{URL: "1.4.0/%F0%9F%9A%80.exe", SHA512: base64Sum("x"), Size: 1 << 40, BlockMapSize: 3}, {URL: "~", SHA512: "null"}},
		Path:         "2024-03-09",
		SHA512:       "12:30:45",
		ReleaseDate:  day,
		ReleaseName:  "yes",
		ReleaseNotes: "# 新版本 🚀\n\n- tab\tquote \" back \\ and a trailing space \n  - \u2028 \u0085 \ufeff %YAML 1.1\n---\n...\n<<: *x\r\n",

		MinimumSystemVersion: "10.0",
	}
}

func TestAManifestReadsAsItWasWritten(t *testing.T) {
	for _, i := range []manifest.Info{awkward(), {Version: "1.0.0"}, {Version: "1.0.0", ReleaseNotes: strings.Repeat("long line ", 500)}} {
		raw, err := manifest.Make(i)
		require.NoError(t, err)
		back, err := manifest.Parse(raw)
		require.NoError(t, err, string(raw))
		require.Equal(t, i, back)
	}
}

func TestAManifestLooksAsElectronBuilderWritesIt(t *testing.T) {
	i, wrong := manifest.For("win32", "1.4.0", day, manifest.Artifacts{
		Installer: artifact("My App Setup 1.4.0.exe"), Portable: artifact("My App 1.4.0.exe"),
		Blockmaps: []manifest.Artifact{artifact("My App 1.4.0.exe.blockmap"), artifact("My App Setup 1.4.0.exe.blockmap")},
	})
	require.Empty(t, wrong)
	i.ReleaseNotes = "One.\nTwo."
	raw, err := manifest.Make(i)
	require.NoError(t, err)
	sum := base64Sum("My App Setup 1.4.0.exe")
	require.Equal(t, `version: "1.4.0"
files:
  - url: "1.4.0/My%20App%20Setup%201.4.0.exe"
    sha512: "`+sum+`"
    size: 22
    blockMapSize: 31
path: "1.4.0/My%20App%20Setup%201.4.0.exe"
sha512: "`+sum+`"
releaseNotes: "One.\nTwo."
releaseDate: "2024-03-09T08:07:06.005Z"
`, string(raw))
	require.Empty(t, i.Check("1.4.0", []manifest.Artifact{artifact("My App Setup 1.4.0.exe")}))
}

func TestWhichFilesOfAReleaseAreListed(t *testing.T) {
	dmg, zip := artifact("App-1.0.0.dmg"), artifact("App-1.0.0-mac.ZIP")
	for _, a := range []manifest.Artifacts{{Installer: dmg, Portable: zip}, {Installer: zip, Portable: dmg}} {
		i, wrong := manifest.For("darwin", "1.0.0", day, a)
		require.Empty(t, wrong)
		require.Equal(t, []string{"1.0.0/App-1.0.0-mac.ZIP", "1.0.0/App-1.0.0.dmg", "1.0.0/App-1.0.0-mac.ZIP"}, []string{i.Files[0].URL, i.Files[1].URL, i.Path})
		require.Equal(t, i.Files[0].SHA512, i.SHA512)
	}
	i, wrong := manifest.For("darwin", "1.0.0", day, manifest.Artifacts{Installer: zip})
	require.Empty(t, wrong)
	require.Len(t, i.Files, 1)
	_, wrong = manifest.For("darwin", "1.0.0", day, manifest.Artifacts{Installer: dmg})
	require.Equal(t, []string{"release_without_zip"}, slugs(wrong))
	i, wrong = manifest.For("linux", "1.0.0", day, manifest.Artifacts{
		Installer: artifact("a-1.0.0.AppImage"), Portable: artifact("a-1.0.0.tar.gz"), Blockmaps: []manifest.Artifact{artifact("a-1.0.0.AppImage.blockmap")},
	})
	require.Empty(t, wrong)
	require.Len(t, i.Files, 1)
	require.Zero(t, i.Files[0].BlockMapSize, "an AppImage's block map is inside it")
	_, wrong = manifest.For("win32", "1.0.0", day, manifest.Artifacts{Installer: manifest.Artifact{Name: "a.exe", SHA512Hex: "00"}})
	require.Equal(t, []string{"manifest_checksum_differs"}, slugs(wrong))
}

func TestMakeRefusesWhatItCannotWrite(t *testing.T) {
	_, err := manifest.Make(manifest.Info{Version: "1.0.0", ReleaseNotes: "\xff"})
	require.ErrorContains(t, err, "UTF-8")
	_, err = manifest.Make(manifest.Info{Version: "1.0.0", ReleaseNotes: strings.Repeat("x", manifest.MaxBytes)})
	require.ErrorContains(t, err, "more than")
}

func TestNoUpdateIsReadableAndNamesNothing(t *testing.T) {
	i, err := manifest.Parse(manifest.None())
	require.NoError(t, err)
	require.Equal(t, manifest.Info{Version: "0.0.0", Staged: true}, i)
	require.Contains(t, string(manifest.None()), "stagingPercentage: 0\n")
}

func slugs(problems []manifest.Problem) []string {
	out := []string{}
	for _, p := range problems {
		out = append(out, p.Slug)
	}
	return out
}
