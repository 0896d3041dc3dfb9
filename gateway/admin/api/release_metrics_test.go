package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/gateway/admin"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

func TestReleaseMetrics(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		d := newDesk(t, db)
		d.URL = strings.TrimSuffix(d.URL, "admin/") + "release/v1/metrics/"
		one, two, none := metatest.Tenant(t, db, 1000), metatest.Tenant(t, db, 1000), metatest.Tenant(t, db, 1000)

		var spread admin.VersionDistribution
		d.ok(200, "GET", "version-distribution/", nil, &spread)
		require.Equal(t, admin.VersionDistribution{Tracks: []admin.TrackVersions{}}, spread, "nothing is counted yet")
		var leaders admin.TenantLeaderboard
		d.ok(200, "GET", "tenant-leaderboard", nil, &leaders)
		require.Nil(t, leaders.CountedAt)
		var installs page[admin.TenantInstalls]
		d.ok(200, "GET", "tenant-installs", nil, &installs)
		require.Empty(t, installs.Items)

		now := meta.Now()
		add := func(tenant, platform, version string, n int, seen meta.Stamp) {
			require.NoError(t, db.InTx(context.Background(), func(tx *meta.Tx) error {
				for range n {
					if err := tx.Create(&meta.ReleaseDevice{
						TenantID: tenant, DeviceID: meta.NewID(), UserID: "u", Version: version, Channel: "stable", Platform: platform, Arch: "x64",
						OSVersion: "1", Launches: 1, FirstSeenAt: seen, LastSeenAt: seen,
					}); err != nil {
						return err
					}
				}
				return nil
			}))
		}
		yesterday := now.Add(-24 * time.Hour)
		add(one, "win32", "1.9.0", 4, yesterday.Add(-time.Minute))
		require.NoError(t, db.CountReleases(t.Context(), yesterday))
		add(one, "win32", "1.10.0", 3, now)
		add(two, "win32", "1.9.0", 1, now)
		add(two, "win32", "1.10.0-beta.2", 4, now)
		add(two, "linux", "2.0.0", 1, now)
		require.NoError(t, db.CountReleases(t.Context(), now))
		half, all := 0.0, 1.0
		at := now.Time()

		d.ok(200, "GET", "version-distribution/?channel=stable", nil, &spread)
		require.Equal(t, admin.VersionDistribution{CountedAt: &at, Tracks: []admin.TrackVersions{
			{Channel: "stable", Platform: "linux", Devices: 1, Versions: []admin.VersionShare{{Version: "2.0.0", Devices: 1, Share: 1}}},
			{Channel: "stable", Platform: "win32", Devices: 8, Versions: []admin.VersionShare{
				{Version: "1.10.0", Devices: 3, Share: 0.375, Before: &half}, {Version: "1.10.0-beta.2", Devices: 4, Share: 0.5, Before: &half},
				{Version: "1.9.0", Devices: 1, Share: 0.125, Before: &all},
			}},
		}}, spread)
		d.ok(200, "GET", "version-distribution?platform=linux", nil, &spread)
		require.Len(t, spread.Tracks, 1)
		d.ok(200, "GET", "version-distribution?channel=beta", nil, &spread)
		require.Empty(t, spread.Tracks)
		require.Equal(t, "channel", d.refused(400, "GET", "version-distribution?channel=No", nil))

		d.ok(200, "GET", "tenant-leaderboard/", nil, &leaders)
		require.Equal(t, admin.TenantLeaderboard{CountedAt: &at, Tenants: []admin.TenantDevices{
			{Rank: 1, TenantID: two, Name: "tenant-" + two, Devices: 6}, {Rank: 2, TenantID: one, Name: "tenant-" + one, Devices: 3},
		}}, leaders)
		d.ok(200, "GET", "tenant-leaderboard/?limit=1", nil, &leaders)
		require.Len(t, leaders.Tenants, 1)
		require.Equal(t, "limit", d.refused(400, "GET", "tenant-leaderboard/?limit=0", nil))
		d.ok(200, "GET", "tenant-leaderboard/?channel=stable&platform=linux", nil, &leaders)
		require.Equal(t, []admin.TenantDevices{{Rank: 1, TenantID: two, Name: "tenant-" + two, Devices: 1}}, leaders.Tenants)
		d.ok(200, "GET", "tenant-leaderboard/?channel=beta", nil, &leaders)
		require.Empty(t, leaders.Tenants)
		require.Equal(t, "channel", d.refused(400, "GET", "tenant-leaderboard/?channel=No", nil))

		ofTwo := admin.TenantInstalls{
			TenantID: two, Name: "tenant-" + two, Devices: 6,
			Tracks: []admin.TrackDevices{
				{Channel: "stable", Platform: "linux", Devices: 1}, {Channel: "stable", Platform: "win32", Devices: 5},
			},
			Versions:  []admin.VersionInstall{{Version: "2.0.0", Devices: 1}, {Version: "1.10.0-beta.2", Devices: 4}, {Version: "1.9.0", Devices: 1}},
			CountedAt: &at,
		}
		d.ok(200, "GET", "tenant-installs/?tenant_id="+two, nil, &installs)
		require.Equal(t, []admin.TenantInstalls{ofTwo}, installs.Items)
		ofTwo.Devices, ofTwo.Tracks, ofTwo.Versions = 1, ofTwo.Tracks[:1], ofTwo.Versions[:1]
		installs.Items = nil
		d.ok(200, "GET", "tenant-installs/?channel=stable&platform=linux", nil, &installs)
		require.Equal(t, []admin.TenantInstalls{ofTwo}, installs.Items)
		d.ok(200, "GET", "tenant-installs/?channel=beta", nil, &installs)
		require.Empty(t, installs.Items)
		require.Equal(t, "channel", d.refused(400, "GET", "tenant-installs/?channel=No", nil))
		d.ok(200, "GET", "tenant-installs/?tenant_id=tenant-"+none, nil, &installs)
		require.Len(t, installs.Items, 1)
		require.Zero(t, installs.Items[0].Devices)
		require.Equal(t, "tenant_unknown", d.refused(404, "GET", "tenant-installs/?tenant_id=nobody", nil))
		var names []string
		for path := "tenant-installs/?limit=1"; ; path = "tenant-installs/?limit=1&cursor=" + *installs.NextCursor {
			d.ok(200, "GET", path, nil, &installs)
			names = append(names, installs.Items[0].TenantID)
			if installs.NextCursor == nil {
				break
			}
		}
		require.Equal(t, []string{one, two}, names)
		_, csv := d.do("GET", "tenant-installs/?format=csv", nil)
		require.Equal(t, 3, strings.Count(string(csv), "\n"), "%s", csv)
	})
}

