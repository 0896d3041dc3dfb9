package alerts

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

// spread puts devices into the totals: of a version on win32, some hours ago.
func (b *bench) spread(t *testing.T, version string, hoursAgo, devices int64) {
	t.Helper()
	b.inTx(t, func(tx *meta.Tx) error {
		return tx.Create(&meta.ReleaseRollup{
			Hour: meta.StampOf(b.clock.now()).Hour() - hoursAgo, Channel: "stable", Platform: "win32", Arch: "x64", Version: version, Devices: devices,
		})
	})
}

// opened makes stable on win32 a track of which operators know.
func (b *bench) opened(t *testing.T) {
	t.Helper()
	b.inTx(t, func(tx *meta.Tx) error {
		return tx.Create(&meta.ClientRelease{ID: meta.NewID(), Channel: "stable", Platform: "win32", Arch: "x64", Version: "0.1.0", State: string(release.Archived), PublishedAt: 1})
	})
}

// countedNow says that the newest counts are of now, as the worker does that counts.
func (b *bench) countedNow(t *testing.T) {
	t.Helper()
	require.NoError(t, b.db.CountReleases(t.Context(), meta.StampOf(b.clock.now())))
}

func TestShareOfAVersionThatFalls(t *testing.T) {
	ruleBench(t, "release_share", func(t *testing.T, b *bench) {
		b.opened(t)
		b.countedNow(t)
		b.spread(t, "1.0.0", 24, 90)
		b.spread(t, "1.1.0", 24, 10)
		b.spread(t, "1.0.0", 0, 60)
		b.spread(t, "1.1.0", 0, 40)
		b.exec(t, "UPDATE release_rollups SET version = 'other' WHERE version = '1.0.0'")
		b.exec(t, "UPDATE release_rollups SET devices = 1 WHERE version = 'other' AND devices = 60")
		require.Empty(t, b.openNow(t), "those that are not counted one by one are no version")
		b.exec(t, "UPDATE release_rollups SET devices = 60 WHERE version = 'other' AND devices = 1")
		b.exec(t, "UPDATE release_rollups SET version = '1.0.0' WHERE version = 'other'")
		require.Empty(t, b.openNow(t), "30 points are what a rollout may take")
		b.exec(t, "UPDATE release_rollups SET devices = 41 WHERE version = '1.1.0' AND devices = 40")
		b.exec(t, "UPDATE release_rollups SET devices = 59 WHERE version = '1.0.0' AND devices = 60")
		a := b.one(t)
		require.Equal(t, "stable/win32/1.0.0", a.Subject)
		require.Contains(t, a.Message, "The share of version 1.0.0 among the devices of the channel stable on win32 fell from 90 % to 59 % since ")
		require.Contains(t, a.Message, "Most of it went to version 1.1.0, from 10 % to 41 %.")
		// An hour later it is a day and an hour ago.
		b.clock.pass(time.Hour)
		b.countedNow(t)
		b.spread(t, "1.0.0", 0, 59)
		b.spread(t, "1.1.0", 0, 41)
		require.Empty(t, b.openNow(t))
	})
}

func TestShareAmongFewDevicesSaysNothing(t *testing.T) {
	onSQLite(t, "release_share", func(t *testing.T, b *bench) {
		b.countedNow(t)
		b.spread(t, "1.0.0", 3, 19)
		b.spread(t, "1.0.0", 5, 20)
		b.spread(t, "1.1.0", 0, 19)
		require.Empty(t, b.openNow(t))
		b.exec(t, "UPDATE release_rollups SET devices = 20 WHERE version = '1.1.0'")
		require.Empty(t, b.openNow(t), "nothing was ever published there: devices have made the channel up")
		b.opened(t)
		require.Contains(t, b.one(t).Message, "fell from 100 % to 0 %")
	})
}

