package jobs

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

func TestWhatIsOldOfDevicesIsForgotten(t *testing.T) {
	ctx := context.Background()
	db := metatest.SQLite(t)
	tenant, now := metatest.Tenant(t, db, 1000), meta.Now()
	const day = 24 * time.Hour
	require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
		for _, ago := range []time.Duration{0, 30 * time.Hour, 179 * day, 181 * day} {
			if err := tx.Create(&meta.ReleaseDevice{TenantID: tenant, DeviceID: ago.String(), Version: "1.0.0", LastSeenAt: now.Add(-ago)}); err != nil {
				return err
			}
			if err := tx.Create(&meta.DeviceToken{ID: meta.NewID(), TenantID: tenant, DeviceID: "d", Hash: ago.String(), ExpiresAt: now.Add(-ago + time.Hour)}); err != nil {
				return err
			}
		}
		return nil
	}))
	for _, p := range releaseRollups(db) {
		require.NoError(t, p.Do(ctx), p.Name)
	}
	for table, want := range map[string]int64{"release_devices": 3, "device_tokens": 1, "release_rollups": 1} {
		held, err := db.Tenant(ctx, tenant).Holdings()
		require.NoError(t, err)
		require.Equal(t, want, held[table], table)
	}
}
