package manifest_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/e2e/node"
	"gatehouse/storage/release/manifest"
)

// said is what electron-updater makes of a manifest.
type said struct {
	Info *struct {
		Version, Path, SHA512, ReleaseName, MinimumSystemVersion string
		ReleaseDate, ReleaseNotes                                any
		StagingPercentage                                        *float64
	}
	Files []struct {
		URL, SHA512        string
		Size, BlockMapSize int64
	}
	URLs  []string
	Error string
}

func ask(t *testing.T, manifests ...string) []said {
	t.Helper()
	var raw []json.RawMessage
	node.Run(t, "manifests.mjs", map[string]any{"manifests": manifests}, &raw)
	require.Len(t, raw, len(manifests))
	out := make([]said, len(raw))
	for n := range raw {
		if err := json.Unmarshal(raw[n], &out[n]); err != nil {
			t.Errorf("%v: of %q electron-updater makes %s", err, manifests[n], raw[n])
		}
	}
	return out
}

func same(t *testing.T, i manifest.Info, s said, of string) {
	t.Helper()
	require.Empty(t, s.Error, of)
	require.Equal(t, []string{i.Version, i.Path, i.SHA512, i.MinimumSystemVersion},
		[]string{s.Info.Version, s.Info.Path, s.Info.SHA512, s.Info.MinimumSystemVersion}, of)
	if len(i.Files) == 0 && i.Path != "" {
		i.Files = []manifest.File{{URL: i.Path, SHA512: i.SHA512}}
	}
	require.Len(t, s.Files, len(i.Files), of)
	for n, f := range i.Files {
		require.Equal(t, f, manifest.File(s.Files[n]), of)
	}
}

func TestElectronUpdaterReadsWhatIsWritten(t *testing.T) {
	info, wrong := manifest.For("darwin", "1.4.0", day, manifest.Artifacts{Installer: artifact("Ünï 码 (1.4.0)+#?%&.dmg"), Portable: artifact("App 1.4.0.zip")})
	require.Empty(t, wrong)
	infos := []manifest.Info{awkward(), info}
	r := rand.New(rand.NewPCG(1, 2)) // always the same ones
	for range 300 {
		i := awkward()
		i.ReleaseNotes, i.ReleaseName = noise(r), noise(r)
		infos = append(infos, i)
	}
	texts := []string{string(manifest.None())}
	for _, i := range infos {
		raw, err := manifest.Make(i)
		require.NoError(t, err)
		texts = append(texts, string(raw))
	}
	all := ask(t, texts...)
	require.Equal(t, "0.0.0", all[0].Info.Version)
	require.Zero(t, *all[0].Info.StagingPercentage)
	for n, i := range infos {
		s := all[n+1]
		same(t, i, s, texts[n+1])
		require.Equal(t, i.ReleaseName, s.Info.ReleaseName)
		if i.ReleaseNotes != "" {
			require.Equal(t, i.ReleaseNotes, s.Info.ReleaseNotes)
		}
		require.Equal(t, day.Format("2006-01-02T15:04:05.000Z"), s.Info.ReleaseDate)
	}
	const folder = "http://feed.test/api/release/v1/feed/stable/win32/x64/1.4.0/"
	require.Equal(t, []string{folder + "App%201.4.0.zip", folder + "%C3%9Cn%C3%AF%20%E7%A0%81%20%281.4.0%29+%23%3F%25&.dmg"}, all[2].URLs)
}

// noise is text of what is special to YAML.
func noise(r *rand.Rand) string {
	marks := []string{"\n", "\r\n", " ", "  ", "\t", ":", "- ", "#", "\"", "'", "\\", "|", ">", "%", "@", "`", "{", "]", "&a", "*a", "!!x", "~", "é", "码", "🚀", "\u2028", "\u0085", "\ufeff", "\x00", "\x1b", "\x7f", "a", "1", "---", "..."}
	var b strings.Builder
	for range r.IntN(12) {
		b.WriteString(marks[r.IntN(len(marks))])
	}
	return b.String()
}

// TestWhatIsAcceptedMeansTheSameToElectronUpdater changes manifests at random. What Parse accepts of them, js-yaml must read to the
// same files.
func TestWhatIsAcceptedMeansTheSameToElectronUpdater(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4)) // always the same ones
	seeds := []string{signed, "version: 1.0.0\nfiles: [{url: '1.0.0/a b.exe', sha512: AA==, size: 12}]\npath: x\nsha512: y\n", "version: 1.2.3\npath: a-1.2.3.exe\nsha512: zz\n",
		"version: \"1.2.3\"\nfiles:\n- url: \"1.2.3/\\x41\\u00e9 b.exe\"\n  sha512: >-\n    AA==\n    BB\n  size: 7\n- {url: 'a''b', \"sha512\": x y, size: 3}\n",
		"%YAML 1.1\n---\nversion:\n  1.2.3\n  -x\nfiles:\n  -\n    url: plain over\n      two lines\n    sha512: x # c\n    size: 5\nextra: |2-\n   a\nmore: [a, {b: c}, 'd', e]\n...\n"}
	marks := []string{"\n", "\r", " ", "\t", ":", "-", "#", "\"", "'", "\\", "|", ">", "%", "{", "}", "[", "]", "&a ", "*a", "!", "~", "\u0085", "\u2028", "\ufeff", "<<: ", "?", "0", "_", "0x1", "1e3", "null", "yes", "\n---\n", "size: 1", "url: b", ","}
	var texts []string
	var infos []manifest.Info
	for _, seed := range seeds {
		_, err := manifest.Parse([]byte(seed))
		require.NoError(t, err, seed)
	}
	for range 20_000 {
		text := seeds[r.IntN(len(seeds))]
		for range 1 + r.IntN(2) {
			at, end := r.IntN(len(text)+1), 0
			end = min(len(text), at+r.IntN(3))
			text = text[:at] + marks[r.IntN(len(marks))] + text[end:]
		}
		if i, err := manifest.Parse([]byte(text)); err == nil {
			texts, infos = append(texts, text), append(infos, i)
		}
	}
	require.Greater(t, len(texts), 5000)
	read := 0
	for n, s := range ask(t, texts...) {
		require.NotContains(t, s.Error, "YAMLException", texts[n])
		if s.Error == "" { // else a checksum has lost its name, which Check finds
			same(t, infos[n], s, texts[n])
			read++
		}
	}
	require.Greater(t, read, len(texts)*3/4)
}

func TestElectronUpdaterReadsAPublishersManifest(t *testing.T) {
	i, err := manifest.Parse([]byte(signed))
	require.NoError(t, err)
	s := ask(t, signed)[0]
	same(t, i, s, signed)
	require.Equal(t, []string{"http://feed.test/api/release/v1/feed/stable/win32/x64/App%20Setup%202.0.0.exe"}, s.URLs)
	require.Equal(t, i.ReleaseNotes, s.Info.ReleaseNotes)
	require.WithinDuration(t, day, i.ReleaseDate, time.Millisecond)
}
