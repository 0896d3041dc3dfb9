package release_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
	"gatehouse/storage/release"
)

func TestAReleaseIsPublishedWithItsManifestAndTheDigestsOfItsPieces(t *testing.T) {
	onEach(t, func(s shop) {
		id, digest := s.draft("1.4.0")
		r := s.publish(id, 100)
		require.Equal(s.t, "1.4.0", s.published())
		require.NotZero(s.t, r.PublishedAt)
		require.NotZero(s.t, r.FullAt)
		require.Contains(s.t, r.Manifest, "1.4.0/App%20Setup%201.4.0.exe")

		content := bytes.Repeat([]byte("installer of 1.4.0\n"), 20_000)
		var want []byte
		for piece := range bytesIn(content, release.PieceBytes) {
			sum := sha256.Sum256(piece)
			want = append(want, sum[:]...)
		}
		var d meta.ReleaseDigests
		s.in(func(tx *meta.Tx) error {
			_, err := tx.Scan(&d, "SELECT * FROM release_digests WHERE sha256 = ?", digest)
			return err
		})
		require.EqualValues(s.t, release.PieceBytes, d.PieceBytes)
		require.Equal(s.t, base64.StdEncoding.EncodeToString(want), d.Digests)
		require.Greater(s.t, len(want), 64)

		record := s.records("release.publish")[0]
		require.Equal(s.t, "draft", record["before"].(map[string]any)["state"])
		require.Equal(s.t, "published", record["after"].(map[string]any)["state"])
		require.Equal(s.t, "a test", record["reason"])

		_, err := s.try(id, 100)
		refusedWith(s.t, err, storage.CodeConflict, "release_published")
	})
}

func bytesIn(b []byte, n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			piece := b[:min(n, len(b))]
			b = b[len(piece):]
			if !yield(piece) {
				return
			}
		}
	}
}

// TestWhatDevicesOutsideTheStageGet walks through a life of a track.
func TestWhatDevicesOutsideTheStageGet(t *testing.T) {
	onEach(t, func(s shop) {
		one, _ := s.draft("1.0.0")
		two, _ := s.draft("2.0.0")
		three, _ := s.draft("3.0.0")
		four, _ := s.draft("4.0.0")
		five, _ := s.draft("5.0.0")
		six, _ := s.draft("6.0.0")

		require.Empty(s.t, s.publish(one, 10).FallbackID)
		require.Zero(s.t, s.row(one).FullAt)
		r, err := release.SetPercentage(ctx, s.db, alex, one, 100)
		require.NoError(s.t, err)
		require.NotZero(s.t, r.FullAt)

		require.Equal(s.t, one, s.publish(two, 20).FallbackID)
		require.Equal(s.t, string(release.Superseded), s.row(one).State)
		// 2.0.0 never was for all: 1.0.0 remains what the others get.
		require.Equal(s.t, one, s.publish(three, 0).FallbackID)
		_, err = release.SetPercentage(ctx, s.db, alex, three, 100)
		require.NoError(s.t, err)
		// A release that was stopped is nobody's fallback.
		_, err = release.Pause(ctx, s.db, alex, three)
		require.NoError(s.t, err)
		require.Equal(s.t, one, s.publish(four, 50).FallbackID)
		_, err = release.SetPercentage(ctx, s.db, alex, four, 100)
		require.NoError(s.t, err)

		_, err = release.Archive(ctx, s.db, alex, one)
		refusedWith(s.t, err, storage.CodeConflict, "release_fallback")
		_, err = release.Archive(ctx, s.db, alex, two)
		require.NoError(s.t, err)

		require.Equal(s.t, four, s.publish(five, 1).FallbackID)
		// Nor is one that was for all and is held back now.
		for _, percentage := range []int{100, 0} {
			_, err = release.SetPercentage(ctx, s.db, alex, five, percentage)
			require.NoError(s.t, err)
		}
		require.Equal(s.t, four, s.publish(six, 10).FallbackID)
		require.Zero(s.t, s.row(five).FullAt)
		_, err = release.Unpublish(ctx, s.db, alex, six)
		require.NoError(s.t, err)
		require.Empty(s.t, s.published())
		require.Zero(s.t, s.row(six).FullAt)
		_, err = release.Archive(ctx, s.db, alex, one)
		require.NoError(s.t, err)
	})
}

