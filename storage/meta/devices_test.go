package meta_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"gatehouse/storage"
	"gatehouse/storage/meta"
	"gatehouse/storage/meta/metatest"
)

// deviceToken stores a token and gives a heartbeat with it.
func deviceToken(t *testing.T, db *meta.DB, tenant, device string) (meta.DeviceToken, meta.Heartbeat) {
	t.Helper()
	id := meta.NewID()
	row := meta.DeviceToken{
		ID: id, TenantID: tenant, UserID: "user-" + device, DeviceID: device, Hash: strings.Repeat(strings.ReplaceAll(id, "-", ""), 2),
	}
	require.NoError(t, db.InTx(context.Background(), func(tx *meta.Tx) error {
		_, err := tx.Tenant(tenant).AddDeviceToken(&row, time.Hour)
		return err
	}))
	return row, meta.Heartbeat{
		TokenHash: row.Hash, DeviceID: device, Version: "1.4.0", Channel: "stable", Platform: "win32", Arch: "x64", OSVersion: "10.0",
	}
}

func beat(t *testing.T, db *meta.DB, h meta.Heartbeat) meta.HeartbeatEnd {
	t.Helper()
	end, err := db.DeviceHeartbeat(context.Background(), h)
	require.NoError(t, err)
	return end
}

func change(t *testing.T, db *meta.DB, sql string, args ...any) {
	t.Helper()
	n, err := db.Exec(context.Background(), sql, args...)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
}

func deviceOf(t *testing.T, db *meta.DB, tenant, device string) meta.ReleaseDevice {
	t.Helper()
	var list []meta.ReleaseDevice
	require.NoError(t, db.InTx(context.Background(), func(tx *meta.Tx) error {
		_, err := tx.Scan(&list, `SELECT * FROM release_devices WHERE tenant_id = ? AND device_id = ?`, tenant, device)
		return err
	}))
	require.Len(t, list, 1)
	return list[0]
}

// Through two gateways at once a device gets exactly its twelve, and the window moves with the minute.
func TestHeartbeatsOfAMinuteAreCountedExactly(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		tenant := metatest.Tenant(t, one, 1000)
		_, h := deviceToken(t, one, tenant, "d1")
		_, other := deviceToken(t, one, tenant, "d2")
		require.Equal(t, meta.HeartbeatAccepted, beat(t, one, h).Result)
		// The window is put where the clock cannot leave it while the test runs.
		var minute int64
		require.NoError(t, one.InTx(context.Background(), func(tx *meta.Tx) error {
			_, err := tx.Scan(&minute, `SELECT `+one.Dialect().Epoch())
			return err
		}))
		minute = minute/60 + 3
		change(t, one, `UPDATE release_devices SET rate_minute = ?, rate_count = 0 WHERE device_id = 'd1'`, minute)
		var accepted, refused atomic.Int64
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				db := []*meta.DB{one, two}[i%2]
				for range 6 {
					end, err := db.DeviceHeartbeat(context.Background(), h)
					switch {
					case err != nil:
						t.Errorf("heartbeat: %v", err)
					case end.Result == meta.HeartbeatAccepted:
						accepted.Add(1)
					case end.Result == meta.HeartbeatTooMany && end.RetryAfter > 0:
						refused.Add(1)
					default:
						t.Errorf("heartbeat: %+v", end)
					}
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, meta.HeartbeatsPerMinute, accepted.Load())
		require.EqualValues(t, 48-meta.HeartbeatsPerMinute, refused.Load())
		d := deviceOf(t, one, tenant, "d1")
		require.EqualValues(t, 1+meta.HeartbeatsPerMinute, d.Launches)
		require.Equal(t, minute, d.RateMinute)
		require.Equal(t, meta.HeartbeatAccepted, beat(t, two, other).Result, "another device has its own")
		// The minute is over; or it is of a clock that was far ahead.
		for _, minutes := range []int{-10, 30} {
			change(t, one, `UPDATE release_devices SET rate_minute = rate_minute + ?, rate_count = 12 WHERE device_id = 'd1'`, minutes)
			require.Equal(t, meta.HeartbeatAccepted, beat(t, one, h).Result)
			d = deviceOf(t, one, tenant, "d1")
			require.EqualValues(t, 1, d.RateCount)
			require.InDelta(t, minute-3, d.RateMinute, 1)
		}
	})
}

