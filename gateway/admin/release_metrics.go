package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/release"
)

// This file reads which versions devices have. All of it is of the last count that the worker made of the heartbeats; devices
// themselves are not read here.

// mostVersions bounds the versions that are shown of a track or a tenant, and the channels and platforms of a tenant or of all:
// devices may report any.
const mostVersions = 200

// VersionDistribution is which versions are in use.
type VersionDistribution struct {
	// CountedAt is null before the first count.
	CountedAt *time.Time      `json:"counted_at" doc:"When the devices were counted that had sent a heartbeat within 24 hours; null before the first count."`
	Tracks    []TrackVersions `json:"tracks" doc:"The 200 channels and platforms that most have, by channel and platform."`
	Others    int64           `json:"other_devices" doc:"Devices of channels and platforms beyond those."`
}

// TrackVersions are the versions of a channel and platform, the newest first.
type TrackVersions struct {
	Channel  string         `json:"channel"`
	Platform string         `json:"platform"`
	Devices  int64          `json:"devices"`
	Versions []VersionShare `json:"versions"`
	Others   int64          `json:"other_devices" doc:"Devices with versions beyond the 200 that most have."`
}

// VersionShare is a version with its devices.
type VersionShare struct {
	Version string  `json:"version"`
	Devices int64   `json:"devices"`
	Share   float64 `json:"share" doc:"Of all devices of the channel and platform, 0 to 1."`
	// Before is null where nothing was counted then.
	Before *float64 `json:"share_24h_ago" doc:"Null where no device was counted in that hour."`
}

// counted gives the hour of the last count, and when it was; no time says that there is none.
func (a Admin) counted(ctx context.Context) (hour int64, at *time.Time, err error) {
	stamp, err := a.DB.ReleasesCounted(ctx)
	if err != nil {
		return 0, nil, fmt.Errorf("read when devices were counted: %w", err)
	}
	return stamp.Hour(), stamp.TimeIfSet(), nil
}

// checkTrack refuses channels and platforms that there cannot be.
func checkTrack(of meta.OfTrack) error {
	switch {
	case of.Channel != "" && !(release.Track{Channel: of.Channel, Platform: release.Platforms[0], Arch: release.Archs[0]}).Valid():
		return refuse(storage.CodeMalformedRequest, "channel",
			"A channel has at most 32 lower-case letters, digits and hyphens.", "channel 最多 32 个小写字母、数字和连字符。")
	case of.Platform != "" && !slices.Contains(release.Platforms, of.Platform):
		return refuse(storage.CodeMalformedRequest, "platform", "The platform is win32, darwin or linux.", "platform 为 win32、darwin 或 linux。")
	}
	return nil
}

// VersionDistribution reads which versions are in use.
func (a Admin) VersionDistribution(ctx context.Context, of meta.OfTrack) (VersionDistribution, error) {
	out := VersionDistribution{Tracks: []TrackVersions{}}
	if err := checkTrack(of); err != nil {
		return out, err
	}
	hour, at, err := a.counted(ctx)
	if out.CountedAt = at; err != nil || at == nil {
		return out, err
	}
	now, err := a.DB.VersionShares(ctx, hour, hour, of)
	if err != nil {
		return out, fmt.Errorf("read versions: %w", err)
	}
	before, err := a.DB.VersionShares(ctx, hour-24, hour-24, of)
	if err != nil {
		return out, fmt.Errorf("read the versions of a day ago: %w", err)
	}
	out.Tracks, out.Others = tracksOf(now, before)
	return out, nil
}

// trackName is what shares are of: architectures of one platform get the same version.
type trackName struct{ channel, platform string }

