package release_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/blob"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

// wrongs are what can be wrong with the rows of a file: the statement that makes it so, the one that mends it, and the reason.
var wrongs = []struct{ reason, wrong, right string }{
	{"infected", "UPDATE blobs SET scan_status = 'infected', zone = 'quarantine'", "UPDATE blobs SET scan_status = 'clean', zone = 'clean'"},
	{"scan_pending", "UPDATE blobs SET scan_status = 'pending', zone = 'quarantine'", "UPDATE blobs SET scan_status = 'clean', zone = 'clean'"},
	{"unscannable", "UPDATE blobs SET scan_status = 'unscannable'", "UPDATE blobs SET scan_status = 'clean'"},
	{"not_available", "UPDATE blobs SET zone = 'quarantine'", "UPDATE blobs SET zone = 'clean'"},
	{"damaged", "UPDATE blobs SET damage = 'missing'", "UPDATE blobs SET damage = ''"},
	{"verdict_stale", "UPDATE blobs SET scan_database = 'daily-0'", "UPDATE blobs SET scan_database = 'daily-1'"},
	{"asset_changed", "UPDATE blobs SET size = size + 1", "UPDATE blobs SET size = size - 1"},
	{"asset_changed", "UPDATE blobs SET sha512 = UPPER(sha512)", "UPDATE blobs SET sha512 = LOWER(sha512)"},
	{"asset_lost", "UPDATE blobs SET sweeping = TRUE", "UPDATE blobs SET sweeping = FALSE"},
	{"not_available", "UPDATE assets SET state = 'rejected'", "UPDATE assets SET state = 'available'"},
	{"not_available", "UPDATE assets SET state = 'quarantined'", "UPDATE assets SET state = 'available'"},
	{"asset_deleted", "UPDATE assets SET state = 'deleted'", "UPDATE assets SET state = 'available'"},
	{"tenant_not_served", "UPDATE tenants SET state = 'pending_delete', restore_state = 'active'", "UPDATE tenants SET state = 'active', restore_state = ''"},
}

func (s shop) spoil(sql, digest string) {
	s.t.Helper()
	if strings.Contains(sql, "UPDATE tenants") {
		s.exec(sql+" WHERE id = ?", release.PlatformTenant)
		return
	}
	s.exec(sql+" WHERE sha256 = ?", digest)
}

// TestNothingIsPublishedThatIsNotCleanAndWhole: what is wrong before the look at the rows, and what goes wrong between the
// look at the bytes and the switch, is published neither as new nor by a rollback.
func TestNothingIsPublishedThatIsNotCleanAndWhole(t *testing.T) {
	onEach(t, func(s shop) {
		old, oldDigest := s.draft("0.9.0")
		one, _ := s.draft("1.0.0")
		two, digest := s.draft("2.0.0")
		s.publish(old, 100)
		s.publish(one, 100)
		for _, w := range wrongs {
			for _, subject := range []struct {
				digest string
				ask    release.Ask
			}{
				{digest, release.Ask{ReleaseID: two, Percentage: 100}},
				{oldDigest, release.Ask{ReleaseID: old, Percentage: 100, Back: true}},
			} {
				s.spoil(w.wrong, subject.digest)
				_, err := release.Switch(ctx, s.db, s.zones, alex, subject.ask)
				refusedWith(s.t, err, storage.CodeReleaseNotPublishable, w.reason)
				s.spoil(w.right, subject.digest)

				x, err := release.Examine(ctx, s.db, s.zones, subject.ask)
				require.NoError(s.t, err)
				require.Empty(s.t, x.Problems, w.wrong)
				s.spoil(w.wrong, subject.digest)
				err = s.db.InTx(ctx, func(tx *meta.Tx) error {
					_, err := release.Publish(tx, alex, x)
					return err
				})
				refusedWith(s.t, err, storage.CodeReleaseNotPublishable, w.reason)
				s.spoil(w.right, subject.digest)
				require.Equal(s.t, "1.0.0", s.published(), w.wrong)
			}
		}
		s.publish(two, 100)
	})
}