// Whoever goes back over a version does not want devices to have it, also when what he went back to was held back since.
func TestNobodyFallsBackOnWhatWasSkipped(t *testing.T) {
	onEach(t, func(s shop) {
		one, _ := s.draft("1.0.0")
		two, _ := s.draft("2.0.0")
		three, _ := s.draft("3.0.0")
		four, _ := s.draft("4.0.0")
		five, _ := s.draft("5.0.0")
		s.publish(one, 100)
		s.publish(two, 100)
		s.publish(three, 100)
		_, err := release.Switch(ctx, s.db, s.zones, alex, release.Ask{ReleaseID: one, Percentage: 50, Back: true})
		require.NoError(s.t, err)
		require.Zero(s.t, s.row(one).FullAt)
		require.Equal(s.t, []any{two}, s.records("release.rollback")[0]["skipped"])
		require.Empty(s.t, s.publish(four, 10).FallbackID, "1.0.0 was held back, and 2.0.0 gone back over")

		_, err = s.back(one)
		require.NoError(s.t, err)
		for _, percentage := range []int{50, 100} {
			_, err = release.SetPercentage(ctx, s.db, alex, one, percentage)
			require.NoError(s.t, err)
		}
		require.Equal(s.t, one, s.publish(five, 10).FallbackID, "the last that was for all")
		_, err = release.Force(ctx, s.db, alex, one, true, "")
		require.NoError(s.t, err, "devices still get it")
		r, err := release.Unpublish(ctx, s.db, alex, one)
		require.NoError(s.t, err, "it was found to be bad, and is taken back")
		require.Equal(s.t, string(release.Unpublished), r.State)
		require.Zero(s.t, r.FullAt)
		require.Equal(s.t, "5.0.0", s.published())
	})
}

func TestPublishesWhatWasSeen(t *testing.T) {
	onEach(t, func(s shop) {
		id, _ := s.draft("1.0.0")
		seen := s.row(id).Revision
		s.attach(id, release.Portable, "App 1.0.0.exe", s.asset("y.exe", []byte("another program")))
		_, err := release.Switch(ctx, s.db, s.zones, alex, release.Ask{ReleaseID: id, Percentage: 100, Revision: &seen})
		refusedWith(s.t, err, storage.CodeReleasePublishedConflict, "revision")
		require.Empty(s.t, s.published())
		seen = s.row(id).Revision
		_, err = release.Switch(ctx, s.db, s.zones, alex, release.Ask{ReleaseID: id, Percentage: 100, Revision: &seen})
		require.NoError(s.t, err)
	})
}

func TestPauseAndResume(t *testing.T) {
	onEach(t, func(s shop) {
		id, digest := s.draft("1.0.0")
		_, err := release.Pause(ctx, s.db, alex, id)
		refusedWith(s.t, err, storage.CodeConflict, "release_not_published")
		s.publish(id, 30)
		r, err := release.Pause(ctx, s.db, alex, id)
		require.NoError(s.t, err)
		require.Equal(s.t, string(release.Paused), r.State)
		require.Equal(s.t, "1.0.0", s.published(), "it holds its track")

		s.exec("UPDATE blobs SET scan_status = 'infected', revision = revision + 1 WHERE sha256 = ?", digest)
		_, err = release.Resume(ctx, s.db, alex, id)
		refusedWith(s.t, err, storage.CodeReleaseNotPublishable, "infected")
		_, err = release.SetPercentage(ctx, s.db, alex, id, 31)
		refusedWith(s.t, err, storage.CodeReleaseNotPublishable, "infected")
		_, err = release.SetPercentage(ctx, s.db, alex, id, 29)
		require.NoError(s.t, err, "fewer devices is always right")
		s.exec("UPDATE blobs SET scan_status = 'clean', revision = revision + 1 WHERE sha256 = ?", digest)
		r, err = release.Resume(ctx, s.db, alex, id)
		require.NoError(s.t, err)
		require.Equal(s.t, 29, r.Percentage)
		_, err = release.Resume(ctx, s.db, alex, id)
		refusedWith(s.t, err, storage.CodeConflict, "release_not_paused")
		require.Len(s.t, s.records("release.resume"), 1)
		require.Len(s.t, s.records("release.percentage"), 1)
	})
}

