package release_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/release"
)

// with makes a draft of a track with files of these names. Their bytes are their names.
func (s shop) with(track release.Track, version string, files map[release.Kind]string) string {
	s.t.Helper()
	var r meta.ClientRelease
	s.in(func(tx *meta.Tx) (err error) {
		r, err = release.Create(tx, alex, release.Content{Track: track, Version: version})
		return err
	})
	for kind, name := range files {
		s.attach(r.ID, kind, name, s.asset(name, []byte(version+name)))
	}
	return r.ID
}

func slugs(problems []release.Problem) []string {
	out := []string{}
	for _, p := range problems {
		out = append(out, p.Slug)
	}
	return out
}

// TestAReleaseRunsOnItsPlatform: the names of its programs say so.
func TestAReleaseRunsOnItsPlatform(t *testing.T) {
	s := open(t, metatest.SQLite(t))
	version := 0
	look := func(platform string, files map[release.Kind]string) []release.Problem {
		version++
		id := s.with(release.Track{Channel: "stable", Platform: platform, Arch: "x64"}, fmt.Sprintf("1.0.%d", version), files)
		x, err := release.Look(ctx, s.db, release.Ask{ReleaseID: id, Percentage: 100})
		require.NoError(t, err)
		return x.Problems
	}
	for platform, names := range map[string]struct{ installer, portable, wrong []string }{
		"win32":  {[]string{"a.exe", "a.MSI"}, []string{"a.exe", "a.msi", "a.Zip"}, []string{"a.dmg", "a.AppImage", "a.deb", "a.tar.gz", "exe", "a"}},
		"darwin": {[]string{"a.zip", "a.dmg", "a.pkg"}, []string{"a.zip", "a.DMG"}, []string{"a.exe", "a.msi", "a.AppImage", "a.tar.gz"}},
		"linux":  {[]string{"a.AppImage", "a.deb", "a.rpm"}, []string{"a.appimage", "a.tar.gz", "a.zip"}, []string{"a.exe", "a.dmg", "a.msi", "a.pkg"}},
	} {
		require.Contains(t, release.Platforms, platform)
		for _, name := range names.installer {
			require.Empty(t, look(platform, map[release.Kind]string{release.Installer: name}), "%s %s", platform, name)
		}
		for _, name := range names.portable {
			require.Empty(t, look(platform, map[release.Kind]string{release.Installer: "b" + names.installer[0], release.Portable: name}), "%s %s", platform, name)
		}
		for _, name := range names.wrong {
			got := look(platform, map[release.Kind]string{release.Installer: name})
			require.Equal(t, []string{"kind_of_platform"}, slugs(got), "%s %s", platform, name)
			require.Equal(t, name, got[0].Artifact)
			require.Contains(t, got[0].English, platform)
			require.NotContains(t, got[0].English+got[0].Chinese, "%!")
		}
	}
	require.Equal(t, []string{"kind_of_platform"}, slugs(look("win32", map[release.Kind]string{release.Installer: "a.zip"})))
	require.Equal(t, []string{"kind_of_platform"}, slugs(look("linux", map[release.Kind]string{release.Installer: "a.tar.gz"})))
	// No call makes such a row.
	id := s.with(stable, "2.0.0", map[release.Kind]string{release.Installer: "a.exe", release.Manifest: "latest.yml"})
	s.exec("UPDATE release_artifacts SET name = 'latest.txt' WHERE release_id = ? AND kind = 'manifest'", id)
	x, err := release.Look(ctx, s.db, release.Ask{ReleaseID: id, Percentage: 100})
	require.NoError(t, err)
	require.Equal(t, []string{"artifact_kind"}, slugs(x.Problems))
	require.Empty(t, look("win32", map[release.Kind]string{release.Installer: "a.exe", release.Manifest: "latest.YAML"}))
}

// TestARehearsalSaysWhatAPublicationSays where no byte of the large files is needed for it.
func TestARehearsalSaysWhatAPublicationSays(t *testing.T) {
	onEach(t, func(s shop) {
		mac := release.Track{Channel: "stable", Platform: "darwin", Arch: "x64"}
		for want, id := range map[string]string{
			"release_without_zip":      s.with(mac, "1.0.0", map[release.Kind]string{release.Installer: "a.dmg"}),
			"manifest_version_differs": s.uploaded("1.0.1", []byte("version: 9.9.9\nfiles: []\n")),
			"manifest_file_missing":    s.uploaded("1.0.2", []byte("version: 1.0.2\nfiles:\n  - url: b-1.0.2.exe\n    sha512: x\npath: b-1.0.2.exe\nsha512: x\n")),
			"manifest_invalid":         s.uploaded("1.0.3", []byte("no manifest\n")),
			"manifest_too_long":        s.uploaded("1.0.4", bytes.Repeat([]byte("#"), 256<<10+1)),
		} {
			x, err := release.Rehearse(ctx, s.db, s.zones, release.Ask{ReleaseID: id, Percentage: 100})
			require.NoError(s.t, err)
			require.Contains(s.t, slugs(x.Problems), want)
			for i, p := range x.Problems {
				require.NotContains(s.t, x.Problems[:i], p, "each problem is told once")
			}
			y, err := release.Examine(ctx, s.db, s.zones, release.Ask{ReleaseID: id, Percentage: 100})
			require.NoError(s.t, err)
			require.Equal(s.t, x.Problems, y.Problems)
		}

		// What is swapped in the store is found and not marked: that is for a publication.
		text := []byte("version: 1.0.5\nfiles: []\n")
		id := s.uploaded("1.0.5", text)
		s.write(s.object(digestOf(text)), []byte("Version: 1.0.5\nfiles: []\n"))
		x, err := release.Rehearse(ctx, s.db, s.zones, release.Ask{ReleaseID: id, Percentage: 100})
		require.NoError(s.t, err)
		require.Equal(s.t, []string{"checksum_mismatch"}, slugs(x.Problems))
		require.Empty(s.t, s.records("blob.damage"))
		_, err = s.try(id, 100)
		refusedWith(s.t, err, storage.CodeReleaseNotPublishable, "checksum_mismatch")
		require.Len(s.t, s.records("blob.damage"), 1)
	})
}

// uploaded makes a draft with an installer and an uploaded manifest.
func (s shop) uploaded(version string, text []byte) string {
	s.t.Helper()
	id := s.with(stable, version, map[release.Kind]string{release.Installer: "a.exe"})
	s.attach(id, release.Manifest, "latest.yml", s.asset("latest.yml", text))
	return id
}
