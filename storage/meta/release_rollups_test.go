package meta_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

func addDevices(t *testing.T, db *meta.DB, tenant string, seen meta.Stamp, version string, n int) {
	t.Helper()
	require.NoError(t, db.InTx(context.Background(), func(tx *meta.Tx) error {
		for range n {
			if err := tx.Create(&meta.ReleaseDevice{
				TenantID: tenant, DeviceID: meta.NewID(), UserID: "u", Version: version, Channel: "stable", Platform: "win32", Arch: "x64",
				OSVersion: "10", Launches: 1, FirstSeenAt: seen, LastSeenAt: seen,
			}); err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestCountReleases(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		ctx := context.Background()
		a, b := metatest.Tenant(t, one, 1000), metatest.Tenant(t, one, 1000)
		now := meta.Now()
		at, err := one.ReleasesCounted(ctx)
		require.NoError(t, err)
		require.Zero(t, at)
		addDevices(t, one, a, now.Add(-time.Hour), "1.0.0", 3)
		addDevices(t, one, a, now.Add(-time.Hour), "1.1.0", 2)
		addDevices(t, one, a, now.Add(-25*time.Hour), "1.1.0", 7)
		addDevices(t, one, b, now.Add(-23*time.Hour), "1.1.0", 4)
		counted := []meta.VersionShare{
			{Hour: now.Hour(), Channel: "stable", Platform: "win32", Version: "1.0.0", Devices: 3},
			{Hour: now.Hour(), Channel: "stable", Platform: "win32", Version: "1.1.0", Devices: 6},
		}
		require.NoError(t, one.CountReleases(ctx, now.Add(-time.Hour)))
		// Two workers at once, and again: one set of rows an hour.
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				if err := []*meta.DB{one, two}[i%2].CountReleases(ctx, now); err != nil {
					t.Errorf("count: %v", err)
				}
			})
		}
		wg.Wait()
		list, err := one.VersionShares(ctx, now.Hour(), now.Hour(), meta.OfTrack{})
		require.NoError(t, err)
		require.Equal(t, counted, list)
		list, err = one.VersionShares(ctx, now.Hour()-1, now.Hour(), meta.OfTrack{Channel: "stable", Platform: "win32"})
		require.NoError(t, err)
		require.Len(t, list, 4)
		list, err = one.VersionShares(ctx, now.Hour(), now.Hour(), meta.OfTrack{Channel: "beta"})
		require.NoError(t, err)
		require.Empty(t, list)
		at, err = one.ReleasesCounted(ctx)
		require.NoError(t, err)
		require.Equal(t, now, at)
		most, err := one.MostDevices(ctx, now.Hour(), meta.OfTrack{Channel: "stable"}, 10)
		require.NoError(t, err)
		require.Equal(t, []meta.TenantDevices{{a, "tenant-" + a, 5}, {b, "tenant-" + b, 4}}, most)
		ids, err := one.TenantsWithInstalls(ctx, now.Hour(), meta.OfTrack{Platform: "win32"}, "", 10)
		require.NoError(t, err)
		require.ElementsMatch(t, []string{a, b}, ids)
		ids, err = one.TenantsWithInstalls(ctx, now.Hour(), meta.OfTrack{Platform: "win32"}, "", 1)
		require.NoError(t, err)
		require.Equal(t, []string{min(a, b)}, ids, "the totals are nobody's")
		shown := meta.ClientRelease{Channel: "stable", Platform: "win32", Arch: "x64"}
		total, err := one.AdoptionIn(ctx, now.Hour(), []meta.ClientRelease{shown, shown})
		require.NoError(t, err)
		require.ElementsMatch(t, []meta.Adoption{{"stable", "win32", "x64", "1.0.0", 3}, {"stable", "win32", "x64", "1.1.0", 6}}, total)
		for _, other := range []meta.ClientRelease{{Channel: "beta", Platform: "win32", Arch: "x64"}, {Channel: "stable", Platform: "linux", Arch: "x64"}, {Channel: "stable", Platform: "win32", Arch: "x86"}} {
			total, err = one.AdoptionIn(ctx, now.Hour(), []meta.ClientRelease{other})
			require.NoError(t, err)
			require.Empty(t, total, "only tracks that are asked for")
		}
		total, err = one.AdoptionIn(ctx, now.Hour(), nil)
		require.NoError(t, err)
		require.Empty(t, total)
		installs, err := one.InstallsOf(ctx, now.Hour(), []string{b}, meta.OfTrack{Channel: "stable", Platform: "win32"})
		require.NoError(t, err)
		require.Equal(t, []meta.TenantInstalls{{b, "tenant-" + b, "stable", "win32", "1.1.0", 4}}, installs)

		// A version that nobody has any more is gone from this hour's set.
		change(t, one, `UPDATE tenants SET state = 'deleted' WHERE id = ?`, b)
		_, err = one.Exec(ctx, `UPDATE release_devices SET version = '1.1.0' WHERE tenant_id = ?`, a)
		require.NoError(t, err)
		require.NoError(t, two.CountReleases(ctx, now))
		list, err = one.VersionShares(ctx, now.Hour(), now.Hour(), meta.OfTrack{})
		require.NoError(t, err)
		require.Equal(t, []meta.VersionShare{{now.Hour(), "stable", "win32", "1.1.0", 5}}, list)
	})
}