func TestForce(t *testing.T) {
	onEach(t, func(s shop) {
		id, _ := s.draft("1.2.0")
		s.publish(id, 100)
		r, err := release.Force(ctx, s.db, alex, id, true, "v1.1.0")
		require.NoError(s.t, err)
		require.True(s.t, r.Forced)
		require.Equal(s.t, "1.1.0", r.MinVersion)
		_, err = release.Force(ctx, s.db, alex, id, true, "1.2.1")
		refusedWith(s.t, err, storage.CodeReleaseVersionInvalid, "min_version_later")
		_, err = release.Force(ctx, s.db, alex, id, true, "one")
		refusedWith(s.t, err, storage.CodeReleaseVersionInvalid, "")
		r, err = release.Force(ctx, s.db, alex, id, false, "")
		require.NoError(s.t, err)
		require.False(s.t, r.Forced)
		require.Empty(s.t, r.MinVersion)

		// The version of a draft does not fall below what it asks clients to have.
		next, _ := s.draft("2.0.0")
		_, err = release.Force(ctx, s.db, alex, next, false, "1.9.0")
		require.NoError(s.t, err)
		edit := func(version string) error {
			return s.db.InTx(ctx, func(tx *meta.Tx) error {
				_, err := release.Edit(tx, alex, next, func(c *release.Content) { c.Version = version })
				return err
			})
		}
		refusedWith(s.t, edit("1.8.9"), storage.CodeReleaseVersionInvalid, "min_version_later")
		require.Equal(s.t, "2.0.0", s.row(next).Version)
		require.NoError(s.t, edit("1.9.0"))
	})
}

func TestVersionsAreUsedOnceAndGoUp(t *testing.T) {
	onEach(t, func(s shop) {
		create := func(version string) error {
			return s.db.InTx(ctx, func(tx *meta.Tx) error {
				_, err := release.Create(tx, alex, release.Content{Track: stable, Version: version})
				return err
			})
		}
		refusedWith(s.t, create("1.0"), storage.CodeReleaseVersionInvalid, "")
		id := s.empty("1.0.0+one")
		refusedWith(s.t, create("1.0.0+two"), storage.CodeConflict, "version_used")
		_, err := release.Archive(ctx, s.db, alex, id)
		require.NoError(s.t, err)
		again, _ := s.draft("1.0.0") // the archived draft has given it back
		s.publish(again, 100)
		next, _ := s.draft("2.0.0")
		s.publish(next, 100)
		_, err = release.Archive(ctx, s.db, alex, again)
		require.Error(s.t, err) // its fallback
		low, _ := s.draft("1.5.0")
		_, err = s.try(low, 100)
		refusedWith(s.t, err, storage.CodeReleaseNotPublishable, "version_not_later")
		_, err = release.Unpublish(ctx, s.db, alex, next)
		require.NoError(s.t, err)
		_, err = release.Archive(ctx, s.db, alex, next)
		require.NoError(s.t, err)
		refusedWith(s.t, create("2.0.0"), storage.CodeConflict, "version_used")
		s.publish(low, 100) // nothing is published: it may be any
	})
}

// The longest notes that are taken fit into a manifest; what does not is a reason, and no failure.
func TestNotesThatNoManifestTakes(t *testing.T) {
	s := open(t, metatest.SQLite(t))
	for i, letter := range []string{"\n", "\"", "\t", "😀", "\ufeff", "\u2028", "a "} {
		id, _ := s.draft(fmt.Sprintf("1.%d.0", i))
		s.in(func(tx *meta.Tx) error {
			_, err := release.Edit(tx, alex, id, func(c *release.Content) { c.Notes = strings.Repeat(letter, release.MaxNotes/len(letter)) })
			return err
		})
		s.publish(id, 100)
	}
	id, _ := s.draft("2.0.0")
	s.exec("UPDATE client_releases SET notes = ? WHERE id = ?", strings.Repeat("\x01", release.MaxNotes), id) // of a time when they were taken
	_, err := s.try(id, 100)
	refusedWith(t, err, storage.CodeReleaseNotPublishable, "manifest_not_made")
}

