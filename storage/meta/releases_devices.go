package meta

import "context"

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

// AdoptionIn reads the totals of an hour, which is counted from the Unix epoch.
func (db *DB) AdoptionIn(ctx context.Context, hour int64) ([]Adoption, error) {
	var out []Adoption
	return out, db.g.WithContext(ctx).Model(&ReleaseRollup{}).Select("channel, platform, arch, version, devices").
		Where("hour = ? AND tenant_id = ?", hour, everyTenant).Find(&out).Error
}
