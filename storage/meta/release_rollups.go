package meta

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"gorm.io/gorm"

	"gatehouse/storage"
)

// factReleaseRollups says when devices were last counted, as a stamp.
const factReleaseRollups = "release_rollups"

const (
	// DeviceActive is how long after its last heartbeat a device is one that is in use.
	DeviceActive = 24 * time.Hour
	// rollupHoursKept is how many hours stay one by one: a day is compared with the one before it.
	rollupHoursKept = 48
	// rollupDaysKept is how many days stay, each with the count of its last hour by UTC.
	rollupDaysKept = 30
)

// everyTenant is the tenant_id of the totals: the rows of all tenants of an hour, added up. What is asked of all of them reads the
// one range of the primary key instead of a row for each tenant. A purge leaves totals alone: they name nobody.
const everyTenant = ""

// A device may tell of any channel and version: of each tenant the channels with the most devices are counted one by one, and of
// each of their tracks the versions, and the rest together. So a count has a bounded number of rows for each tenant. Operators
// publish in a handful of channels, and more than 50 versions at once are old ones of one device each.
const (
	channelsCounted = 20
	versionsCounted = 50
)

// Other is the channel of all that are not counted one by one, and the version of the same. It is no version.
const Other = "other"

// foldedDevices is the SQL of the devices that are in use, folded. Its parameters are since when, and two states of tenants.
var foldedDevices = fmt.Sprintf(`WITH counted AS (
		SELECT d.tenant_id, d.channel, d.platform, d.arch, d.version, COUNT(*) AS n
		FROM release_devices d JOIN tenants t ON t.id = d.tenant_id WHERE d.last_seen_at > ? AND t.state IN (?, ?)
		GROUP BY d.tenant_id, d.channel, d.platform, d.arch, d.version),
	channels AS (
		SELECT tenant_id, channel, ROW_NUMBER() OVER (PARTITION BY tenant_id ORDER BY n DESC, channel) AS place
		FROM (SELECT tenant_id, channel, SUM(n) AS n FROM counted GROUP BY tenant_id, channel) c),
	named AS (
		SELECT c.tenant_id, CASE WHEN h.place <= %[1]d THEN c.channel ELSE '%[3]s' END AS told, c.platform, c.arch, c.version, c.n
		FROM counted c JOIN channels h ON h.tenant_id = c.tenant_id AND h.channel = c.channel),
	versions AS (
		SELECT tenant_id, told, platform, arch, version, n,
			ROW_NUMBER() OVER (PARTITION BY tenant_id, told, platform, arch ORDER BY n DESC, version) AS place
		FROM (SELECT tenant_id, told, platform, arch, version, SUM(n) AS n FROM named GROUP BY tenant_id, told, platform, arch, version) v),
	folded AS (
		SELECT tenant_id, told, platform, arch, CASE WHEN place <= %[2]d THEN version ELSE '%[3]s' END AS told_version, n FROM versions)
	SELECT %%d, tenant_id, told, platform, arch, told_version, SUM(n) FROM folded GROUP BY tenant_id, told, platform, arch, told_version`,
	channelsCounted, versionsCounted, Other)

// CountReleases counts the devices that are in use, by tenant and in total, and replaces what was counted in this hour. Of two that
// count at once the second waits for the first: what stays is a count as a whole.
func (db *DB) CountReleases(ctx context.Context, now Stamp) error {
	return db.InTx(ctx, func(tx *Tx) error {
		if _, err := tx.LockFact(factReleaseRollups); err != nil {
			return fmt.Errorf("take the turn: %w", err)
		}
		if err := tx.g.Delete(&ReleaseRollup{}, "hour = ?", now.Hour()).Error; err != nil {
			return fmt.Errorf("remove the last count: %w", err)
		}
		_, err := tx.Exec(`INSERT INTO release_rollups (hour, tenant_id, channel, platform, arch, version, devices) `+fmt.Sprintf(foldedDevices, now.Hour()),
			now.Add(-DeviceActive), storage.TenantActive, storage.TenantSuspended)
		if err != nil {
			return fmt.Errorf("count devices: %w", err)
		}
		_, err = tx.Exec(`INSERT INTO release_rollups (hour, tenant_id, channel, platform, arch, version, devices)
			SELECT hour, '`+everyTenant+`', channel, platform, arch, version, SUM(devices)
			FROM release_rollups WHERE hour = ? AND tenant_id <> '`+everyTenant+`' GROUP BY hour, channel, platform, arch, version`, now.Hour())
		if err != nil {
			return fmt.Errorf("add up all tenants: %w", err)
		}
		return tx.SetFact(factReleaseRollups, strconv.FormatInt(int64(now), 10))
	})
}