func tracksOf(now, before []meta.VersionShare) (out []TrackVersions, others int64) {
	was, all := map[meta.VersionShare]int64{}, map[trackName]int64{}
	for _, v := range before {
		was[meta.VersionShare{Channel: v.Channel, Platform: v.Platform, Version: v.Version}] = v.Devices
		all[trackName{v.Channel, v.Platform}] += v.Devices
	}
	out = []TrackVersions{}
	for _, v := range now { // in the order of channel and platform
		name := trackName{v.Channel, v.Platform}
		if n := len(out); n == 0 || (trackName{out[n-1].Channel, out[n-1].Platform}) != name {
			out = append(out, TrackVersions{Channel: v.Channel, Platform: v.Platform})
		}
		share := VersionShare{Version: v.Version, Devices: v.Devices}
		if all[name] > 0 {
			before := part(was[meta.VersionShare{Channel: v.Channel, Platform: v.Platform, Version: v.Version}], all[name])
			share.Before = &before
		}
		t := &out[len(out)-1]
		t.Devices += v.Devices
		t.Versions = append(t.Versions, share)
	}
	out, others = mostUsed(out)
	for i := range out {
		t := &out[i]
		t.Versions, t.Others = newestFirst(t.Versions, func(v VersionShare) (string, int64) { return v.Version, v.Devices })
		for j := range t.Versions {
			t.Versions[j].Share = part(t.Versions[j].Devices, t.Devices)
		}
	}
	return out, others
}

// mostUsed keeps the tracks that most devices have, in the order of channel and platform.
func mostUsed(list []TrackVersions) (kept []TrackVersions, others int64) {
	byName := func(x, y TrackVersions) int {
		return cmp.Or(cmp.Compare(x.Channel, y.Channel), cmp.Compare(x.Platform, y.Platform))
	}
	slices.SortFunc(list, func(x, y TrackVersions) int { return cmp.Or(cmp.Compare(y.Devices, x.Devices), byName(x, y)) })
	kept = list[:min(len(list), mostVersions)]
	for _, t := range list[len(kept):] {
		others += t.Devices
	}
	slices.SortFunc(kept, byName)
	return kept, others
}

// part is a share to four digits.
func part(n, of int64) float64 { return math.Round(float64(n)/float64(of)*1e4) / 1e4 }

// newestFirst keeps the versions that most have, and puts them into their order.
func newestFirst[V any](list []V, of func(V) (version string, devices int64)) (kept []V, others int64) {
	slices.SortStableFunc(list, func(x, y V) int {
		_, m := of(x)
		_, n := of(y)
		return cmp.Compare(n, m)
	})
	for _, v := range list[min(len(list), mostVersions):] {
		_, n := of(v)
		others += n
	}
	list = list[:min(len(list), mostVersions)]
	slices.SortStableFunc(list, func(x, y V) int {
		v, _ := of(x)
		w, _ := of(y)
		a, _ := release.ParseVersion(v) // heartbeats with others are refused
		b, _ := release.ParseVersion(w)
		switch meta.Other { // is no version
		case v:
			return 1
		case w:
			return -1
		}
		return cmp.Or(b.Compare(a), cmp.Compare(w, v))
	})
	return list, others
}

// TenantInstalls is what the devices of a tenant have.
type TenantInstalls struct {
	TenantID  string           `json:"tenant_id"`
	Name      string           `json:"name"`
	Devices   int64            `json:"devices"`
	Tracks    []TrackDevices   `json:"tracks" doc:"The 200 channels and platforms that most have, by channel and platform."`
	Versions  []VersionInstall `json:"versions" doc:"The newest first."`
	Others    int64            `json:"other_devices" doc:"Devices with versions beyond the 200 that most have."`
	CountedAt *time.Time       `json:"counted_at" doc:"When the devices were counted that had sent a heartbeat within 24 hours; null before the first count."`
}

// TrackDevices is a channel and platform with the devices of one tenant.
type TrackDevices struct {
	Channel  string `json:"channel"`
	Platform string `json:"platform"`
	Devices  int64  `json:"devices"`
}

// VersionInstall is a version with the devices of one tenant.
type VersionInstall struct {
	Version string `json:"version"`
	Devices int64  `json:"devices"`
}