func TestRollback(t *testing.T) {
	onEach(t, func(s shop) {
		one, _ := s.draft("1.0.0")
		two, digest := s.draft("2.0.0")
		three, _ := s.draft("3.0.0")
		never, _ := s.draft("4.0.0")
		s.publish(one, 100)
		s.publish(two, 100)
		first := s.row(two)
		s.publish(three, 100)
		_, err := s.back(never)
		refusedWith(s.t, err, storage.CodeConflict, "release_never_published")
		_, err = s.back(three)
		refusedWith(s.t, err, storage.CodeConflict, "release_published")

		now := meta.Now()
		s.in(func(tx *meta.Tx) error {
			for device, version := range map[string]string{"a": "1.0.0", "b": "2.0.0", "c": "3.0.0", "d": "3.0.0+x", "e": "2.5.0", "f": "what", "old": "1.0.0"} {
				d := meta.ReleaseDevice{TenantID: release.PlatformTenant, DeviceID: device, Version: version, Channel: "stable", Platform: "win32", Arch: "x64", LastSeenAt: now}
				if device == "old" {
					d.LastSeenAt = 1
				}
				if err := tx.Create(&d); err != nil {
					return err
				}
			}
			return tx.Create(&meta.ReleaseDevice{TenantID: release.PlatformTenant, DeviceID: "mac", Version: "1.0.0", Channel: "stable", Platform: "darwin", Arch: "x64", LastSeenAt: now})
		})
		o, err := release.Foresee(ctx, s.db, two)
		require.NoError(s.t, err)
		require.Equal(s.t, release.Outlook{From: "3.0.0", To: "2.0.0", FromID: three, Devices: 6, Stay: 3, Helped: 1, Already: 1, Other: 1}, o)

		s.exec("UPDATE blobs SET damage = 'digest', revision = revision + 1 WHERE sha256 = ?", digest)
		_, err = s.back(two)
		refusedWith(s.t, err, storage.CodeReleaseNotPublishable, "damaged")
		require.Equal(s.t, "3.0.0", s.published())
		s.exec("UPDATE blobs SET damage = '', revision = revision + 1 WHERE sha256 = ?", digest)
		r, err := s.back(two)
		require.NoError(s.t, err)
		require.Equal(s.t, first.Manifest, r.Manifest)
		require.Equal(s.t, first.PublishedAt, r.PublishedAt)
		require.Equal(s.t, one, r.FallbackID)
		require.Equal(s.t, string(release.Superseded), s.row(three).State)
		require.Zero(s.t, s.row(three).FullAt)
		require.Len(s.t, s.records("release.rollback"), 1)
		r, err = s.back(three)
		require.NoError(s.t, err)
		require.Equal(s.t, two, r.FallbackID, "which was for all until then")
		require.Equal(s.t, "3.0.0", s.published())

		_, err = release.Unpublish(ctx, s.db, alex, three)
		require.NoError(s.t, err)
		o, err = release.Foresee(ctx, s.db, two)
		require.NoError(s.t, err)
		require.Equal(s.t, release.Outlook{To: "2.0.0", Devices: 6, Stay: 3, Helped: 1, Already: 1, Other: 1}, o, "who has it stays on it when it is published no more")
		_, err = s.back(one)
		require.NoError(s.t, err)
		o, err = release.Foresee(ctx, s.db, three)
		require.NoError(s.t, err)
		require.Equal(s.t, release.Outlook{From: "1.0.0", To: "3.0.0", FromID: one, Devices: 6, Helped: 3, Already: 2, Other: 1}, o, "forward again")
		for id, reason := range map[string]string{two: "release_archived", never: "release_never_published"} {
			_, err = release.Archive(ctx, s.db, alex, id)
			require.NoError(s.t, err)
			_, err = s.back(id)
			refusedWith(s.t, err, storage.CodeConflict, reason)
		}
	})
}