func TestFirstHeartbeatsAtOnceMakeOneDevice(t *testing.T) {
	metatest.EachTwice(t, func(t *testing.T, one, two *meta.DB) {
		tenant := metatest.Tenant(t, one, 1000)
		for i := range 10 {
			device := fmt.Sprint("d", i)
			row, h := deviceToken(t, one, tenant, device)
			var wg sync.WaitGroup
			for _, db := range []*meta.DB{one, two} {
				wg.Go(func() {
					if end, err := db.DeviceHeartbeat(context.Background(), h); err != nil || end.Result != meta.HeartbeatAccepted {
						t.Errorf("heartbeat: %+v, %v", end, err)
					}
				})
			}
			wg.Wait()
			d := deviceOf(t, one, tenant, device)
			require.EqualValues(t, 2, d.Launches)
			require.EqualValues(t, 2, d.RateCount)
			require.Equal(t, row.UserID, d.UserID)
		}
	})
}

func TestHeartbeatSaysWhatTheDeviceIsNow(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		tenant := metatest.Tenant(t, db, 1000)
		_, h := deviceToken(t, db, tenant, "d1")
		beat(t, db, h)
		first := deviceOf(t, db, tenant, "d1")
		token, again := deviceToken(t, db, tenant, "d1")
		change(t, db, `UPDATE device_tokens SET user_id = 'somebody else' WHERE id = ?`, token.ID)
		again.Version, again.Channel, again.Platform, again.Arch, again.OSVersion = "2.0.0-beta.1", "beta", "linux", "arm64", "Ubuntu 24.04"
		require.Equal(t, meta.HeartbeatAccepted, beat(t, db, again).Result)
		d := deviceOf(t, db, tenant, "d1")
		require.GreaterOrEqual(t, d.LastSeenAt, first.LastSeenAt)
		require.Equal(t, meta.ReleaseDevice{
			TenantID: tenant, DeviceID: "d1", UserID: "somebody else", Version: "2.0.0-beta.1", Channel: "beta", Platform: "linux", Arch: "arm64",
			OSVersion: "Ubuntu 24.04", Launches: 2, FirstSeenAt: first.FirstSeenAt, LastSeenAt: d.LastSeenAt, RateMinute: d.RateMinute, RateCount: d.RateCount,
		}, d)
	})
}

// A token is good for its own device, while it is open and its tenant is active; of a device that is known and of one that is not.
func TestTokensThatAreNone(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		tenant := metatest.Tenant(t, db, 1000)
		for _, known := range []bool{true, false} {
			row, h := deviceToken(t, db, tenant, fmt.Sprint("d", known))
			_, other := deviceToken(t, db, tenant, fmt.Sprint("other", known))
			if known {
				beat(t, db, h)
				beat(t, db, other)
			}
			stolen := h
			stolen.DeviceID = other.DeviceID
			require.Equal(t, meta.HeartbeatBadToken, beat(t, db, stolen).Result, "another device")
			unknown := h
			unknown.TokenHash = strings.Repeat("0", 64)
			require.Equal(t, meta.HeartbeatBadToken, beat(t, db, unknown).Result)
			for state, want := range map[storage.TenantState]meta.HeartbeatResult{
				storage.TenantSuspended: meta.HeartbeatDenied, storage.TenantPendingDelete: meta.HeartbeatDenied,
				storage.TenantDeleted: meta.HeartbeatBadToken, storage.TenantFailed: meta.HeartbeatBadToken, storage.TenantProvisioning: meta.HeartbeatBadToken,
			} {
				change(t, db, `UPDATE tenants SET state = ? WHERE id = ?`, state, tenant)
				require.Equal(t, want, beat(t, db, h).Result, state)
			}
			change(t, db, `UPDATE tenants SET state = 'active' WHERE id = ?`, tenant)
			change(t, db, `UPDATE device_tokens SET expires_at = (`+db.Dialect().Epoch()+`) * 1000000 WHERE id = ?`, row.ID)
			require.Equal(t, meta.HeartbeatBadToken, beat(t, db, h).Result, "expired")
			change(t, db, `UPDATE device_tokens SET expires_at = ?, revoked_at = 1 WHERE id = ?`, row.ExpiresAt, row.ID)
			require.Equal(t, meta.HeartbeatBadToken, beat(t, db, h).Result, "revoked")
			change(t, db, `UPDATE device_tokens SET revoked_at = 0 WHERE id = ?`, row.ID)
			require.Equal(t, meta.HeartbeatAccepted, beat(t, db, h).Result)
			launches := int64(1)
			if known {
				launches = 2
			}
			require.Equal(t, launches, deviceOf(t, db, tenant, h.DeviceID).Launches, "nothing else was counted")
		}
	})
}