func TestSharesThatFallAreToldOfFew(t *testing.T) {
	onSQLite(t, "release_share", func(t *testing.T, b *bench) {
		b.opened(t)
		b.countedNow(t)
		for hour := range int64(23) {
			for i := range int64(3) {
				b.spread(t, fmt.Sprintf("1.%d.%d", hour, i), hour+1, 20)
			}
		}
		b.spread(t, "2.0.0", 0, 20)
		require.Len(t, b.openNow(t), 50)
	})
}

func TestPublishThatFailed(t *testing.T) {
	ruleBench(t, "release_publish_failed", func(t *testing.T, b *bench) {
		publish := func(target, result, code string) {
			b.auditAt(t, b.clock.now(), audit.Entry{Actor: op("alex", "10.0.0.1"), Action: "release.publish", Target: target, Result: result, Code: code})
		}
		publish("r1", audit.OK, "")
		publish("r1", audit.Refused, "MFA_REQUIRED")
		publish("r1", audit.Refused, "FORBIDDEN")
		b.auditAt(t, b.clock.now(), audit.Entry{Actor: op("alex", ""), Action: "release.edit", Target: "r1", Result: audit.Refused, Code: "CONFLICT"})
		require.Empty(t, b.openNow(t))
		publish("r1", audit.Refused, "RELEASE_NOT_PUBLISHABLE")
		publish("r2", audit.Failed, "INTERNAL")
		b.auditAt(t, b.clock.now(), audit.Entry{Actor: op("alex", ""), Action: "release.attach", Target: "r3", Result: audit.Refused, Code: "RELEASE_CHECKSUM_MISMATCH"})
		list := b.openNow(t)
		require.ElementsMatch(t, []string{"r1", "r2", "r3"}, subjects(list))
		for _, a := range list {
			require.Equal(t, a.Subject == "r3", a.Severity == "critical")
			require.Contains(t, a.Message, a.Subject)
			require.Contains(t, a.Message, "operator:alex")
		}
		publish("r1", audit.OK, "")
		require.ElementsMatch(t, []string{"r2", "r3"}, subjects(b.openNow(t)), "it was published after all")
		b.clock.pass(24*time.Hour + time.Minute)
		require.Empty(t, b.openNow(t))
	})
}

// Bytes that are not those that were expected are more than a publication that has to wait.
func TestBytesThatAreNotThoseExpected(t *testing.T) {
	ruleBench(t, "release_publish_failed", func(t *testing.T, b *bench) {
		refused := func(action, target string, code storage.Code, slugs ...string) {
			var reasons []release.Problem
			for _, slug := range slugs {
				reasons = append(reasons, release.Problem{Slug: slug, Artifact: "Setup " + slug + ".exe"})
			}
			b.auditAt(t, b.clock.now(), audit.Entry{
				Actor: op("alex", "10.0.0.1"), Action: action, Target: target, Result: audit.Refused, Code: string(code), Data: map[string]any{"reasons": reasons},
			})
		}
		refused("release.publish", "waits", storage.CodeReleaseNotPublishable, "verdict_stale", "scan_pending")
		refused("release.publish", "swapped", storage.CodeReleaseNotPublishable, "verdict_stale", "checksum_mismatch")
		refused("release.publish", "damaged", storage.CodeReleaseNotPublishable, "damaged")
		refused("release.rollback", "back", storage.CodeReleaseNotPublishable, "asset_changed")
		refused("release.artifact_add", "on the way", storage.CodeDigestMismatch)
		refused("release.artifact_add", "expected", storage.CodeReleaseChecksumMismatch)
		refused("release.artifact_add", "other", storage.CodeConflict)
		refused("asset.upload", "a tenant's", storage.CodeDigestMismatch)
		severity, message := map[string]string{}, map[string]string{}
		for _, a := range b.openNow(t) {
			severity[a.Subject], message[a.Subject] = a.Severity, a.Message
		}
		require.Equal(t, map[string]string{
			"waits": "warning", "swapped": "critical", "damaged": "critical", "back": "critical", "on the way": "critical", "expected": "critical",
		}, severity)
		require.Contains(t, message["swapped"], `what is stored of "Setup checksum_mismatch.exe" is not what was uploaded`)
		require.Contains(t, message["on the way"], "DIGEST_MISMATCH")
		b.auditAt(t, b.clock.now(), audit.Entry{Actor: op("alex", ""), Action: "release.rollback", Target: "back", Result: audit.OK})
		require.Len(t, b.openNow(t), 5)
	})
}

