package release_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	releases "gatehouse/storage/release"
)

// Two devices, one of which is early in every stage.
const (
	early = "01234567-89ab-4cde-8f01-000000000001"
	late  = "01234567-89ab-4cde-8f01-0000f0000000"
)

const none = "version: \"0.0.0\"\nfiles: []\nstagingPercentage: 0\n"

func (r *rig) manifest(device string) string {
	r.t.Helper()
	got := r.get("feed/stable/win32/x64/latest.yml?noCache=1", "x-user-staging-id", device)
	require.Equal(r.t, http.StatusOK, got.status, string(got.body))
	require.Equal(r.t, "text/yaml; charset=utf-8", got.header.Get("Content-Type"))
	require.Equal(r.t, "no-cache", got.header.Get("Cache-Control"))
	require.Equal(r.t, "x-user-staging-id", got.header.Get("Vary"))
	return string(got.body)
}

func (r *rig) latest(query string) string {
	r.t.Helper()
	got := r.get("updates/latest/?platform=win32&arch=x64&" + query)
	require.Equal(r.t, http.StatusOK, got.status, string(got.body))
	require.Equal(r.t, "application/json", got.header.Get("Content-Type"))
	require.Equal(r.t, string(got.body), string(r.get("updates/latest?platform=win32&arch=x64&"+query).body))
	return string(got.body)
}

func TestEachDeviceGetsItsRelease(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		r := newRig(t, db)
		both := func(first, second string) {
			t.Helper()
			require.Equal(t, first, r.manifest(early))
			require.Equal(t, second, r.manifest(late))
			version := func(manifest string) string {
				if manifest == none {
					return `{"has_update":false,"latest_version":null}`
				}
				var v string
				_, err := fmt.Sscanf(manifest, "version: %s", &v)
				require.NoError(t, err)
				return fmt.Sprintf(`{"has_update":false,"latest_version":"%s"}`, v)
			}
			require.JSONEq(t, version(first), r.latest("current_version=9.0.0&device_id="+early))
			require.JSONEq(t, version(second), r.latest("current_version=9.0.0&device_id="+late))
		}
		both(none, none)

		old := r.publish(win, "1.0.0", superseded)
		both(none, none) // nothing holds the track
		now := r.publish(win, "1.1.0", func(row *meta.ClientRelease) { row.FallbackID, row.Percentage, row.FullAt = old.ID, 10, 0 })
		both(now.Manifest, old.Manifest)
		r.set(`UPDATE client_releases SET percentage = 100 WHERE id = ?`, now.ID)
		both(now.Manifest, now.Manifest)
		r.set(`UPDATE client_releases SET state = 'paused' WHERE id = ?`, now.ID)
		both(old.Manifest, old.Manifest)
		r.set(`UPDATE client_releases SET fallback_id = '' WHERE id = ?`, now.ID)
		both(none, none)
		r.set(`UPDATE client_releases SET state = 'published', fallback_id = ? WHERE id = ?`, old.ID, now.ID)
		both(now.Manifest, now.Manifest)

		// A file of it is found to be infected, rejected, damaged, moved, deleted, or is of a tenant that is not served.
		for _, harm := range []struct{ do, undo string }{
			{`UPDATE blobs SET scan_status = 'infected' WHERE sha256 = ?`, `UPDATE blobs SET scan_status = 'clean' WHERE sha256 = ?`},
			{`UPDATE blobs SET scan_status = 'pending' WHERE sha256 = ?`, `UPDATE blobs SET scan_status = 'clean' WHERE sha256 = ?`},
			{`UPDATE blobs SET zone = 'quarantine' WHERE sha256 = ?`, `UPDATE blobs SET zone = 'clean' WHERE sha256 = ?`},
			{`UPDATE blobs SET damage = 'digest' WHERE sha256 = ?`, `UPDATE blobs SET damage = '' WHERE sha256 = ?`},
			{`UPDATE blobs SET size = size + 1 WHERE sha256 = ?`, `UPDATE blobs SET size = size - 1 WHERE sha256 = ?`},
			{`UPDATE assets SET state = 'rejected' WHERE sha256 = ?`, `UPDATE assets SET state = 'available' WHERE sha256 = ?`},
			{`UPDATE assets SET state = 'deleted' WHERE sha256 = ?`, `UPDATE assets SET state = 'available' WHERE sha256 = ?`},
			{`UPDATE assets SET tenant_id = 'other' WHERE sha256 = ?`, `UPDATE assets SET tenant_id = '` + releases.PlatformTenant + `' WHERE sha256 = ?`},
			{`UPDATE release_digests SET piece_bytes = 0 WHERE sha256 = ?`, fmt.Sprintf(`UPDATE release_digests SET piece_bytes = %d WHERE sha256 = ?`, releases.PieceBytes)},
		} {
			content := []byte("the installer of " + now.ID)
			file := "feed/stable/win32/x64/1.1.0/App%20Setup%201.1.0.exe"
			r.set(harm.do, digestOf(content))
			both(old.Manifest, old.Manifest)
			require.GreaterOrEqual(t, r.get(file).status, 400, harm.do)
			r.set(harm.undo, digestOf(content))
			both(now.Manifest, now.Manifest)
			require.Equal(t, content, r.get(file).body)
		}
		r.set(`UPDATE tenants SET state = 'deleted' WHERE id = ?`, releases.PlatformTenant)
		both(none, none)
		r.refused(r.get("feed/stable/win32/x64/1.1.0/App%20Setup%201.1.0.exe"), 404, storage.CodeReleaseArtifactNotFound, "withdrawn")
	})
}