// TenantInstalls lists what the devices of tenants have that have any, by the tenant's id behind one; or of one tenant, by its
// id or name.
func (a Admin) TenantInstalls(ctx context.Context, tenant string, track meta.OfTrack, after string, limit int) ([]TenantInstalls, error) {
	if err := checkTrack(track); err != nil {
		return nil, err
	}
	hour, at, err := a.counted(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	if tenant != "" {
		row, err := a.tenantID(ctx, tenant)
		if err != nil {
			return nil, err
		}
		if row > after {
			ids = []string{row}
		}
	} else if ids, err = a.DB.TenantsWithInstalls(ctx, hour, track, after, limit); err != nil {
		return nil, fmt.Errorf("list tenants with devices: %w", err)
	}
	rows, err := a.DB.InstallsOf(ctx, hour, ids, track)
	if err != nil {
		return nil, fmt.Errorf("read installs: %w", err)
	}
	of := map[string][]meta.TenantInstalls{}
	for _, r := range rows {
		of[r.TenantID] = append(of[r.TenantID], r)
	}
	var out []TenantInstalls
	for _, id := range ids {
		one := TenantInstalls{TenantID: id, Tracks: []TrackDevices{}, Versions: []VersionInstall{}, CountedAt: at}
		if one.add(of[id]); one.Devices == 0 {
			t, err := a.DB.Tenant(ctx, id).Row()
			if errors.Is(err, storage.ErrNotFound) {
				continue // its record was lost
			}
			if err != nil {
				return nil, fmt.Errorf("read tenant: %w", err)
			}
			one.Name = t.Name
		}
		out = append(out, one)
	}
	return out, nil
}

// add sums up the rows of the tenant.
func (t *TenantInstalls) add(rows []meta.TenantInstalls) {
	tracks, versions := map[trackName]int64{}, map[string]int64{}
	for _, r := range rows {
		t.Name = r.Name
		t.Devices += r.Devices
		tracks[trackName{r.Channel, r.Platform}] += r.Devices
		versions[r.Version] += r.Devices
	}
	for k, n := range tracks {
		t.Tracks = append(t.Tracks, TrackDevices{k.channel, k.platform, n})
	}
	byName := func(x, y TrackDevices) int {
		return cmp.Or(cmp.Compare(x.Channel, y.Channel), cmp.Compare(x.Platform, y.Platform))
	}
	slices.SortFunc(t.Tracks, func(x, y TrackDevices) int { return cmp.Or(cmp.Compare(y.Devices, x.Devices), byName(x, y)) })
	t.Tracks = t.Tracks[:min(len(t.Tracks), mostVersions)]
	slices.SortFunc(t.Tracks, byName)
	for v, n := range versions {
		t.Versions = append(t.Versions, VersionInstall{v, n})
	}
	slices.SortFunc(t.Versions, func(x, y VersionInstall) int { return cmp.Compare(x.Version, y.Version) })
	t.Versions, t.Others = newestFirst(t.Versions, func(v VersionInstall) (string, int64) { return v.Version, v.Devices })
}

// TenantLeaderboard is which tenants have the most devices.
type TenantLeaderboard struct {
	CountedAt *time.Time      `json:"counted_at" doc:"When the devices were counted that had sent a heartbeat within 24 hours; null before the first count."`
	Tenants   []TenantDevices `json:"tenants"`
}

// TenantDevices is a tenant with its devices.
type TenantDevices struct {
	Rank     int    `json:"rank"`
	TenantID string `json:"tenant_id"`
	Name     string `json:"name"`
	Devices  int64  `json:"devices"`
}

// The sizes of a leaderboard.
const (
	defaultLeaders = 10
	maxLeaders     = 100
)

// TenantLeaderboard reads the first of them; no limit is ten.
func (a Admin) TenantLeaderboard(ctx context.Context, of meta.OfTrack, limit *int64) (TenantLeaderboard, error) {
	out, n := TenantLeaderboard{Tenants: []TenantDevices{}}, int64(defaultLeaders)
	if limit != nil {
		n = *limit
	}
	if n < 1 || n > maxLeaders {
		return out, refuse(storage.CodeMalformedRequest, "limit", "The limit must be a number from 1 to 100.", "limit 必须是 1 到 100 之间的数字。")
	}
	if err := checkTrack(of); err != nil {
		return out, err
	}
	hour, at, err := a.counted(ctx)
	if out.CountedAt = at; err != nil || at == nil {
		return out, err
	}
	rows, err := a.DB.MostDevices(ctx, hour, of, int(n))
	if err != nil {
		return out, fmt.Errorf("read the tenants with the most devices: %w", err)
	}
	for i, r := range rows {
		out.Tenants = append(out.Tenants, TenantDevices{i + 1, r.TenantID, r.Name, r.Devices})
	}
	return out, nil
}