// published makes a release with one clean artifact and gives its id.
func (b *bench) published(t *testing.T, version, digest, state, fallback string) string {
	t.Helper()
	now, id, asset := meta.Now(), meta.NewID(), meta.NewID()
	key := "stable/win32/x64"
	row := meta.ClientRelease{
		ID: id, Channel: "stable", Platform: "win32", Arch: "x64", Version: version, State: state, FallbackID: fallback, CreatedAt: now, UpdatedAt: now,
		PublishedAt: now, FullAt: now, Manifest: "version: " + version,
	}
	if release.State(state).Holds() {
		row.PublishedKey = &key
	}
	b.inTx(t, func(tx *meta.Tx) error {
		tenant := tx.Tenant(release.PlatformTenant)
		if _, err := tenant.Row(); errors.Is(err, storage.ErrNotFound) {
			err := tx.Create(&meta.TenantRow{ID: release.PlatformTenant, Name: "platform", Plan: "platform", State: storage.TenantActive, CreatedAt: now, UpdatedAt: now})
			if err != nil {
				return err
			}
		}
		if err := tx.PutDigests(&meta.ReleaseDigests{SHA256: digest, PieceBytes: release.PieceBytes, Digests: "AA==", CreatedAt: now}); err != nil {
			return err
		}
		if _, err := tenant.CreateBlob(&meta.Blob{
			SHA256: digest, Size: 4, Category: storage.CategoryRelease, Zone: storage.ZoneClean, Refs: 1, ScanStatus: storage.ScanClean,
			MediaStatus: storage.MediaNone, CreatedAt: now, UpdatedAt: now,
		}); err != nil {
			return err
		}
		if err := tenant.CreateAsset(&meta.Asset{
			ID: asset, SHA256: digest, Name: "setup.exe", Category: storage.CategoryRelease, Size: 4, State: storage.AssetAvailable, CreatedAt: now, UpdatedAt: now,
		}); err != nil {
			return err
		}
		if err := tx.Create(&row); err != nil {
			return err
		}
		return tx.Create(&meta.ReleaseArtifact{ID: meta.NewID(), ReleaseID: id, Kind: string(release.Installer), Name: "App Setup " + version + ".exe", AssetID: asset, SHA256: digest, Size: 4, CreatedAt: now})
	})
	return id
}

func TestArtifactsThatCannotBeServed(t *testing.T) {
	ruleBench(t, "release_artifact_damaged", func(t *testing.T, b *bench) {
		first, second, third := digest, "1"+digest[1:], "2"+digest[1:]
		b.published(t, "0.9.0", first, string(release.Superseded), "")
		old := b.published(t, "1.0.0", second, string(release.Superseded), "")
		now := b.published(t, "1.1.0", third, string(release.Paused), old)
		b.exec(t, "UPDATE blobs SET damage = 'digest' WHERE sha256 = ?", first)
		require.Empty(t, b.openNow(t), "nobody gets that one any more")
		b.exec(t, "UPDATE blobs SET damage = 'digest' WHERE sha256 = ?", third)
		a := b.one(t)
		require.Equal(t, now, a.Subject)
		require.Equal(t, "critical", a.Severity)
		require.Contains(t, a.Message, `The release 1.1.0 of stable/win32/x64 (`+now+`) is served to nobody: its file "App Setup 1.1.0.exe" is damaged (digest).`)
		b.exec(t, "UPDATE blobs SET damage = '' WHERE sha256 = ?", third)
		require.Empty(t, b.openNow(t))

		b.exec(t, "UPDATE assets SET state = 'rejected' WHERE sha256 = ?", second)
		b.exec(t, "UPDATE blobs SET scan_status = 'infected' WHERE sha256 = ?", second)
		a = b.one(t)
		require.Equal(t, old, a.Subject)
		require.Contains(t, a.Message, "which devices outside the stage get")
		require.Contains(t, a.Message, "was found infected")
		b.exec(t, "DELETE FROM assets WHERE sha256 = ?", third)
		require.Len(t, b.openNow(t), 2)
		b.exec(t, "UPDATE client_releases SET published_key = NULL, state = 'unpublished' WHERE id = ?", now)
		require.Empty(t, b.openNow(t))
	})
}