func TestLatestSaysWhatThereIs(t *testing.T) {
	r := newRig(t, metatest.SQLite(t))
	published := meta.StampOf(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	row := r.publish(win, "2.0.0-beta.1+build.5", func(row *meta.ClientRelease) { row.PublishedAt, row.MinVersion = published, "1.5.0" },
		upload{releases.Installer, "App Setup #1.exe", []byte("installer")}, upload{releases.Portable, "App.zip", []byte("portable")})
	base := publicURL + "/api/release/v1/feed/stable/win32/x64/2.0.0-beta.1+build.5/"
	want := func(force bool) string {
		return fmt.Sprintf(`{"has_update":true,"latest_version":"2.0.0-beta.1+build.5","force_update":%t,"min_required_version":"1.5.0",
			"download_url":"%sApp%%20Setup%%20%%231.exe","portable_url":"%sApp.zip","checksum_sha256":"%s","portable_checksum_sha256":"%s",
			"file_size_bytes":9,"release_notes":"Notes of <2.0.0-beta.1+build.5>","release_date":"2026-03-01T12:00:00Z"}`,
			force, base, base, digestOf([]byte("installer")), digestOf([]byte("portable")))
	}
	const newest = `{"has_update":false,"latest_version":"2.0.0-beta.1+build.5"}`
	for version, answer := range map[string]string{
		"1.4.9": want(true), "1.5.0-rc.1": want(true), "1.5.0": want(false), "v1.5.1": want(false), "2.0.0-beta.0": want(false),
		"2.0.0-beta.1": newest, "2.0.0-beta.1%2Bother": newest, "2.0.0": newest, "3.0.0": newest,
	} {
		require.JSONEq(t, answer, r.latest("current_version="+version), version)
	}
	r.set(`UPDATE client_releases SET forced = ? WHERE id = ?`, true, row.ID)
	require.JSONEq(t, want(true), r.latest("current_version=1.6.0"))
	require.JSONEq(t, newest, r.latest("current_version=2.0.0"), "nothing is forced where there is no update")
	require.JSONEq(t, `{"has_update":false,"latest_version":null}`, r.latest("current_version=1.0.0&channel=beta"))

	r.set(`UPDATE client_releases SET min_version = '' WHERE id = ?`, row.ID)
	r.api.PublicURL = ""
	got := r.latest("current_version=1.0.0")
	require.Contains(t, got, `"min_required_version":null`)
	require.Contains(t, got, `"download_url":"/api/release/v1/feed/stable/win32/x64/2.0.0-beta.1+build.5/App%20Setup%20%231.exe"`)
	require.Contains(t, got, "Notes of <2.0.0", "answers are no pages")
	require.Equal(t, []byte("installer"), r.get("feed/stable/win32/x64/2.0.0-beta.1+build.5/App%20Setup%20%231.exe").body)
}

func TestQuestionsThatAreWrong(t *testing.T) {
	r := newRig(t, metatest.SQLite(t))
	r.publish(win, "1.0.0", nil)
	for query, reason := range map[string]string{
		"": "platform", "platform=win32": "arch", "platform=beos&arch=x64": "platform", "platform=WIN32&arch=x64": "platform",
		"platform=win32&arch=ia32": "arch", "platform=win32&arch=x64&channel=": "channel", "platform=win32&arch=x64&channel=Beta": "channel",
		"platform=win32&arch=x64&channel=../x": "channel",
	} {
		r.refused(r.get("updates/latest/?current_version=1.0.0&"+query), 400, storage.CodeMalformedRequest, reason)
	}
	for _, version := range []string{"", "1", "1.0", "latest", "1.0.0.0", "01.0.0", "1.0.0-", "1.0.0+a+b", "1.0.0%00", "9007199254740992.0.0"} {
		for _, platform := range []string{"win32", "linux"} { // one where something is published, one where nothing is
			r.refused(r.get("updates/latest/?platform="+platform+"&arch=x64&current_version="+version), 400, storage.CodeReleaseVersionInvalid, "current_version")
		}
	}
	r.refused(r.get("updates/latest/?platform=win32&arch=x64"), 400, storage.CodeReleaseVersionInvalid, "current_version")
	r.refused(r.get("updates/latest/?platform=win32&arch=x64&current_version=1.0.0+build.1"), 400, storage.CodeReleaseVersionInvalid, "current_version")
	require.Equal(t, 405, r.ask(http.MethodPost, "updates/latest/").status)
}

func TestManifestsByTheirNames(t *testing.T) {
	r := newRig(t, metatest.SQLite(t))
	names := map[releases.Track][]string{
		win: {"latest.yml", "stable.yml"},
		{Channel: "beta", Platform: "win32", Arch: "arm64"}:   {"latest.yml", "beta.yml"},
		{Channel: "stable", Platform: "darwin", Arch: "x64"}:  {"latest-mac.yml", "stable-mac.yml"},
		{Channel: "stable", Platform: "linux", Arch: "x64"}:   {"latest-linux.yml", "stable-linux.yml"},
		{Channel: "beta", Platform: "linux", Arch: "arm64"}:   {"latest-linux-arm64.yml", "beta-linux-arm64.yml"},
		{Channel: "a-linux", Platform: "linux", Arch: "x86"}:  {"latest-linux-ia32.yml", "a-linux-linux-ia32.yml"},
		{Channel: "stable", Platform: "linux", Arch: "arm64"}: {"latest-linux-arm64.yml"},
	}
	for track := range names {
		r.publish(track, "1.0.0", func(row *meta.ClientRelease) { row.Manifest = track.Key() })
	}
	for track, files := range names {
		for _, name := range files {
			got := r.get("feed/" + track.Key() + "/" + name)
			require.Equal(t, 200, got.status, "%s %s", track, name)
			require.Equal(t, track.Key(), string(got.body))
			require.Equal(t, `"`+digestOf(got.body)+`"`, got.header.Get("ETag"))
			head := r.ask(http.MethodHead, "feed/"+track.Key()+"/"+name)
			require.Equal(t, 200, head.status)
			require.Empty(t, head.body)
			require.Equal(t, fmt.Sprint(len(track.Key())), head.header.Get("Content-Length"))
			known := r.get("feed/"+track.Key()+"/"+name, "If-None-Match", `"other", W/`+got.header.Get("ETag"))
			require.Equal(t, 304, known.status)
			require.Equal(t, got.header.Get("ETag"), known.header.Get("ETag"))
			require.Empty(t, known.body)
		}
	}
	for path, name := range map[string]string{
		"stable/win32/x64/latest-mac.yml": "latest.yml", "stable/win32/x64/beta.yml": "latest.yml", "stable/win32/x64/latest.yaml": "latest.yml",
		"stable/win32/x64/.yml": "latest.yml", "stable/win32/x64/Latest.yml": "latest.yml", "stable/darwin/x64/latest.yml": "latest-mac.yml",
		"stable/linux/x64/latest-linux-x64.yml": "latest-linux.yml", "stable/linux/arm64/latest-linux.yml": "latest-linux-arm64.yml",
		"beta/linux/x86/latest.yml": "latest-linux-ia32.yml",
	} {
		got := r.get("feed/" + path)
		r.refused(got, 404, storage.CodeReleaseArtifactNotFound, "manifest_name")
		require.Contains(t, string(got.body), `"manifest":"`+name+`"`)
	}
	r.refused(r.get("feed/stable/win32/x64/latest.exe"), 404, storage.CodeReleaseArtifactNotFound, "")
	for _, track := range []string{"stable/beos/x64", "stable/win32/ia32", "STABLE/win32/x64", "9/win32/x64", "%2e%2e/win32/x64", "stable/win32%00/x64"} {
		r.refused(r.get("feed/"+track+"/latest.yml"), 404, storage.CodeReleaseArtifactNotFound, "track_unknown")
		r.refused(r.get("feed/"+track+"/1.0.0/a.exe"), 404, storage.CodeReleaseArtifactNotFound, "track_unknown")
	}
	require.Equal(t, none, string(r.get("feed/never-heard-of/win32/x64/latest.yml").body))
}

// Nobody tells the API of changes: it looks.
func TestWhatIsPublishedShowsByItself(t *testing.T) {
	r := newRig(t, metatest.SQLite(t))
	row := r.publish(win, "1.0.0", nil)
	require.Equal(t, row.Manifest, r.manifest(early))
	_, err := r.db.Exec(t.Context(), `UPDATE blobs SET scan_status = 'infected'`)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return r.manifest(early) == none }, 10*time.Second, 10*time.Millisecond)
}