// Devices may report any channel: an answer has those that most have, and says how many are left out.
func TestVersionDistributionIsBounded(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		d := newDesk(t, db)
		d.URL = strings.TrimSuffix(d.URL, "admin/") + "release/v1/metrics/"
		now := meta.Now()
		require.NoError(t, db.CountReleases(t.Context(), now))
		require.NoError(t, db.InTx(t.Context(), func(tx *meta.Tx) error {
			var rows []meta.ReleaseRollup
			for i := range 203 { // those in the middle of the alphabet have the fewest devices
				row := meta.ReleaseRollup{Hour: now.Hour(), Channel: fmt.Sprintf("c%03d", i), Platform: "win32", Arch: "x64", Version: "1.0.0", Devices: 5}
				if i >= 100 && i < 103 {
					row.Devices = 2
				}
				rows = append(rows, row)
			}
			return tx.Create(&rows)
		}))
		var spread admin.VersionDistribution
		d.ok(200, "GET", "version-distribution/", nil, &spread)
		require.Len(t, spread.Tracks, 200)
		require.EqualValues(t, 6, spread.Others)
		require.Equal(t, []string{"c000", "c099", "c103", "c202"}, []string{
			spread.Tracks[0].Channel, spread.Tracks[99].Channel, spread.Tracks[100].Channel, spread.Tracks[199].Channel,
		})
		d.ok(200, "GET", "version-distribution/?channel=c101", nil, &spread)
		require.Len(t, spread.Tracks, 1)
		require.Zero(t, spread.Others)
	})
}