// Whoever makes up channels and versions gets a bounded number of rows, and loses no device in the count.
func TestMadeUpChannelsAndVersionsAreFolded(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx, now := context.Background(), meta.Now()
		tenant, honest := metatest.Tenant(t, db, 1000), metatest.Tenant(t, db, 1000)
		addDevices(t, db, tenant, now, "1.0.0", 3)
		addDevices(t, db, honest, now, "1.0.0", 1)
		require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
			var rows []meta.ReleaseDevice
			for i := range 90 {
				row := meta.ReleaseDevice{
					TenantID: tenant, DeviceID: meta.NewID(), UserID: "u", Version: fmt.Sprintf("2.%d.0", i), Channel: "stable", Platform: "win32", Arch: "x64",
					OSVersion: "10", Launches: 1, FirstSeenAt: now, LastSeenAt: now,
				}
				rows = append(rows, row)
				row.DeviceID, row.Channel, row.Version = meta.NewID(), fmt.Sprintf("c%02d", i), "1.0.0"
				rows = append(rows, row)
			}
			return tx.Create(&rows)
		}))
		require.NoError(t, db.CountReleases(ctx, now))
		list, err := db.InstallsOf(ctx, now.Hour(), []string{tenant}, meta.OfTrack{})
		require.NoError(t, err)
		channels, devices := map[string]int{}, map[string]int64{}
		for _, v := range list {
			channels[v.Channel]++
			devices[v.Channel] += v.Devices
			switch {
			case v.Channel == "stable" && v.Version == meta.Other:
				require.EqualValues(t, 41, v.Devices)
			case v.Channel == "stable" && v.Version == "1.0.0":
				require.EqualValues(t, 3, v.Devices)
			}
		}
		require.Len(t, channels, 21)
		require.Equal(t, 51, channels["stable"])
		require.EqualValues(t, 93, devices["stable"])
		require.EqualValues(t, 71, devices[meta.Other])
		of, err := db.InstallsOf(ctx, now.Hour(), []string{honest}, meta.OfTrack{})
		require.NoError(t, err)
		require.Equal(t, []meta.TenantInstalls{{honest, "tenant-" + honest, "stable", "win32", "1.0.0", 1}}, of)
	})
}

func TestOldCountsAreThinnedOut(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		tenant, now := metatest.Tenant(t, db, 1000), meta.Now()
		hour := now.Hour()
		require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
			for _, h := range []int64{hour, hour - 48} {
				if err := tx.Create(&meta.ReleaseRollup{Hour: h, Channel: "stable", Platform: "linux", Arch: "x64", Version: "1.0.0", Devices: 1}); err != nil {
					return err
				}
			}
			for back := int64(49); back < 32*24; back++ {
				if err := tx.Create(&meta.ReleaseRollup{Hour: hour - back, Channel: "stable", Platform: "linux", Arch: "x64", Version: "1.0.0", Devices: 1}); err != nil {
					return err
				}
			}
			return nil
		}))
		require.NoError(t, db.ForgetReleaseRollups(ctx, now))
		list, err := db.VersionShares(ctx, hour-32*24, hour, meta.OfTrack{})
		require.NoError(t, err)
		for _, v := range list {
			require.True(t, v.Hour >= hour-48 || v.Hour%24 == 23 && v.Hour >= hour-30*24, v.Hour)
		}
		require.InDelta(t, 2+28, len(list), 1)

		addDevices(t, db, tenant, now.Add(-10*time.Hour), "1.0.0", 2)
		addDevices(t, db, tenant, now.Add(-12*time.Hour), "1.0.0", 1)
		n, err := db.ForgetDevices(ctx, now.Add(-11*time.Hour))
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
	})
}