// What was fetched before a release was found damaged is not answered from, however late it comes.
func TestAViewThatComesLateIsForgottenToo(t *testing.T) {
	r := newRig(t, metatest.SQLite(t))
	now := r.publish(win, "1.0.0", nil)
	require.Equal(t, now.Manifest, r.manifest(early))
	n, err := r.db.Exec(t.Context(), `UPDATE blobs SET damage = 'digest'`)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	r.api.ForgetLate()
	require.Equal(t, none, r.manifest(early))
}

func TestAnswersOutliveTheDatabaseForAWhile(t *testing.T) {
	url := metatest.SQLiteURL(t)
	db, err := meta.Open(t.Context(), meta.Config{URL: url, MaxOpenConns: 4})
	require.NoError(t, err)
	require.NoError(t, db.Migrate(t.Context()))
	r := newRig(t, db)
	row := r.publish(win, "1.0.0", nil)
	require.Equal(t, row.Manifest, r.manifest(early))
	require.NoError(t, db.Close())
	r.api.Age(10 * time.Second)
	require.Equal(t, row.Manifest, r.manifest(early))
	r.api.Age(15 * time.Second)
	require.Equal(t, row.Manifest, r.manifest(early))
	r.api.Age(10 * time.Second)
	r.refused(r.get("feed/stable/win32/x64/latest.yml"), 503, storage.CodeUnavailable, "")
	r.refused(r.get("updates/latest/?platform=win32&arch=x64&current_version=1.0.0"), 503, storage.CodeUnavailable, "")
}

