package manifest_test

import (
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/release/manifest"
)

func TestAManifestMustAgreeWithItsRelease(t *testing.T) {
	have := []manifest.Artifact{artifact("My App 1.0.0.exe"), artifact("app.exe"), artifact("a:1.0.0.exe")}
	good := manifest.File{URL: "1.0.0/My%20App%201.0.0.exe", SHA512: base64Sum("My App 1.0.0.exe"), Size: 16}
	with := func(f func(*manifest.Info)) manifest.Info {
		i := manifest.Info{Version: "1.0.0", Files: []manifest.File{good}}
		f(&i)
		return i
	}
	url := func(u string) manifest.Info { return with(func(i *manifest.Info) { i.Files[0].URL = u }) }
	for what, x := range map[string]struct {
		info manifest.Info
		want []string
	}{
		"good":            {with(func(*manifest.Info) {}), nil},
		"flat":            {url("My App 1.0.0.exe"), nil},
		"size left out":   {with(func(i *manifest.Info) { i.Files[0].Size = 0 }), nil},
		"hexadecimal sum": {with(func(i *manifest.Info) { i.Files[0].SHA512 = have[0].SHA512Hex }), nil},
		"old form too":    {with(func(i *manifest.Info) { i.Path, i.SHA512 = good.URL, good.SHA512 }), nil},
		"old without sum": {with(func(i *manifest.Info) { i.Path = good.URL }), nil},
		"old elsewhere":   {with(func(i *manifest.Info) { i.Path, i.SHA512 = "https://x/1.0.0.exe", good.SHA512 }), []string{"manifest_url_invalid"}},
		"old wrong":       {with(func(i *manifest.Info) { i.Path, i.SHA512 = good.URL, base64Sum("x") }), []string{"manifest_checksum_differs"}},
		"absent in both": {with(func(i *manifest.Info) {
			i.Files[0].URL, i.Path, i.SHA512 = "1.0.0/other.exe", "1.0.0/other.exe", good.SHA512
		}), []string{"manifest_file_missing"}},
		"other version":     {with(func(i *manifest.Info) { i.Version = "1.0.1" }), []string{"manifest_version_differs"}},
		"no files":          {with(func(i *manifest.Info) { i.Files = nil }), []string{"manifest_without_files"}},
		"web installer":     {with(func(i *manifest.Info) { i.Packages = true }), []string{"manifest_of_web_installer"}},
		"staged":            {with(func(i *manifest.Info) { i.Staged = true }), []string{"manifest_staging"}},
		"twice":             {with(func(i *manifest.Info) { i.Files = append(i.Files, good) }), []string{"manifest_file_twice"}},
		"wrong sum":         {with(func(i *manifest.Info) { i.Files[0].SHA512 = base64Sum("x") }), []string{"manifest_checksum_differs"}},
		"no sum":            {with(func(i *manifest.Info) { i.Files[0].SHA512 = "" }), []string{"manifest_checksum_differs"}},
		"sum with a line":   {with(func(i *manifest.Info) { i.Files[0].SHA512 += "\n" }), []string{"manifest_checksum_differs"}},
		"wrong size":        {with(func(i *manifest.Info) { i.Files[0].Size = 17 }), []string{"manifest_size_differs"}},
		"absent":            {url("1.0.0/other.exe"), []string{"manifest_file_missing"}},
		"other folder":      {url("0.9.0/My%20App%201.0.0.exe"), []string{"manifest_url_without_version"}},
		"no version at all": {url("app.exe"), []string{"manifest_url_without_version", "manifest_checksum_differs", "manifest_size_differs"}},
	} {
		got := x.info.Check("1.0.0", have)
		require.ElementsMatch(t, x.want, slugs(got), what)
		for _, p := range got {
			require.NotContains(t, p.English+p.Chinese, "%!", what)
			require.Equal(t, byte('.'), p.English[len(p.English)-1], what)
			require.True(t, hasChinese(p.Chinese), what)
		}
	}
}

func hasChinese(s string) bool {
	for _, r := range s {
		if unicode.Is(unicode.Han, r) {
			return true
		}
	}
	return false
}

func TestAddressesMustStayInTheFolder(t *testing.T) {
	for _, u := range []string{
		"", "/", "a/", "/1.0.0/a.exe", "//host/1.0.0.exe", "https://host/1.0.0.exe", "HTTPS:1.0.0.exe", "a:1.0.0.exe", "..", "../1.0.0.exe", "%2e%2E/1.0.0.exe",
		"1.0.0/..", "1.0.0/%2e%2e", "1.0.0/x/a.exe", "1.0.0/x%2fa.exe", `1.0.0\a.exe`, "1.0.0/x%5Ca.exe", "1.0.0.exe?x", "1.0.0.exe#x", " 1.0.0.exe",
		"1.0.0.exe\n", "1.0.0/\ta.exe", "1.0.0/%0aa.exe", "1.0.0/%zz", "1.0.0/%ff.exe", "./1.0.0.exe", "1.0.0/.", "\u00a01.0.0.exe",
	} {
		i := manifest.Info{Version: "1.0.0", Files: []manifest.File{{URL: u, SHA512: base64Sum("x")}}}
		require.Equal(t, []string{"manifest_url_invalid"}, slugs(i.Check("1.0.0", nil)), "%q", u)
	}
}

func TestWhatLiesBesideAManifest(t *testing.T) {
	i := manifest.Info{Version: "1.0.0", Path: "old%201.0.0.exe", Files: []manifest.File{{URL: "a%201.0.0.exe"}, {URL: "1.0.0/b.exe"}}}
	for name, want := range map[string]bool{
		"a 1.0.0.exe": true, "a 1.0.0.exe.blockmap": true, "old 1.0.0.exe": true, "b.exe": false, "b.exe.blockmap": false, "a%201.0.0.exe": false, "": false,
	} {
		require.Equal(t, want, i.Beside(name), name)
	}
	require.True(t, manifest.Info{Path: "a"}.Beside("a"), "the old form")
}

func TestAVersionIsNoPartOfALongerOne(t *testing.T) {
	for u, want := range map[string]string{
		"App-11.0.0.exe": "manifest_url_without_version", "App-1.0.01.exe": "manifest_url_without_version",
		"App-11.0.0-1.0.0.exe": "", "App-1.0.0.exe": "", "1.0.0": "", "v1.0.0-x64.exe": "",
	} {
		i := manifest.Info{Version: "1.0.0", Files: []manifest.File{{URL: u, SHA512: base64Sum(u)}}}
		got := slugs(i.Check("1.0.0", []manifest.Artifact{artifact(u)}))
		if want == "" {
			require.Empty(t, got, u)
		} else {
			require.Equal(t, []string{want}, got, u)
		}
	}
}
