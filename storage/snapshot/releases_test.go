package snapshot

import (
	"testing"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/audit"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

var operatorBy = release.By{Actor: audit.Actor{Kind: audit.KindOperator, ID: "alex"}, Reason: "a test"}

// releaseOf makes a release that was published, of a channel, with its files left out.
func releaseOf(t testing.TB, db *meta.DB, channel, version string, state release.State, change func(*meta.ClientRelease)) meta.ClientRelease {
	t.Helper()
	v, ok := release.ParseVersion(version)
	require.True(t, ok)
	track, now := release.Track{Channel: channel, Platform: "win32", Arch: "x64"}, meta.Now()
	key, versioned := track.Key(), track.Versioned(v)
	r := meta.ClientRelease{
		ID: channel + "-" + version, Channel: channel, Platform: "win32", Arch: "x64", Version: version, VersionKey: &versioned, State: string(state),
		Percentage: 100, FullAt: now, Manifest: "version: " + version, CreatedAt: now, UpdatedAt: now, PublishedAt: now,
	}
	if state.Holds() {
		r.PublishedKey = &key
	}
	if change != nil {
		change(&r)
	}
	require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error { return tx.Create(&r) }))
	return r
}

// offered is what devices are given, by channel: in the stage, and outside of it. Files count as whole.
func offered(t testing.TB, db *meta.DB) map[string][2]string {
	t.Helper()
	list, err := db.ServedReleases(t.Context(), release.PlatformTenant)
	require.NoError(t, err)
	byID := map[string]meta.ServedRelease{}
	for _, r := range list {
		byID[r.ID] = r
	}
	candidate := func(id string) release.Candidate {
		r, there := byID[id]
		return release.Candidate{State: release.State(r.State), Percentage: r.Percentage, Full: r.FullAt != 0, Available: there}
	}
	const first, last = "00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-0000fffffffe"
	out := map[string][2]string{}
	for _, r := range list {
		if r.PublishedKey == nil {
			continue
		}
		var got [2]string
		for i, device := range []string{first, last} {
			switch release.Choose(candidate(r.ID), candidate(r.FallbackID), device) {
			case release.Current:
				got[i] = r.Version
			case release.Fallback:
				got[i] = byID[r.FallbackID].Version
			case release.Nothing:
			}
		}
		out[r.Channel] = got
	}
	return out
}

// TestReleasesComeBackPaused: what was taken back since the snapshot is offered to nobody after a restore, neither as the release
// of its track nor as what devices fall back on.
func TestReleasesComeBackPaused(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			db := open(t, kind.url(t), true)
			s := storeOf(t, db, zonesOf(t).Snapshots)
			require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
				if err := tx.Create(&meta.Plan{Name: "platform", StorageBytes: 1, Spec: "{}"}); err != nil {
					return err
				}
				return tx.Create(&meta.TenantRow{ID: release.PlatformTenant, Name: "platform", Plan: "platform", State: storage.TenantActive})
			}))
			bad := releaseOf(t, db, "stable", "2.0.0", release.Published, func(r *meta.ClientRelease) { r.Forced = true })
			good := releaseOf(t, db, "beta", "1.0.0", release.Superseded, nil)
			staged := releaseOf(t, db, "beta", "1.1.0", release.Published, func(r *meta.ClientRelease) {
				r.Percentage, r.FullAt, r.FallbackID = 50, 0, good.ID
			})
			stopped := releaseOf(t, db, "nightly", "3.0.0", release.Paused, nil)
			require.Equal(t, map[string][2]string{"stable": {"2.0.0", "2.0.0"}, "beta": {"1.1.0", "1.0.0"}, "nightly": {}}, offered(t, db))
			m, err := s.Create(t.Context(), ReasonDaily)
			require.NoError(t, err)

			_, err = release.Unpublish(t.Context(), db, operatorBy, bad.ID)
			require.NoError(t, err)
			require.Equal(t, map[string][2]string{"beta": {"1.1.0", "1.0.0"}, "nightly": {}}, offered(t, db))

			empty := open(t, kind.url(t), false)
			for name, at := range map[string]struct {
				db   *meta.DB
				mode Mode
			}{"replace": {db, Replace}, "an empty database": {empty, IntoEmpty}} {
				s.DB = at.db
				res, err := s.Restore(t.Context(), m.ID, Options{Mode: at.mode, Actor: audit.CLI})
				require.NoError(t, err, name)
				require.Equal(t, map[string][2]string{"stable": {}, "beta": {}, "nightly": {}}, offered(t, at.db), name)
				require.Equal(t, []string{
					"1.1.0 of beta/win32/x64 (" + staged.ID + ")", "3.0.0 of nightly/win32/x64 (" + stopped.ID + ")", "2.0.0 of stable/win32/x64 (" + bad.ID + ")",
				}, res.Paused, name)
			}

			// Whoever has looked lets one go on, and what is published next has no fallback that nobody has looked at.
			_, err = release.Resume(t.Context(), db, operatorBy, staged.ID)
			require.NoError(t, err)
			require.Equal(t, map[string][2]string{"stable": {}, "beta": {"1.1.0", ""}, "nightly": {}}, offered(t, db))
			require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
				_, found, err := tx.LastFullRelease("beta", "win32", "x64", string(release.Superseded))
				require.False(t, found, "it may have been taken back since")
				return err
			}))

			s.DB = db
			res, err := s.Restore(t.Context(), m.ID, Options{Mode: Fill, Actor: audit.CLI})
			require.NoError(t, err)
			require.Empty(t, res.Paused)
			require.Equal(t, [2]string{"1.1.0", ""}, offered(t, db)["beta"], "a fill leaves releases as they are")
		})
	}
}