// Whatever keeps the feed from offering a release is told.
func TestReleasesThatTheFeedDoesNotOffer(t *testing.T) {
	ruleBench(t, "release_artifact_damaged", func(t *testing.T, b *bench) {
		id := b.published(t, "1.0.0", digest, string(release.Published), "")
		require.Empty(t, b.openNow(t))
		for _, c := range []struct{ harm, repair, says string }{
			{"UPDATE blobs SET sweeping = TRUE", "UPDATE blobs SET sweeping = FALSE", "has no record any more of its bytes"},
			{"UPDATE blobs SET size = 5", "UPDATE blobs SET size = 4", "has no record any more of its bytes"},
			{"UPDATE blobs SET zone = 'quarantine'", "UPDATE blobs SET zone = 'clean'", "is not available (available, in the zone quarantine)"},
			{"UPDATE release_digests SET piece_bytes = 0", "UPDATE release_digests SET piece_bytes = 65536", "has lost the digests of its pieces"},
			{"UPDATE tenants SET state = 'deleting'", "UPDATE tenants SET state = 'active'", "belongs to a tenant whose files are not served (deleting)"},
			{"UPDATE release_artifacts SET kind = 'portable'", "UPDATE release_artifacts SET kind = 'installer'", "it has no installer"},
			{"UPDATE client_releases SET manifest = ''", "UPDATE client_releases SET manifest = 'version: 1.0.0'", "it has no manifest"},
			{"UPDATE client_releases SET min_version = 'one'", "UPDATE client_releases SET min_version = ''", `its least version is none: "one"`},
			{"UPDATE client_releases SET version = 'one'", "UPDATE client_releases SET version = '1.0.0'", `its version is none: "one"`},
			{"DELETE FROM release_digests", "", "has lost the digests of its pieces"},
		} {
			b.exec(t, c.harm)
			a := b.one(t)
			require.Equal(t, id, a.Subject)
			require.Contains(t, a.Message, "is served to nobody: ", c.harm)
			require.Contains(t, a.Message, c.says, c.harm)
			if c.repair != "" {
				b.exec(t, c.repair)
				require.Empty(t, b.openNow(t), c.repair)
			}
		}
	})
}

// releasesGoWrong makes every rule about releases fire.
func (b *bench) releasesGoWrong(t *testing.T) {
	t.Helper()
	b.opened(t)
	b.countedNow(t)
	b.spread(t, "1.0.0", 2, 30)
	b.spread(t, "1.1.0", 0, 30)
	id := b.published(t, "1.1.0", "1"+digest[1:], string(release.Published), "")
	b.exec(t, "UPDATE blobs SET damage = 'missing', damaged_at = 5 WHERE tenant_id = ?", release.PlatformTenant)
	b.auditAt(t, b.clock.now(), audit.Entry{Actor: op("alex", ""), Action: "release.publish", Target: id, Result: audit.Failed, Code: "INTERNAL"})
	b.auditAt(t, b.clock.now(), audit.Entry{Actor: op("alex", ""), Action: "release.attach", Target: meta.NewID(), Result: audit.Refused, Code: "RELEASE_CHECKSUM_MISMATCH"})
}
