package jobs

import (
	"context"
	"fmt"
	"time"

	"gatehouse/storage/meta"
)

const (
	// releasesEvery is how often the devices of each version are counted: operators watch a release spread, and the count reads
	// all devices.
	releasesEvery = 5 * time.Minute
	// deviceSilence is how long a device is remembered that is not heard of: half a year outlasts a long leave, and machines are
	// thrown away.
	deviceSilence = 180 * 24 * time.Hour
	// deviceTokensKept is how long tokens are listed that are over: a day, so that somebody who asks why a device fell silent finds
	// them.
	deviceTokensKept = 24 * time.Hour
)

// releaseRollups are what is due by the clock for the devices of desktop clients.
func releaseRollups(db *meta.DB) []Periodic {
	return []Periodic{
		{Name: "release rollups", Every: releasesEvery, Do: func(ctx context.Context) error {
			if err := db.CountReleases(ctx, meta.Now()); err != nil {
				return fmt.Errorf("count releases: %w", err)
			}
			return nil
		}},
		{Name: "old devices", Every: time.Hour, Do: func(ctx context.Context) error { return forgetDevices(ctx, db, meta.Now()) }},
	}
}

// forgetDevices removes counts, devices and tokens that are older than they are kept.
func forgetDevices(ctx context.Context, db *meta.DB, now meta.Stamp) error {
	if err := db.ForgetReleaseRollups(ctx, now); err != nil {
		return fmt.Errorf("forget old counts of releases: %w", err)
	}
	if _, err := db.ForgetDevices(ctx, now.Add(-deviceSilence)); err != nil {
		return fmt.Errorf("forget silent devices: %w", err)
	}
	if _, err := db.ForgetDeviceTokens(ctx, now.Add(-deviceTokensKept)); err != nil {
		return fmt.Errorf("forget device tokens: %w", err)
	}
	return nil
}