// ForgetReleaseRollups thins counts out: of days that are over one stays, and that for a month.
func (db *DB) ForgetReleaseRollups(ctx context.Context, now Stamp) error {
	return db.InTx(ctx, func(tx *Tx) error {
		return tx.g.Delete(&ReleaseRollup{}, "hour < ? OR hour < ? AND hour % 24 <> 23",
			now.Hour()-24*rollupDaysKept, now.Hour()-rollupHoursKept).Error
	})
}

// ReleasesCounted is when devices were last counted; zero for never.
func (db *DB) ReleasesCounted(ctx context.Context) (Stamp, error) {
	f, err := db.FactByName(ctx, factReleaseRollups)
	if errors.Is(err, storage.ErrNotFound) || err == nil && f.Value == "" {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	at, err := strconv.ParseInt(f.Value, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read when devices were counted: %w", err)
	}
	return Stamp(at), nil
}

// VersionShare is how many devices of a channel and platform, of all tenants, had a version in an hour.
type VersionShare struct {
	Hour     int64
	Channel  string
	Platform string
	Version  string
	Devices  int64
}

// OfTrack narrows a question to devices of a channel and a platform; empty is all of them.
type OfTrack struct{ Channel, Platform string }

// where makes the conditions on the rows.
func (o OfTrack) where(q *gorm.DB) *gorm.DB {
	if o.Channel != "" {
		q = q.Where("channel = ?", o.Channel)
	}
	if o.Platform != "" {
		q = q.Where("platform = ?", o.Platform)
	}
	return q
}

// VersionShares reads the totals of some hours, both ends included.
func (db *DB) VersionShares(ctx context.Context, from, to int64, of OfTrack) ([]VersionShare, error) {
	// One by one, as the tenant comes behind the hour in the key.
	hours := make([]int64, 0, to-from+1)
	for h := from; h <= to; h++ {
		hours = append(hours, h)
	}
	var out []VersionShare
	return out, of.where(db.g.WithContext(ctx).Model(&ReleaseRollup{})).Where("hour IN ? AND tenant_id = ?", hours, everyTenant).
		Select("hour, channel, platform, version, SUM(devices) AS devices").
		Group("hour, channel, platform, version").Order("hour, channel, platform, version").Scan(&out).Error
}

// TenantInstalls is how many devices of a tenant had a version of a channel and platform.
type TenantInstalls struct {
	TenantID string
	Name     string
	Channel  string
	Platform string
	Version  string
	Devices  int64
}

// InstallsOf reads the counts of an hour of some tenants.
func (db *DB) InstallsOf(ctx context.Context, hour int64, tenants []string, of OfTrack) ([]TenantInstalls, error) {
	var out []TenantInstalls
	if len(tenants) == 0 {
		return nil, nil
	}
	return out, of.where(db.g.WithContext(ctx).Table("release_rollups r")).Joins("JOIN tenants t ON t.id = r.tenant_id").
		Select("r.tenant_id, t.name, r.channel, r.platform, r.version, SUM(r.devices) AS devices").
		Where("r.hour = ? AND r.tenant_id IN ?", hour, tenants).Group("r.tenant_id, t.name, r.channel, r.platform, r.version").
		Order("r.tenant_id, r.channel, r.platform, r.version").Scan(&out).Error
}

// TenantsWithInstalls lists the tenants that have any in an hour, by id, behind one; behind the empty one, which is that of the
// totals, are all.
func (db *DB) TenantsWithInstalls(ctx context.Context, hour int64, of OfTrack, after string, limit int) ([]string, error) {
	var out []string
	return out, of.where(db.g.WithContext(ctx).Model(&ReleaseRollup{})).Where("hour = ? AND tenant_id > ?", hour, after).
		Group("tenant_id").Order("tenant_id").Limit(limit).Pluck("tenant_id", &out).Error
}

// TenantDevices is how many devices of a tenant are in use.
type TenantDevices struct {
	TenantID string
	Name     string
	Devices  int64
}

// MostDevices lists the tenants with the most devices in an hour.
func (db *DB) MostDevices(ctx context.Context, hour int64, of OfTrack, limit int) ([]TenantDevices, error) {
	var out []TenantDevices
	g := db.g.WithContext(ctx)
	sums := of.where(g.Model(&ReleaseRollup{})).Select("tenant_id, SUM(devices) AS devices").
		Where("hour = ? AND tenant_id <> ?", hour, everyTenant).Group("tenant_id")
	return out, g.Table("(?) AS r", sums).Joins("JOIN tenants t ON t.id = r.tenant_id").Select("r.tenant_id, t.name, r.devices").
		Order("r.devices DESC, r.tenant_id").Limit(limit).Scan(&out).Error
}