// TestAFileThatMovedMeanwhileIsLookedAtAgain: damaged and healed, or scanned anew, since its bytes were read.
func TestAFileThatMovedMeanwhileIsLookedAtAgain(t *testing.T) {
	onEach(t, func(s shop) {
		id, digest := s.draft("1.0.0")
		x, err := release.Examine(ctx, s.db, s.zones, release.Ask{ReleaseID: id, Percentage: 100})
		require.NoError(s.t, err)
		s.exec("UPDATE blobs SET revision = revision + 1 WHERE sha256 = ?", digest)
		publish := func() error {
			return s.db.InTx(ctx, func(tx *meta.Tx) error {
				_, err := release.Publish(tx, alex, x)
				return err
			})
		}
		refusedWith(s.t, publish(), storage.CodeReleaseNotPublishable, "asset_moved")

		// New signatures since: a rescan is asked for then too.
		x, err = release.Examine(ctx, s.db, s.zones, release.Ask{ReleaseID: id, Percentage: 100})
		require.NoError(s.t, err)
		s.signatures("daily-2")
		refusedWith(s.t, publish(), storage.CodeReleaseNotPublishable, "verdict_stale")
		require.NoError(s.t, release.FollowUp(ctx, s.db, alex, x))
		require.Len(s.t, s.records("asset.rescan"), 1)
		s.signatures(signatures)

		// Nor does it go on with other files than those that were looked at.
		x, err = release.Examine(ctx, s.db, s.zones, release.Ask{ReleaseID: id, Percentage: 100})
		require.NoError(s.t, err)
		s.attach(id, release.Portable, "other.exe", s.asset("other.exe", []byte("not looked at")))
		refusedWith(s.t, publish(), storage.CodeReleasePublishedConflict, "published_meanwhile")
		require.Empty(s.t, s.published())
		s.publish(id, 100)
	})
}

// TestSwappedBytesAreFound: whatever lies in the store is read to its end.
func TestSwappedBytesAreFound(t *testing.T) {
	onEach(t, func(s shop) {
		for version, damage := range map[string]func(path string, content []byte){
			"1.0.0": func(path string, content []byte) { content[len(content)-1] ^= 1; s.write(path, content) },
			"2.0.0": func(path string, content []byte) { s.write(path, content[:len(content)-1]) },
			"3.0.0": func(path string, content []byte) { s.write(path, append(content, 'x')) },
			"4.0.0": func(path string, _ []byte) { require.NoError(s.t, os.Remove(path)) },
		} {
			id, digest := s.draft(version)
			path := s.object(digest)
			content, err := os.ReadFile(path)
			require.NoError(s.t, err)
			damage(path, bytes.Clone(content))
			_, err = s.try(id, 100)
			refusedWith(s.t, err, storage.CodeReleaseNotPublishable, "checksum_mismatch")
			// It is written down as other readers do, and holds for the next one who asks.
			_, err = s.try(id, 100)
			refusedWith(s.t, err, storage.CodeReleaseNotPublishable, "damaged")
			require.Equal(s.t, string(release.Draft), s.row(id).State)
		}
		require.Empty(s.t, s.published())
		require.Len(s.t, s.records("blob.damage"), 4)
	})
}

// weak is a store whose next objects end too early: as they do, or because the store was interrupted.
type weak struct {
	blob.Bucket
	short int // objects to come
	err   error
}

func (w *weak) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, blob.Info, error) {
	body, info, err := w.Bucket.Open(ctx, key, offset, length)
	if err != nil || w.short == 0 {
		return body, info, err
	}
	w.short--
	head, err := io.ReadAll(io.LimitReader(body, info.Size-1))
	return io.NopCloser(io.MultiReader(bytes.NewReader(head), iotest.ErrReader(w.err))), info, errors.Join(err, body.Close())
}

// TestAnInterruptedStoreIsNoDamage: an end that stands for a connection that broke is not the end of the file.
func TestAnInterruptedStoreIsNoDamage(t *testing.T) {
	onEach(t, func(s shop) {
		id, _ := s.draft("1.0.0")
		store := &weak{s.zones.Clean, 0, fmt.Errorf("%w (%w)", blob.ErrUnavailable, io.ErrUnexpectedEOF)}
		s.zones = &blob.Zones{Clean: store}
		store.short = 1
		_, err := s.try(id, 100)
		require.ErrorIs(s.t, err, blob.ErrUnavailable)
		require.Equal(s.t, storage.CodeUnavailable, storage.CodeOf(err))
		store.short, store.err = 1, fmt.Errorf("%w (%w)", context.Canceled, io.ErrUnexpectedEOF)
		_, err = s.try(id, 100)
		require.ErrorIs(s.t, err, context.Canceled)
		require.Empty(s.t, s.records("blob.damage"))
		s.publish(id, 100)
	})
}