// What is refused needs no lock: somebody who writes, and on SQLite is the only one who can, holds no refusal up.
func TestRefusedHeartbeatsWaitForNobody(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		tenant := metatest.Tenant(t, db, 1000)
		_, h := deviceToken(t, db, tenant, "d1")
		require.Equal(t, meta.HeartbeatAccepted, beat(t, db, h).Result)
		unknown, stolen := h, h
		unknown.TokenHash, stolen.DeviceID = strings.Repeat("0", 64), "another"
		revoked, over := deviceToken(t, db, tenant, "d1")
		change(t, db, `UPDATE device_tokens SET revoked_at = 1 WHERE id = ?`, revoked.ID)
		expired, late := deviceToken(t, db, tenant, "d1")
		change(t, db, `UPDATE device_tokens SET expires_at = 1 WHERE id = ?`, expired.ID)
		_, tooMany := deviceToken(t, db, tenant, "d2")
		require.Equal(t, meta.HeartbeatAccepted, beat(t, db, tooMany).Result)
		change(t, db, `UPDATE release_devices SET rate_minute = rate_minute + 3, rate_count = 12 WHERE device_id = 'd2'`)
		_, full := deviceToken(t, db, tenant, "d3")
		full.MaxDevices = 2
		require.NoError(t, db.InTx(context.Background(), func(tx *meta.Tx) error {
			if _, err := tx.LockTenant(tenant); err != nil {
				return err
			}
			for _, c := range []struct {
				of   meta.Heartbeat
				want meta.HeartbeatResult
			}{
				{unknown, meta.HeartbeatBadToken}, {stolen, meta.HeartbeatBadToken}, {over, meta.HeartbeatBadToken}, {late, meta.HeartbeatBadToken},
				{tooMany, meta.HeartbeatTooMany}, {full, meta.HeartbeatFull},
			} {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				end, err := db.DeviceHeartbeat(ctx, c.of)
				cancel()
				if err != nil || end.Result != c.want {
					t.Errorf("wants %s: %+v, %v", c.want, end, err)
				}
			}
			return nil
		}))
	})
}

// Gateways whose clocks differ agree on when a token is over. The bubble's clock stands at the year 2000.
func TestTokensExpireByTheDatabasesClock(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		tenant := metatest.Tenant(t, db, 1000)
		for _, known := range []bool{true, false} {
			row, h := deviceToken(t, db, tenant, fmt.Sprint("d", known))
			require.WithinDuration(t, time.Now().Add(time.Hour), row.ExpiresAt.Time(), time.Minute)
			if known {
				beat(t, db, h)
			}
			change(t, db, `UPDATE device_tokens SET expires_at = ? WHERE id = ?`, meta.Now().Add(-time.Minute), row.ID)
			synctest.Test(t, func(t *testing.T) {
				require.Less(t, time.Now().Year(), 2001)
				require.Equal(t, meta.HeartbeatBadToken, beat(t, db, h).Result)
				again, h := deviceToken(t, db, tenant, h.DeviceID)
				require.WithinDuration(t, row.ExpiresAt.Time(), again.ExpiresAt.Time(), time.Minute)
				require.Equal(t, meta.HeartbeatAccepted, beat(t, db, h).Result)
			})
		}
	})
}

func TestDeviceHasFewTokens(t *testing.T) {
	metatest.Each(t, func(t *testing.T, db *meta.DB) {
		ctx := context.Background()
		tenant, stranger := metatest.Tenant(t, db, 1000), metatest.Tenant(t, db, 1000)
		deviceToken(t, db, stranger, "d1")
		deviceToken(t, db, tenant, "d2")
		var made []meta.DeviceToken
		for range 12 {
			row, _ := deviceToken(t, db, tenant, "d1")
			made = append(made, row)
		}
		of := meta.DeviceTokenFilter{DeviceID: "d1"}
		list, err := db.Tenant(ctx, tenant).DeviceTokens(of, "", 100)
		require.NoError(t, err)
		require.Len(t, list, meta.DeviceTokensPerDevice+1)
		for i, token := range list {
			require.Equal(t, made[len(made)-1-i].ID, token.ID, "newest first")
			require.Equal(t, i == meta.DeviceTokensPerDevice, token.RevokedAt != 0)
		}
		rest, err := db.Tenant(ctx, tenant).DeviceTokens(of, list[1].ID, 2)
		require.NoError(t, err)
		require.Equal(t, list[2:4], rest)
		var ended int64
		require.NoError(t, db.InTx(ctx, func(tx *meta.Tx) error {
			ended, err = tx.Tenant(tenant).RevokeDeviceTokens(meta.DeviceTokenFilter{UserID: "user-d1"})
			return err
		}))
		require.EqualValues(t, meta.DeviceTokensPerDevice, ended)
		n, err := db.ForgetDeviceTokens(ctx, meta.Now().Add(30*time.Minute))
		require.NoError(t, err)
		require.Zero(t, n)
		n, err = db.ForgetDeviceTokens(ctx, meta.Now().Add(2*time.Hour))
		require.NoError(t, err)
		require.EqualValues(t, meta.DeviceTokensPerDevice+3, n)
	})
}
