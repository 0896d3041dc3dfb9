package release_test

import (
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

// named makes a draft with an installer of that name and content. address, where it is not empty, is what an uploaded manifest
// calls the installer.
func (s shop) named(version, name, content, address string) string {
	s.t.Helper()
	id := s.empty(version)
	s.attach(id, release.Installer, name, s.asset("x.exe", []byte(content)))
	if address != "" {
		sum := sha512.Sum512([]byte(content))
		text := fmt.Appendf(nil, "version: %s\nfiles: [{url: %s, sha512: %s, size: %d}]\n", version, address, base64.StdEncoding.EncodeToString(sum[:]), len(content))
		s.attach(id, release.Manifest, "latest.yml", s.asset("latest.yml", text))
	}
	return id
}

// TestNobodyTakesAnEarlierReleasesNameOver: names without a folder are served of the release that was published last.
func TestNobodyTakesAnEarlierReleasesNameOver(t *testing.T) {
	onEach(t, func(s shop) {
		// In folders of versions a name may come again, with a manifest of the publisher and without.
		s.publish(s.named("0.1.0", "App.exe", "0.1.0", ""), 100)
		s.publish(s.named("0.2.0", "App.exe", "0.2.0", "0.2.0/App.exe"), 100)
		s.publish(s.named("0.3.0", "App.exe", "0.3.0", ""), 100)

		flat := s.named("1.0.0", "App-1.0.0.exe", "1.0.0", "App-1.0.0.exe")
		s.attach(flat, release.Blockmap, "App-1.0.0.exe.blockmap", s.asset("m", []byte("the map")))
		s.publish(flat, 100)
		other := s.named("1.1.0", "App.exe", "1.1.0", "")
		s.attach(other, release.Portable, "App-1.0.0.exe", s.asset("x.exe", []byte("another one")))
		s.attach(other, release.Blockmap, "App-1.0.0.exe.blockmap", s.asset("m", []byte("another map")))
		_, err := s.try(other, 100)
		refusedWith(s.t, err, storage.CodeReleaseNotPublishable, "name_taken")
		x, err := release.Look(ctx, s.db, release.Ask{ReleaseID: other})
		require.NoError(s.t, err)
		require.Len(s.t, x.Problems, 2)
		require.Equal(s.t, "App-1.0.0.exe", x.Problems[0].Artifact)
		require.Equal(s.t, "App-1.0.0.exe.blockmap", x.Problems[1].Artifact)
		require.Equal(s.t, "1.0.0", s.published())

		// It stays the earlier one's when that is taken back, and is free to the same file, and in another track.
		_, err = release.Unpublish(ctx, s.db, alex, flat)
		require.NoError(s.t, err)
		_, err = s.try(other, 100)
		refusedWith(s.t, err, storage.CodeReleaseNotPublishable, "name_taken")
		s.publish(s.named("1.2.0", "App-1.0.0.exe", "1.0.0", ""), 100)
		s.in(func(tx *meta.Tx) error {
			_, err := release.Edit(tx, alex, other, func(c *release.Content) { c.Channel = "beta" })
			return err
		})
		s.publish(other, 100)
		_, err = s.back(flat)
		require.NoError(s.t, err)
	})
}

// TestANameIsTakenWhileAReleaseIsExamined: another release is published and taken back meanwhile, so that the track looks as before.
func TestANameIsTakenWhileAReleaseIsExamined(t *testing.T) {
	onEach(t, func(s shop) {
		late := s.named("2.0.0", "App-1.0.0.exe", "2.0.0", "")
		x, err := release.Examine(ctx, s.db, s.zones, release.Ask{ReleaseID: late, Percentage: 100})
		require.NoError(s.t, err)
		require.Empty(s.t, x.Problems)
		flat := s.named("1.0.0", "App-1.0.0.exe", "1.0.0", "App-1.0.0.exe")
		s.publish(flat, 100)
		_, err = release.Unpublish(ctx, s.db, alex, flat)
		require.NoError(s.t, err)
		err = s.db.InTx(ctx, func(tx *meta.Tx) error {
			_, err := release.Publish(tx, alex, x)
			return err
		})
		refusedWith(s.t, err, storage.CodeReleaseNotPublishable, "name_taken")
		require.Empty(s.t, s.published())
		require.Equal(s.t, string(release.Draft), s.row(late).State)
	})
}
