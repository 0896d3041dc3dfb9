package meta

import (
	"context"
	"maps"
	"slices"
)

// VersionCount is how many devices have a version.
type VersionCount struct {
	Version string
	Devices int64
}

// DeviceVersions counts the devices of a track that were seen since, by their version.
func (db *DB) DeviceVersions(ctx context.Context, channel, platform, arch string, since Stamp) ([]VersionCount, error) {
	var out []VersionCount
	return out, db.g.WithContext(ctx).Model(&ReleaseDevice{}).Select("version, COUNT(*) AS devices").
		Where("channel = ? AND platform = ? AND arch = ? AND last_seen_at >= ?", channel, platform, arch, since).
		Group("version").Order("version").Find(&out).Error
}

// Adoption is how many devices of a track, of all tenants, had a version in an hour.
type Adoption struct {
	Channel, Platform, Arch, Version string
	Devices                          int64
}

// AdoptionIn reads the totals of the tracks of some releases, at most a page's, in an hour, which is counted from the Unix epoch. It
// may also give those of other tracks of their channels.
func (db *DB) AdoptionIn(ctx context.Context, hour int64, of []ClientRelease) ([]Adoption, error) {
	if len(of) == 0 {
		return nil, nil
	}
	channels, platforms, archs := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range of {
		channels[r.Channel], platforms[r.Platform], archs[r.Arch] = true, true, true
	}
	var out []Adoption
	return out, db.g.WithContext(ctx).Model(&ReleaseRollup{}).Select("channel, platform, arch, version, devices").
		Where("hour = ? AND tenant_id = ?", hour, everyTenant).
		Where("channel IN ? AND platform IN ? AND arch IN ?", slices.Sorted(maps.Keys(channels)), slices.Sorted(maps.Keys(platforms)), slices.Sorted(maps.Keys(archs))).
		Find(&out).Error
}