// A database that hangs keeps nobody waiting who can be answered.
func TestNobodyWaitsForADatabaseThatHangs(t *testing.T) {
	r := newRig(t, metatest.SQLite(t))
	row := r.publish(win, "1.0.0", nil)
	require.Equal(t, row.Manifest, r.manifest(early))
	r.api.Age(10 * time.Second)
	answer := r.api.Hang()
	for range 3 { // each would wait until the end of the test
		require.Equal(t, row.Manifest, r.manifest(early))
	}
	answer()
}

// A row that makes no sense is offered to nobody, and does not keep others from being offered.
func TestRowsThatMakeNoSense(t *testing.T) {
	r := newRig(t, metatest.SQLite(t))
	var said bytes.Buffer
	r.api.Log = slog.New(slog.NewTextHandler(&said, nil))
	row := r.publish(win, "1.0.0", nil)
	mac := releases.Track{Channel: "stable", Platform: "darwin", Arch: "arm64"}
	other := r.publish(mac, "1.0.0", nil)
	for _, sql := range []string{
		`UPDATE client_releases SET version = 'one' WHERE id = ?`, `UPDATE client_releases SET version = '1.0.0', min_version = 'one' WHERE id = ?`,
		`UPDATE client_releases SET min_version = '', manifest = '' WHERE id = ?`,
		`UPDATE client_releases SET manifest = 'm', published_at = 0 WHERE id = ?`,
	} {
		r.set(sql, row.ID)
		require.Equal(t, none, r.manifest(early), sql)
		require.Equal(t, other.Manifest, string(r.get("feed/"+mac.Key()+"/latest-mac.yml").body))
	}
	r.set(`UPDATE client_releases SET published_at = 1 WHERE id = ?`, row.ID)
	require.Equal(t, "m", r.manifest(early))
	require.Equal(t, 1, strings.Count(said.String(), "cannot be offered"), "once for each revision of the row: %s", &said)
	r.set(`UPDATE client_releases SET revision = revision + 1 WHERE id = ?`, row.ID)
	r.set(`DELETE FROM release_artifacts WHERE release_id = ?`, row.ID)
	require.Equal(t, none, r.manifest(early))
	require.Equal(t, 2, strings.Count(said.String(), "cannot be offered"), &said)
}