// TestWhatWasWrongOnceIsLookedAtAgain: nothing is marked when the second look finds what was uploaded.
func TestWhatWasWrongOnceIsLookedAtAgain(t *testing.T) {
	onEach(t, func(s shop) {
		id, _ := s.draft("1.0.0")
		store := &weak{s.zones.Clean, 2, io.EOF}
		s.zones = &blob.Zones{Clean: store}
		x, err := release.Examine(ctx, s.db, s.zones, release.Ask{ReleaseID: id, Percentage: 100})
		require.NoError(s.t, err)
		require.Len(s.t, x.Problems, 1, "wrong twice")
		store.short = 1
		s.publish(id, 100)
		require.Empty(s.t, s.records("blob.damage"))
	})
}

func (s shop) write(path string, content []byte) {
	require.NoError(s.t, os.Chmod(path, 0o600))
	require.NoError(s.t, os.WriteFile(path, content, 0o600))
}

// TestAStaleVerdictAsksForARescan: once, and the release is published when it has come.
func TestAStaleVerdictAsksForARescan(t *testing.T) {
	onEach(t, func(s shop) {
		id, digest := s.draft("1.0.0")
		s.signatures("daily-2")
		for range 2 {
			_, err := s.try(id, 100)
			refusedWith(s.t, err, storage.CodeReleaseNotPublishable, "verdict_stale")
		}
		require.Len(s.t, s.records("asset.rescan"), 1)
		x, err := release.Look(ctx, s.db, release.Ask{ReleaseID: id})
		require.NoError(s.t, err)
		require.Len(s.t, x.Problems, 1)
		require.Equal(s.t, "App Setup 1.0.0.exe", x.Problems[0].Artifact)
		s.exec("UPDATE blobs SET scan_database = 'daily-2' WHERE sha256 = ?", digest)
		s.publish(id, 100)

		s.in(func(tx *meta.Tx) error {
			_, err := tx.Exec("DELETE FROM facts")
			return err
		})
		next, _ := s.draft("2.0.0")
		_, err = s.try(next, 100)
		refusedWith(s.t, err, storage.CodeReleaseNotPublishable, "scanner_silent")
	})
}

func TestWhichFilesAReleaseHas(t *testing.T) {
	onEach(t, func(s shop) {
		id := s.empty("1.0.0")
		_, err := s.try(id, 100)
		refusedWith(s.t, err, storage.CodeReleaseNotPublishable, "installer_missing")
		map1 := s.attach(id, release.Blockmap, "other.exe.blockmap", s.asset("m", []byte("a map")))
		s.attach(id, release.Installer, "app.exe", s.asset("app.exe", []byte("an installer")))
		_, err = s.try(id, 100)
		refusedWith(s.t, err, storage.CodeReleaseNotPublishable, "blockmap_alone")
		s.in(func(tx *meta.Tx) error { return release.Detach(tx, alex, id, map1.ID) })
		s.attach(id, release.Blockmap, "app.exe.blockmap", s.asset("m", []byte("another map")))
		manifest := s.attach(id, release.Manifest, "latest.yml", s.asset("latest.yml", []byte("version: 9.9.9\nfiles: []\npath: x\nsha512: x\n")))
		_, err = s.try(id, 100)
		refusedWith(s.t, err, storage.CodeReleaseNotPublishable, "")
		s.in(func(tx *meta.Tx) error { return release.Detach(tx, alex, id, manifest.ID) })
		s.publish(id, 100)

		err = s.db.InTx(ctx, func(tx *meta.Tx) error { return release.Detach(tx, alex, id, map1.ID) })
		refusedWith(s.t, err, storage.CodeConflict, "release_not_draft")
		require.Len(s.t, s.records("release.artifact_remove"), 2)

		// The manifest that was made, uploaded with the next release, is served byte for byte.
		made := strings.ReplaceAll(s.row(id).Manifest, "1.0.0", "1.0.1") + "# signed\n"
		next := s.empty("1.0.1")
		s.attach(next, release.Installer, "app.exe", s.asset("app.exe", []byte("an installer")))
		s.attach(next, release.Manifest, "latest.yml", s.asset("latest.yml", []byte(made)))
		require.Equal(s.t, made, s.publish(next, 100).Manifest)
	})
}

