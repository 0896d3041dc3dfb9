package manifest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/release/manifest"
)

// signed is a manifest as publishers make them: other quotes, comments, line ends of Windows, keys of their own, both forms.
var signed = strings.ReplaceAll(`# made by the build
version: 2.0.0
files:
  - url: App Setup 2.0.0.exe   # flat
    sha512: `+base64Sum("App Setup 2.0.0.exe")+`
    size: 19
    blockMapSize: 7
    isAdminRightsRequired: true
path: App Setup 2.0.0.exe
sha512: `+base64Sum("App Setup 2.0.0.exe")+`
releaseDate: '2024-03-09T08:07:06.005Z'
releaseNotes: |
  one
  two
signature:
  key: ed25519
  value: [AAAA, 1, ~]
vendor: {a: 0x10, b: 2024-03-09}
`, "\n", "\r\n")

func TestAPublishersManifestIsRead(t *testing.T) {
	i, err := manifest.Parse([]byte(signed))
	require.NoError(t, err)
	sum := base64Sum("App Setup 2.0.0.exe")
	require.Equal(t, manifest.Info{
		Version: "2.0.0", Files: []manifest.File{{URL: "App Setup 2.0.0.exe", SHA512: sum, Size: 19, BlockMapSize: 7}},
		Path: "App Setup 2.0.0.exe", SHA512: sum, ReleaseDate: day, ReleaseNotes: "one\ntwo\n",
	}, i)
	require.Empty(t, i.Check("2.0.0", []manifest.Artifact{artifact("App Setup 2.0.0.exe")}))
}

func TestTheOldFormNamesOneFile(t *testing.T) {
	i, err := manifest.Parse([]byte("\ufeffversion: 2.0.0\npath: a-2.0.0.exe\nsha512: " + base64Sum("a-2.0.0.exe") + "\nfiles: []\n"))
	require.NoError(t, err)
	require.Empty(t, i.Check("2.0.0", []manifest.Artifact{artifact("a-2.0.0.exe")}))
	require.Equal(t, []string{"manifest_file_missing"}, slugs(i.Check("2.0.0", nil)))
}

func TestAStageInTheManifestIsSeen(t *testing.T) {
	for value, staged := range map[string]bool{
		"": false, "~": false, "null": false, "100": false, "'100'": false, `"1\x300"`: false, "0": true, "5": true, "99.9": true, "1e2": true, "0x64": true,
		"'0'": true, "0 percent": true, "[0]": true, "{a: 0}": true, "all": true, "-1": true, "1000": true, "|\n  100": true,
	} {
		i, err := manifest.Parse([]byte("version: 1.0.0\nstagingPercentage: " + value + "\n"))
		require.NoError(t, err, value)
		require.Equal(t, staged, i.Staged, value)
	}
}

func TestWhatIsNoManifestIsRefused(t *testing.T) {
	for what, raw := range map[string]string{
		"empty":               "",
		"text":                "hello",
		"list":                "- a",
		"no version":          "files: []",
		"version as number":   "version: 1.0",
		"version as date":     "version: 2024-03-09",
		"two documents":       "version: 1.0.0\n---\nversion: 2.0.0\n",
		"alias":               "a: &a 1\nversion: *a\n",
		"anchor":              "version: &a 1.0.0\n",
		"tag":                 "version: !!str 1\n",
		"own tag":             "version: 1.0.0\nx: !js/function x\n",
		"merge":               "version: 1.0.0\n<<: {version: 2.0.0}\n",
		"key twice":           "version: 1.0.0\nversion: 2.0.0\n",
		"key twice in a file": "version: 1.0.0\nfiles: [{url: a, url: b}]\n",
		"key that is a list":  "version: 1.0.0\n? [a]\n: b\n",
		"deep":                "version: 1.0.0\nx: " + strings.Repeat("[", 40) + strings.Repeat("]", 40),
		"very deep":           "version: 1.0.0\nx: " + strings.Repeat("[", 100_000),
		"long":                "version: 1.0.0\nx: " + strings.Repeat("x", manifest.MaxBytes),
		"not UTF-8":           "version: 1.0.0\nx: \xff",
		"UTF-16":              "\xff\xfev\x00e\x00",
		"files as text":       "version: 1.0.0\nfiles: a.exe\n",
		"file as text":        "version: 1.0.0\nfiles: [a.exe]\n",
		"size octal":          "version: 1.0.0\nfiles: [{url: a, size: 010}]\n",
		"size with lines":     "version: 1.0.0\nfiles: [{url: a, size: 1_000}]\n",
		"size as text":        "version: 1.0.0\nfiles: [{url: a, size: '1'}]\n",
		"size too large":      "version: 1.0.0\nfiles: [{url: a, size: 9007199254740993}]\n",
		"marked key":          "version: 1.0.0\nfiles: [{url: a,?size: 1}]\n",
		"old line break":      "version: 1.0.0\nfiles: [{url: a, size: 1\u0085}]\n",
		"text over lines":     "version: 1.0.0\nfiles: [{url: \"a\\\n\n b\"}]\n",
		"key over lines":      "version: 1.0.0\n? 'fi\n les'\n: []\n",
		"url as number":       "version: 1.0.0\nfiles: [{url: 1}]\n",
	} {
		_, err := manifest.Parse([]byte(raw))
		require.ErrorIs(t, err, manifest.ErrInvalid, what)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(signed))
	f.Add(manifest.None())
	raw, err := manifest.Make(awkward())
	require.NoError(f, err)
	f.Add(raw)
	f.Add([]byte("version: 1.0.0\nfiles:\n- url: 1.0.0/a.exe\n  sha512: AA==\n  size: 1\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		i, err := manifest.Parse(raw)
		if err != nil {
			require.ErrorIs(t, err, manifest.ErrInvalid)
			return
		}
		i.Check(i.Version, nil)
		if i.Packages {
			return
		}
		again, err := manifest.Make(i)
		if err != nil {
			return // the escapes made it too long
		}
		back, err := manifest.Parse(again)
		require.NoError(t, err)
		require.Equal(t, i.Version, back.Version)
		require.Equal(t, i.Files, back.Files)
	})
}