func TestWhatCannotBecomeAFile(t *testing.T) {
	onEach(t, func(s shop) {
		id := s.empty("1.0.0")
		asset := s.asset("app.exe", []byte("an installer"))
		attach := func(f release.File) error {
			return s.db.InTx(ctx, func(tx *meta.Tx) error {
				_, err := release.Attach(tx, alex, id, f)
				return err
			})
		}
		file := release.File{Kind: release.Installer, Name: "app.exe", AssetID: asset}
		with := func(change func(*release.File)) release.File {
			f := file
			change(&f)
			return f
		}
		for _, name := range []string{"..", ".", "a/b", `a\b`, "a\x00b", "a\nb", "\xff", " a.exe", "a.exe ", "a.exe\u00a0", " ", "a.exe.", "...", ".a.exe", "C:a.exe", "a\u202eexe.exe", strings.Repeat("n", 256)} {
			refusedWith(s.t, attach(with(func(f *release.File) { f.Name = name })), storage.CodeFilenameInvalid, "artifact_name")
		}
		refusedWith(s.t, attach(with(func(f *release.File) { f.Kind = "font" })), storage.CodeMalformedRequest, "kind")
		for kind, name := range map[release.Kind]string{release.Manifest: "app.exe", release.Blockmap: "app.exe", release.Installer: "app.yml"} {
			refusedWith(s.t, attach(with(func(f *release.File) { f.Kind, f.Name = kind, name })), storage.CodeMalformedRequest, "artifact_kind")
		}
		for _, name := range []string{"app.zip", "app.exe.AppImage", "app"} {
			refusedWith(s.t, attach(with(func(f *release.File) { f.Name = name })), storage.CodeMalformedRequest, "artifact_extension")
		}
		refusedWith(s.t, attach(with(func(f *release.File) { f.AssetID = meta.NewID() })), storage.CodeReleaseArtifactNotFound, "asset_unknown")
		refusedWith(s.t, attach(with(func(f *release.File) { f.SHA256 = strings.Repeat("0", 64) })), storage.CodeReleaseChecksumMismatch, "checksum")
		short, long := sha256.Sum256([]byte("an installer")), sha512.Sum512([]byte("an installer"))
		err := attach(with(func(f *release.File) {
			f.SHA256, f.SHA512 = base64.StdEncoding.EncodeToString(short[:]), strings.Repeat("A", 86)+"=="
		}))
		refusedWith(s.t, err, storage.CodeReleaseChecksumMismatch, "checksum")
		var refusal *storage.Error
		require.ErrorAs(s.t, err, &refusal)
		require.Equal(s.t, storage.Details{"algorithm": "sha512", "expected": strings.Repeat("0", 128), "stored": hex.EncodeToString(long[:]), "reason": "checksum"}, refusal.Details)
		for _, wrong := range []string{"00", "?", strings.Repeat("0", 40), strings.Repeat("0", 127), strings.Repeat("g", 64), strings.Repeat("A", 43), strings.Repeat("A", 44)} {
			refusedWith(s.t, attach(with(func(f *release.File) { f.SHA256 = wrong })), storage.CodeMalformedRequest, "sha256")
			refusedWith(s.t, attach(with(func(f *release.File) { f.SHA512 = wrong })), storage.CodeMalformedRequest, "sha512")
		}
		s.exec("UPDATE assets SET category = 'document' WHERE id = ?", asset)
		refusedWith(s.t, attach(file), storage.CodeReleaseArtifactNotFound, "asset_category")
		s.exec("UPDATE assets SET category = 'release', tenant_id = ? WHERE id = ?", meta.NewID(), asset)
		refusedWith(s.t, attach(file), storage.CodeReleasePermissionDenied, "asset_of_tenant")
		s.exec("UPDATE assets SET tenant_id = ? WHERE id = ?", release.PlatformTenant, asset)
		require.NoError(s.t, attach(with(func(f *release.File) {
			f.SHA256, f.SHA512 = strings.ToUpper(digestOf([]byte("an installer"))), base64.StdEncoding.EncodeToString(long[:])
		})))
		refusedWith(s.t, attach(with(func(f *release.File) { f.Kind = release.Portable })), storage.CodeConflict, "name_taken")
		refusedWith(s.t, attach(with(func(f *release.File) { f.Name = "b.exe" })), storage.CodeConflict, "kind_taken")
	})
}
